//! The help text.

/// What `ferrowire l2tp help` prints: the grammar of `ip l2tp`, then what goes beyond it.
pub(super) const TEXT: &str = "\
Usage: ferrowire [ -j[son] ] [ -p[retty] ] [ -o[neline] ] [ -n[etns] NAME ] [ --kernel ] l2tp COMMAND

  add tunnel    tunnel_id ID peer_tunnel_id ID local ADDR remote ADDR
                [ encap { udp | ip } ] [ udp_sport PORT udp_dport PORT ]
                [ udp_csum { on | off } ]
                [ udp6_csum_tx { on | off } ] [ udp6_csum_rx { on | off } ]
                [ proto_version { 2 | 3 } ]
  add session   tunnel_id ID session_id ID peer_session_id ID [ name NAME ]
                [ cookie HEX ] [ peer_cookie HEX ]
                [ seq { none | send | recv | both } ]
                [ l2spec_type { default | none } ]
                [ reorder_timeout MS ] [ lns_mode { on | off } ]
                [ vlan VID ]
  set session   tunnel_id ID session_id ID
                [ seq { none | send | recv | both } ]
                [ reorder_timeout MS ] [ lns_mode { on | off } ]
  del tunnel    tunnel_id ID
  del session   tunnel_id ID session_id ID
  show tunnel   [ tunnel_id ID ]
  show session  [ tunnel_id ID ] [ session_id ID ]

ID     1 to 4294967295; tid, ptid, sid and psid are short for the four ids
PORT   1 to 65535, needed with encap udp, which is the default
ADDR   an IPv4 or IPv6 address, both ends of one family
NAME   the interface to make; without it l2tpethN
HEX    8 or 16 hexadecimal digits
MS     milliseconds to wait for a packet that is missing; 0: do not wait
VID    1 to 4094: the session carries this VLAN alone

add, del and show may be shortened; list is another word for show.
Not in ip l2tp: set, proto_version, reorder_timeout, lns_mode, vlan.
";
