//! Every way a call can end leaves nothing, and nothing waits for ever.

use l2tp_abi::genl::l2tp::{Request, SessionKey};
use l2tp_abi::ppp::ioctl::{PPPIOCCONNECT, PPPIOCDISCONN, PPPIOCSDEBUG};
use l2tp_abi::sockaddr::Pppol2tpForm;
use l2tp_io::rtnl::Rtnl;

use crate::form::Form;
use crate::pair::{Pair, session_words, tunnel_words};
use crate::ppp_call::{Call, ids};
use crate::require;
use crate::wait;

fn call(pair: &Pair) -> (Call, Call) {
    let (a, b) = (Form::Udp4.address(1), Form::Udp4.address(2));
    let form = Pppol2tpForm::V2In;
    (Call::new(&pair.a, form, 1, &a, &b), Call::new(&pair.b, form, 2, &b, &a))
}

/// A call that ends at a by `end`, what is left of it is dropped, and then nothing is.
fn ends(end: impl Fn(&Pair, Call) -> Option<Call>) {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::new();
    // What the first session has opened for all stays.
    pair.a.l2tp(&tunnel_words(Form::Udp4, 1, 1));
    pair.a.l2tp(&session_words(1, 1, 1));
    let before = pair.a.daemon().descriptors();
    for _ in 0..3 {
        let (near, far) = call(&pair);
        assert_eq!(
            pair.a.link("ppp0").map(|link| link.mtu),
            Some(1500),
            "redialled at once, with the same name"
        );
        drop(end(&pair, near));
        wait::until("the device is gone", || pair.a.link("ppp0").is_none());
        // The tunnel outlives all but its UDP socket, which went with the call.
        wait::until("nothing is open", || pair.a.daemon().descriptors() <= before + 2);
        wait::until("the tunnel is gone", || {
            pair.a.door().ask(&Request::TunnelGet(ids(1).0), |_| {}).is_err()
        });
        drop(far);
        wait::until("and at b", || pair.b.link("ppp0").is_none());
        // The next call is not to find it on its way out.
        wait::until("with its tunnel", || pair.b.door().ask(&Request::TunnelGet(ids(2).0), |_| {}).is_err());
    }
}

#[test]
fn all_descriptors_closed() {
    ends(|_, _| None);
}

#[test]
fn a_deleted_session_hangs_up() {
    ends(|pair, near| {
        let key = SessionKey::Ids { conn_id: ids(1).0, session_id: ids(1).1 };
        pair.a.door().ask(&Request::SessionDelete(key), |_| {}).unwrap();
        assert_eq!(near.channel.read(), Some(vec![]), "the end");
        Some(near)
    });
}

#[test]
fn a_deleted_tunnel_hangs_up() {
    ends(|pair, near| {
        pair.a.door().ask(&Request::TunnelDelete(ids(1).0), |_| {}).unwrap();
        assert_eq!(near.channel.read(), Some(vec![]));
        Some(near)
    });
}

#[test]
fn the_session_ends_with_its_socket_and_the_tunnel_with_its_own() {
    ends(|pair, near| {
        let Call { door, session, channel, unit, tunnel } = near;
        let (udp, management) = tunnel.unwrap();
        drop(management);
        drop(session);
        assert_eq!(channel.read(), Some(vec![]));
        assert!(pair.a.door().session(ids(1).0, ids(1).1).is_err());
        assert!(
            pair.a.door().ask(&Request::TunnelGet(ids(1).0), |_| {}).is_ok(),
            "the tunnel is still there"
        );
        drop((door, udp, channel, unit));
        None
    });
}

#[test]
fn a_unit_may_be_joined_again() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let (mut near, far) = call(&pair);
    near.channel.ioctl(&mut near.door, PPPIOCDISCONN, 0).unwrap();
    // Its file is asked things before and between.
    for _ in 0..2 {
        near.unit.ioctl(&mut near.door, PPPIOCSDEBUG, 1).unwrap();
        assert!(!near.unit.waits(), "not the end");
    }
    near.channel.ioctl(&mut near.door, PPPIOCCONNECT, 0).unwrap();
    let ipcp = [0x80, 0x21, 1, 1, 0, 4];
    far.unit.write(&ipcp);
    assert_eq!(near.unit.read().unwrap(), ipcp);
}

#[test]
fn a_deleted_device_ends_its_unit() {
    ends(|pair, near| {
        let index = pair.a.link("ppp0").unwrap().index;
        pair.a.here(|| Rtnl::open().unwrap().delete(index).unwrap());
        assert_eq!(near.unit.read(), Some(vec![]));
        Some(near)
    });
}

#[test]
fn a_daemon_that_ends_hangs_up() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::new();
    let (near, _far) = call(&pair);
    pair.a.kill_daemon();
    for object in [&near.channel, &near.unit, &near.session] {
        assert_eq!(object.read(), Some(vec![]));
    }
    wait::until("the device is gone", || pair.a.link("ppp0").is_none());
}
