//! TCP through every form of tunnel, super-frames kept whole.

use crate::form::{Arrangement, Form, PLAIN};
use crate::require;
use crate::tcp::transfer;
use crate::tunnel::{Tunnel, addresses};

/// TCP over IPv4 and IPv6, to and fro, all of it carried by the programs.
fn carries(form: Form) {
    if !require::met(&[]) {
        return;
    }
    let tunnel = Tunnel::new(form);
    let [a, b] = &tunnel.hosts;
    for family in 0..2 {
        transfer(&a.netns, &b.netns, addresses(2)[family], 20);
        transfer(&b.netns, &a.netns, addresses(1)[family], 20);
    }
    let [first, second] = tunnel.settled_counters();
    assert_eq!((first.tx_packets, first.tx_bytes), (second.rx_packets, second.rx_bytes));
    assert_eq!((second.tx_packets, second.tx_bytes), (first.rx_packets, first.rx_bytes));
    assert!(first.tx_bytes > 40 << 20 && second.tx_bytes > 40 << 20, "{first:?} {second:?}");
}

#[test]
fn version_3_over_udp_and_ipv4() {
    carries(PLAIN);
}

#[test]
fn a_veth_with_a_hidden_end() {
    carries(Form { arrangement: Arrangement::Veth, ..PLAIN });
}

#[test]
fn version_3_over_udp_and_ipv6() {
    carries(Form { is_ipv6: true, ..PLAIN });
}

#[test]
fn ppp_over_udp_and_ipv4() {
    carries(Form::PPP);
}

#[test]
fn ppp_over_udp_and_ipv6() {
    carries(Form { is_ipv6: true, ..Form::PPP });
}
