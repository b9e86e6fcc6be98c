//! Seeds from requests to a real kernel and its answers, and scripts of requests.

use std::net::{Ipv4Addr, Ipv6Addr};

use ferrowire_fuzz::Input;
use l2tp_abi::genl::ctrl::{dump_families, dump_policy, get_family};
use l2tp_abi::genl::ferrowire;
use l2tp_abi::genl::l2tp::{
    L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, L2TP_PWTYPE_ETH, L2TP_PWTYPE_PPP, Request, SessionCreate,
    SessionKey, SessionModify, TunnelCreate, TunnelSocket,
};
use l2tp_abi::nl::{Header, NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NLM_F_MULTI};
use l2tp_mgmt::netlink::{FERROWIRE_FAMILY_ID, L2TP_FAMILY_ID, L2TP_GROUP_ID};
use serde_json::Value;

use crate::{Corpus, json, unhex};

/// Answers of each kind that are kept.
const PER_COMMAND: usize = 24;

/// Commands of random bytes: every kind meets every other.
pub(crate) fn commands() {
    let mut corpus = Corpus::new("commands");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for number in 0..24 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            // xorshift64: the same everywhere.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_be_bytes()[0]
        })
        .take(1200)
        .collect();
        corpus.add(&format!("random-{number}"), &bytes);
    }
}

/// Requests and answers as they were recorded.
pub(crate) fn netlink() {
    let mut corpus = Corpus::new("netlink");
    let oracle = json("errno-oracle.json");
    for (number, sample) in oracle["samples"].as_array().unwrap().iter().enumerate() {
        for (index, get) in sample["gets"].as_array().unwrap().iter().enumerate() {
            add_hex(&mut corpus, &format!("request-{number}-{index}"), &get["request_hex"]);
            for (reply, value) in get["replies"].as_array().unwrap().iter().enumerate().take(PER_COMMAND) {
                add_hex(&mut corpus, &format!("reply-{number}-{index}-{reply}"), &value["hex"]);
            }
        }
    }
    for (number, step) in oracle["notifications"].as_array().unwrap().iter().enumerate() {
        for (index, heard) in step["heard"].as_array().unwrap().iter().enumerate() {
            add_hex(&mut corpus, &format!("notification-{number}-{index}"), &heard["hex"]);
        }
    }
    for case in json("nlctrl.json")["cases"].as_array().unwrap() {
        let options = (case["ext_ack"] == true, case["cap_ack"] == true);
        let name = format!(
            "nlctrl-{}-{}{}",
            case["name"].as_str().unwrap(),
            u8::from(options.0),
            u8::from(options.1)
        );
        add_hex(&mut corpus, &format!("{name}-request"), &case["request"]);
        for (index, reply) in case["replies"].as_array().unwrap().iter().enumerate().take(2) {
            add_hex(&mut corpus, &format!("{name}-{index}"), reply);
        }
    }
    ferrowire_family(&mut corpus);
}

/// The family of our own: nothing is recorded of it.
fn ferrowire_family(corpus: &mut Corpus) {
    let header = Header { kind: FERROWIRE_FAMILY_ID, flags: NLM_F_MULTI, seq: 1, port: 2 };
    let (mut counter, mut text) = (Vec::new(), Vec::new());
    ferrowire::emit_counter(&mut counter, header, "delivered", 7);
    ferrowire::emit_text(&mut text, header, ferrowire::FERROWIRE_CMD_DEBUG_TUNNELS, "TUNNEL 1 peer 2\n");
    corpus.add("ferrowire-counter", &counter);
    corpus.add("ferrowire-text", &text);
    corpus.add("ferrowire-join", &ferrowire::Request::Join(8).emit(FERROWIRE_FAMILY_ID, 3));
}

fn add_hex(corpus: &mut Corpus, name: &str, hex: &Value) {
    if let Some(hex) = hex.as_str() {
        corpus.add(name, &unhex(hex));
    }
}

/// A script for the server target.
#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn send(mut self, program: u8, datagram: &[u8]) -> Self {
        self.0.push(program);
        Input::put_record(&mut self.0, datagram);
        self
    }

    fn ask(self, request: &Request) -> Self {
        let datagram = request.emit(L2TP_FAMILY_ID, 7);
        self.send(0, &datagram)
    }

    fn read_on(mut self, program: u8) -> Self {
        self.0.push(60 * 4 + program);
        self
    }

    fn option(mut self, program: u8, option: i32, value: u32) -> Self {
        self.0.extend([62 * 4 + program, u8::try_from(option).unwrap(), u8::try_from(value).unwrap()]);
        self
    }
}

fn tunnel(conn_id: u32, proto_version: u8, encap_type: u16, v6: bool) -> Request {
    let (local, peer) = if v6 {
        (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into())
    } else {
        (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into())
    };
    let sport = u16::try_from(5000 + conn_id).unwrap();
    let ports = (encap_type == L2TP_ENCAPTYPE_UDP).then_some((sport, 6000));
    Request::TunnelCreate(TunnelCreate {
        conn_id,
        peer_conn_id: conn_id + 100,
        proto_version,
        encap_type,
        socket: TunnelSocket::Addresses { local, peer, ports },
        udp_csum: !v6,
        udp_zero_csum6_tx: v6,
        udp_zero_csum6_rx: v6,
    })
}

fn session(conn_id: u32, session_id: u32, pw_type: u16) -> SessionCreate {
    SessionCreate {
        conn_id,
        session_id,
        peer_session_id: session_id + 10,
        pw_type,
        ..SessionCreate::default()
    }
}

fn key(conn_id: u32, session_id: u32) -> SessionKey {
    SessionKey::Ids { conn_id, session_id }
}

fn modify(key: SessionKey) -> Request {
    Request::SessionModify(SessionModify {
        key,
        recv_seq: Some(true),
        send_seq: Some(true),
        lns_mode: None,
        recv_timeout: Some(100),
    })
}

/// What programs do, in order and out of it.
pub(crate) fn server() {
    let mut corpus = Corpus::new("server");
    for (name, request) in forms() {
        let script = Script::default().ask(&request).ask(&Request::TunnelGet(1)).ask(&Request::TunnelDump);
        corpus.add(&format!("tunnel-{name}"), &script.read_on(0).ask(&Request::TunnelDelete(1)).0);
    }
    for (name, request) in sessions() {
        let script = Script::default().ask(&tunnel(1, if name.starts_with("v2") { 2 } else { 3 }, 0, false));
        let script = script.ask(&Request::SessionCreate(request)).ask(&Request::SessionGet(key(1, 2)));
        let script = script.ask(&modify(key(1, 2))).ask(&Request::SessionDump).read_on(0).read_on(0);
        corpus.add(&format!("session-{name}"), &script.ask(&Request::SessionDelete(key(1, 2))).0);
    }
    corpus.add("many-in-one-datagram", &batch().0);
    corpus.add("names", &names().0);
    corpus.add("collisions", &collisions().0);
    corpus.add("controller", &controller().0);
    corpus.add("listener-and-stranger", &listener().0);
}

fn forms() -> Vec<(&'static str, Request)> {
    let fd = TunnelCreate {
        conn_id: 1,
        peer_conn_id: 2,
        proto_version: 3,
        encap_type: 0,
        socket: TunnelSocket::Fd(3),
        udp_csum: false,
        udp_zero_csum6_tx: false,
        udp_zero_csum6_rx: false,
    };
    vec![
        ("udp4", tunnel(1, 3, L2TP_ENCAPTYPE_UDP, false)),
        ("udp6", tunnel(1, 3, L2TP_ENCAPTYPE_UDP, true)),
        ("ip4", tunnel(1, 3, L2TP_ENCAPTYPE_IP, false)),
        ("ip6", tunnel(1, 3, L2TP_ENCAPTYPE_IP, true)),
        ("v2", tunnel(1, 2, L2TP_ENCAPTYPE_UDP, false)),
        ("unknown-encap", tunnel(1, 3, 9, false)),
        ("no-fd", Request::TunnelCreate(TunnelCreate { socket: TunnelSocket::Fd(u32::MAX), ..fd.clone() })),
        ("fd", Request::TunnelCreate(fd)),
    ]
}

fn sessions() -> Vec<(&'static str, SessionCreate)> {
    let eth = session(1, 2, L2TP_PWTYPE_ETH);
    vec![
        ("eth", eth.clone()),
        (
            "eth-everything",
            SessionCreate {
                l2spec_type: Some(0),
                recv_seq: true,
                send_seq: true,
                lns_mode: true,
                recv_timeout: 50,
                cookie: vec![1; 8],
                peer_cookie: vec![2; 4],
                ifname: Some("fuzz%d".to_owned()),
                vlan_id: Some(7),
                ..eth.clone()
            },
        ),
        ("eth-bad-name", SessionCreate { ifname: Some("a/b".to_owned()), ..eth.clone() }),
        ("eth-bad-sublayer", SessionCreate { l2spec_type: Some(9), ..eth }),
        ("ppp", session(1, 2, L2TP_PWTYPE_PPP)),
        ("v2-ppp", session(1, 2, L2TP_PWTYPE_PPP)),
        ("v2-eth", session(1, 2, L2TP_PWTYPE_ETH)),
        ("v2-management", session(1, 0, L2TP_PWTYPE_PPP)),
    ]
}

/// Three requests in one datagram, and a tunnel deleted with its sessions.
fn batch() -> Script {
    let requests =
        [tunnel(1, 3, 0, false), Request::SessionCreate(session(1, 2, L2TP_PWTYPE_ETH)), Request::Noop];
    let datagram: Vec<u8> = requests.iter().flat_map(|request| request.emit(L2TP_FAMILY_ID, 1)).collect();
    Script::default().send(0, &datagram).ask(&Request::TunnelModify(1)).ask(&Request::TunnelDelete(1))
}

fn names() -> Script {
    let named = SessionCreate { ifname: Some("fuzz0".to_owned()), ..session(1, 2, L2TP_PWTYPE_ETH) };
    let by_name = || SessionKey::Ifname("fuzz0".to_owned());
    let script = Script::default().ask(&tunnel(1, 3, 0, false)).ask(&Request::SessionCreate(named.clone()));
    let again = SessionCreate { session_id: 3, ..named };
    let script = script.ask(&Request::SessionCreate(again)).ask(&Request::SessionGet(by_name()));
    script
        .ask(&modify(by_name()))
        .ask(&Request::SessionDelete(by_name()))
        .ask(&Request::SessionGet(by_name()))
}

/// The same session id in tunnels over UDP and over IP.
fn collisions() -> Script {
    let script = Script::default().ask(&tunnel(1, 3, 0, false)).ask(&tunnel(2, 3, 0, false));
    let script = script.ask(&tunnel(3, 3, 1, false)).ask(&tunnel(4, 2, 0, false)).ask(&tunnel(1, 3, 0, true));
    let script = [1, 2, 3, 1].into_iter().fold(script, |script, conn_id| {
        script.ask(&Request::SessionCreate(session(conn_id, 2, L2TP_PWTYPE_ETH)))
    });
    script.ask(&Request::SessionCreate(session(4, 2, L2TP_PWTYPE_PPP))).ask(&Request::TunnelDelete(2))
}

fn controller() -> Script {
    let script = Script::default().send(0, &get_family("l2tp", 1)).send(1, &get_family("nlctrl", 2));
    let script = script.send(0, &dump_families(3)).read_on(0).send(0, &dump_policy("l2tp", 4)).read_on(0);
    script.read_on(0).send(1, &dump_policy("nlctrl", 5)).read_on(1).read_on(1).send(1, &get_family("x", 6))
}

/// One program listens, another acts, a third may not.
fn listener() -> Script {
    let create = tunnel(1, 3, 0, false).emit(L2TP_FAMILY_ID, 9);
    let script =
        Script::default().option(1, NETLINK_ADD_MEMBERSHIP, L2TP_GROUP_ID).option(0, NETLINK_CAP_ACK, 1);
    let script = script.send(2, &create).send(2, &Request::Noop.emit(L2TP_FAMILY_ID, 1)).send(0, &create);
    script.send(2, &Request::TunnelDump.emit(L2TP_FAMILY_ID, 2)).ask(&Request::TunnelDelete(1))
}
