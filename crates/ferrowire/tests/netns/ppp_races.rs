//! PPP sessions of a program in Rust that end in every order, by two hands at once, while packets arrive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{Request, SessionKey};
use l2tp_client::SessionCreate;

use crate::host::Host;
use crate::lone::Lone;
use crate::{require, wait};

const ROUNDS: u64 = 60;
/// A daemon is killed in one of so many rounds.
const KILLED: u64 = 6;
const IDS: SessionCreate = SessionCreate {
    conn_id: 7,
    peer_conn_id: 8,
    session_id: 5,
    peer_session_id: 6,
    pw_type: 0,
    l2spec_type: None,
    recv_seq: false,
    send_seq: false,
    lns_mode: false,
    recv_timeout: 0,
    cookie: Vec::new(),
    peer_cookie: Vec::new(),
    ifname: None,
    vlan_id: None,
};
/// A packet of L2TPv2 for the session: an LCP Echo-Request.
const PACKET: [u8; 18] = [0, 2, 0, 7, 0, 5, 0xff, 0x03, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];

/// One of the ways in which something ends.
type Act<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Numbers without a pattern that are the same for the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// Puts them in any order (Fisher and Yates).
    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, usize::try_from(self.roll(last as u64 + 1)).unwrap());
        }
    }
}

/// Makes a session with its device, and ends each part of it; by numbers of a dice.
fn round(host: &Host, dice: &mut Dice) {
    let mut lone = host.here(|| Lone::new(2, &IDS));
    let (channel, unit) = (lone.ppp.open().unwrap(), lone.ppp.open().unwrap());
    let index = lone.ppp.channel_index(&lone.session).unwrap();
    lone.ppp.attach_channel(&channel, index).unwrap();
    let number = lone.ppp.new_unit(&unit, None).unwrap();
    lone.ppp.connect_unit(&channel, number).unwrap();
    host.ip(&format!("link set ppp{number} up"));
    let Lone { session, management, peer, udp, ppp } = lone;
    let ask = |request: Request| {
        move || {
            // Another hand may have been first.
            let _: Result<(), Errno> = host.door().ask(&request, |_| {});
        }
    };
    let mut acts: Vec<Act<'_>> = vec![
        Box::new(|| drop(session)),
        Box::new(|| drop(management)),
        Box::new(|| drop(channel)),
        Box::new(|| drop(unit)),
        Box::new(|| drop(udp)),
        Box::new(|| drop(ppp)),
        Box::new(ask(Request::SessionDelete(SessionKey::Ids { conn_id: 7, session_id: 5 }))),
        Box::new(ask(Request::TunnelDelete(7))),
        Box::new(move || drop(host.run("ip", &["link", "del", &format!("ppp{number}")]))),
    ];
    dice.shuffle(&mut acts);
    let pauses: Vec<_> = acts.iter().map(|_| Duration::from_micros(dice.roll(800))).collect();
    let mut others: Vec<_> = acts.into_iter().zip(pauses).collect();
    let own = others.split_off(4);
    let over = AtomicBool::new(false);
    let perform = |acts: Vec<(Act<'_>, Duration)>| {
        for (act, pause) in acts {
            std::thread::sleep(pause);
            act();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Refused when nobody listens any more.
                let _: std::io::Result<usize> = peer.send(&PACKET);
            }
        });
        let hand = scope.spawn(|| perform(others));
        perform(own);
        hand.join().unwrap();
        over.store(true, Ordering::Relaxed);
    });
}

fn has_units(host: &Host) -> bool {
    host.links().iter().any(|link| link.name.starts_with("ppp"))
}

#[test]
fn whatever_the_order_nothing_is_left() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.ip("link set lo up");
    host.start_daemon();
    let mut dice = Dice(0x5eed_0005);
    round(&host, &mut dice);
    wait::until("the first device is gone", || !has_units(&host));
    let mut before = host.daemon().descriptors();
    for number in 1..=ROUNDS {
        if dice.roll(KILLED) == 0 {
            // What a program holds of a daemon that was killed can be let go of, and the next daemon starts afresh.
            let lone = host.here(|| Lone::new(2, &IDS));
            host.kill_daemon();
            drop(lone);
            host.start_daemon();
            before = before.max(host.daemon().descriptors());
        }
        round(&host, &mut dice);
        let mut door = host.door();
        wait::until(&format!("round {number}: tunnel, session and device are gone"), || {
            door.tunnel(7).is_err() && door.session(7, 5).is_err() && !has_units(&host)
        });
        drop(door);
        let mut now = 0;
        let settled = wait::within(wait::PATIENCE, || {
            now = host.daemon().descriptors();
            now <= before
        });
        assert!(settled, "round {number}: {now} descriptors, {before} before");
    }
}
