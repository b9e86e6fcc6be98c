//! A script that builds three hosts in namespaces of its own making, under one `ferrowire exec --private`.

use crate::host::Host;
use crate::require;

use super::{exec, succeed, text};

/// Left, router and right, with tunnels of four forms from left to right; pings through each. `$1` makes the names of the
/// namespaces unique.
const SCRIPT: &str = r#"
set -e
left=fw-l-$1 router=fw-r-$1 right=fw-t-$1
trap 'for n in $left $router $right; do ip netns del $n; done' EXIT
for n in $left $router $right; do ip netns add $n; ip -netns $n link set lo up; done
link() { ip -netns $1 link add $2 type veth peer name $4 netns $3; }
link $left wan $router left
link $right wan $router right
ip netns exec $router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
set_up() { ip -netns $1 addr add $3/24 dev $2; ip -netns $1 addr add $4/64 dev $2 nodad; ip -netns $1 link set $2 up; }
set_up $router left 192.0.2.254 2001:db8:1::fe
set_up $router right 198.51.100.254 2001:db8:2::fe
set_up $left wan 192.0.2.1 2001:db8:1::1
set_up $right wan 198.51.100.2 2001:db8:2::2
for n in $left $right; do
    [ $n = $left ] && v4=192.0.2.254 v6=2001:db8:1::fe || v4=198.51.100.254 v6=2001:db8:2::fe
    ip -netns $n route add default via $v4
    ip -netns $n -6 route add default via $v6
done
tunnel() { # namespace own-id peer-id local remote encap ports inner
    ip -netns $1 l2tp add tunnel tunnel_id $2 peer_tunnel_id $3 local $4 remote $5 encap $6 $7
    ip -netns $1 l2tp add session tunnel_id $2 session_id $2 peer_session_id $3 name pw$8 cookie 01020304 peer_cookie 01020304
    ip -netns $1 addr add 10.1.$8.${9} peer 10.1.$8.$((3 - ${9})) dev pw$8
    ip -netns $1 addr add fd00:$8::${9}/64 dev pw$8 nodad
    ip -netns $1 link set pw$8 up
}
pair() { # number encap left-address right-address
    ports_l= ports_r=
    [ $2 = udp ] && ports_l="udp_sport 500$1 udp_dport 600$1" ports_r="udp_sport 600$1 udp_dport 500$1"
    tunnel $left 10$1 20$1 $3 $4 $2 "$ports_l" $1 1
    tunnel $right 20$1 10$1 $4 $3 $2 "$ports_r" $1 2
}
pair 1 udp 192.0.2.1 198.51.100.2
pair 2 udp 2001:db8:1::1 2001:db8:2::2
pair 3 ip 192.0.2.1 198.51.100.2
pair 4 ip 2001:db8:1::1 2001:db8:2::2
for n in 1 2 3 4; do
    for try in 1 2 3 4 5 6 7 8 9; do ip netns exec $left ping -c 1 -W 1 10.1.$n.2 > /dev/null && break; done
    ip netns exec $left ping -c 3 -i 0.1 -W 5 10.1.$n.2 > /dev/null && echo v4 $n
    ip netns exec $left ping -c 1 -W 5 fd00:$n::2 > /dev/null && echo v6 $n
    ip netns exec $left ping -c 1 -W 5 -s 3000 10.1.$n.2 > /dev/null && echo long $n
done
ip netns exec $right sh -c 'ip l2tp show tunnel | grep -c ^Tunnel'
ip -netns $router l2tp show tunnel
"#;

#[test]
fn frames_cross_a_router() {
    if !require::met(&["bash", "sysctl"]) {
        return;
    }
    let host = Host::new();
    let script = format!("bash -c '{}' bash {}", SCRIPT.replace('\'', r"'\''"), std::process::id());
    let shown = succeed(&host, &["--private"], &script);
    let mut expected = String::new();
    for n in 1..=4 {
        expected += &format!("v4 {n}\nv6 {n}\nlong {n}\n");
    }
    assert_eq!(shown, expected + "4\n");
    let left = text(&exec(&host, &[], "ip netns list").stdout);
    assert!(!left.contains(&format!("-{}", std::process::id())), "{left}");
}
