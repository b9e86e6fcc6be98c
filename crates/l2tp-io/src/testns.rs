//! Where tests that need privileges run: a fresh network namespace on a thread of its own.

use crate::netns::NetNs;
use crate::rtnl::Rtnl;
use crate::tap::Tap;
use std::io;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// A forked child holds copies of all descriptors until it calls exec: no test may count on a close meanwhile.
static FORKS: RwLock<()> = RwLock::new(());

/// While this is held, no test forks.
pub(crate) fn without_forks() -> impl Drop {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// While this is held, one test forks and no other runs.
pub(crate) fn with_forks() -> impl Drop {
    FORKS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `test`, which does not fork, in a new namespace with `lo` up, or prints why not.
pub(crate) fn in_fresh_netns(test: impl FnOnce() + Send) {
    let _guard = without_forks();
    in_netns(test);
}

/// The same for a test that starts processes.
pub(crate) fn in_fresh_netns_forking(test: impl FnOnce() + Send) {
    let _guard = with_forks();
    in_netns(test);
}

/// The same for a test that makes TAP devices, where that is allowed.
pub(crate) fn in_fresh_netns_with_taps(test: impl FnOnce() + Send) {
    in_fresh_netns(|| match Tap::create("probe") {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            skip("/dev/net/tun that may be opened (modprobe tun; chmod 666 /dev/net/tun)");
        }
        Err(error) => panic!("no TAP device: {error}"),
        Ok(probe) => {
            drop(probe);
            test();
        }
    });
}

fn in_netns(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let outcome = scope.spawn(|| NetNs::unshare().map(|_| test())).join();
        match outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                skip("a network namespace (run as root, or under `unshare --map-root-user`)");
            }
            Err(error) => panic!("no network namespace: {error}"),
        }
    });
}

/// Ends a test for which the host lacks something; an error where everything is required.
pub(crate) fn skip(missing: &str) {
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none_or(|value| value != "1"), "missing: {missing}");
    println!("SKIP: {missing}");
}

/// A veth pair from the calling thread's namespace (`near`, 10.0.0.1, fd00::1) to a new one (`far`, 10.0.0.2,
/// fd00::2), both up; the new namespace.
pub(crate) fn veth_to_new_netns(mtu: u32) -> NetNs {
    let far = std::thread::scope(|scope| scope.spawn(|| NetNs::unshare().unwrap()).join().unwrap());
    Rtnl::open().unwrap().create_veth("near", "far", Some(&far)).unwrap();
    configure("near", 1, mtu);
    far.within(|| configure("far", 2, mtu)).unwrap();
    await_operational("near");
    far.within(|| await_operational("far")).unwrap();
    far
}

/// Waits for the queue of a device whose carrier has just come: the kernel sets it up in a worker, and until then
/// drops what is sent.
fn await_operational(device: &str) {
    let mut rtnl = Rtnl::open().unwrap();
    let index = rtnl.index_of(device).unwrap();
    let up = (0..5000).any(|_| {
        let up = rtnl.link(index).unwrap().operstate == IF_OPER_UP;
        if !up {
            std::thread::sleep(Duration::from_millis(1));
        }
        up
    });
    assert!(up, "{device} did not come up within five seconds");
}

/// include/uapi/linux/if.h
const IF_OPER_UP: u8 = 6;

/// Brings a device up with 10.0.0.`host`/24 and fd00::`host`/64.
pub(crate) fn configure(device: &str, host: u8, mtu: u32) {
    let mut rtnl = Rtnl::open().unwrap();
    let index = rtnl.index_of(device).unwrap();
    rtnl.set_mtu(index, mtu).unwrap();
    rtnl.set_up(index, true).unwrap();
    rtnl.add_address(index, IpAddr::from([10, 0, 0, host]), 24).unwrap();
    rtnl.add_address(index, IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, host.into()]), 64).unwrap();
}
