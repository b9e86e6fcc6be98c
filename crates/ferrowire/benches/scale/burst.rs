//! What happens when the network has much to say, and many sessions on BPF listen.

use std::time::{Duration, Instant};

use l2tp_io::rtnl::Rtnl;

use crate::Hosts;
use crate::host::address;

const SESSIONS: u32 = 5_000;
/// Routes of nobody here that are added at once.
const ROUTES: u32 = 1_000;

pub(crate) fn measure() {
    let mut hosts = Hosts::new("auto");
    hosts.add_tunnel(1);
    (1..=SESSIONS).for_each(|id| hosts.add_ethernet(1, id));
    let sessions = SESSIONS as usize;
    assert_eq!(hosts.on_bpf(), sessions);
    println!(
        "  {SESSIONS} sessions on BPF; the longest hold until now: {} us",
        hosts.counter("held_longest_us")
    );
    let mut rtnl = Rtnl::open().unwrap();
    let wan = rtnl.index_of("wan").unwrap();
    for (what, up, wanted) in [("down: all have left BPF", false, 0), ("up: all are back", true, sessions)] {
        let start = Instant::now();
        rtnl.set_up(wan, up).unwrap();
        let longest = ask_until(&mut hosts, |hosts| hosts.on_bpf() == wanted);
        let took = start.elapsed().as_secs_f64() * 1e3;
        println!("  the link goes {what} after {took:.0} ms; the longest answer took {longest:.1} ms");
    }
    routes(&mut hosts, &mut rtnl);
    println!("  the longest hold in all: {} us", hosts.counter("held_longest_us"));
    let start = Instant::now();
    hosts.connection.delete_tunnel(1).unwrap();
    println!("  the tunnel deleted with all of them: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    println!("  the longest hold then: {} us", hosts.counter("held_longest_us"));
    hosts.end();
    println!("  everything gone after {:.2} s", start.elapsed().as_secs_f64());
}

fn routes(hosts: &mut Hosts, rtnl: &mut Rtnl) {
    let start = Instant::now();
    for number in 0..ROUTES {
        let to = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        rtnl.add_route(to.into(), 32, address(2)).unwrap();
    }
    let added = start.elapsed().as_secs_f64() * 1e3;
    let mut quick = 0;
    // Each round places all, so three quick answers in turn say that there is no other.
    let longest = ask_until(hosts, |hosts| {
        let start = Instant::now();
        hosts.connection.noop().unwrap();
        quick = if start.elapsed() < Duration::from_millis(1) { quick + 1 } else { 0 };
        quick >= 3
    });
    let took = start.elapsed().as_secs_f64() * 1e3;
    println!(
        "  {ROUTES} routes added in {added:.0} ms: quiet after {took:.0} ms; the longest answer took {longest:.1} ms"
    );
}

/// Asks the daemon again and again until something is so; the longest time that it took to answer, in milliseconds.
fn ask_until(hosts: &mut Hosts, mut is_so: impl FnMut(&mut Hosts) -> bool) -> f64 {
    let mut longest = 0.0_f64;
    loop {
        let start = Instant::now();
        hosts.connection.noop().unwrap();
        longest = longest.max(start.elapsed().as_secs_f64() * 1e3);
        if is_so(hosts) {
            return longest;
        }
    }
}
