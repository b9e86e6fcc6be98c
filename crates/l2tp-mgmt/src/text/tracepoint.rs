//! The lines that the kernel's tracepoints print (`TP_printk` of `net/l2tp/trace.h`), behind the name of the event.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Debug, Write as _};

use l2tp_abi::genl::l2tp::{
    L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, L2TP_PWTYPE_ETH, L2TP_PWTYPE_ETH_VLAN, L2TP_PWTYPE_IP,
    L2TP_PWTYPE_PPP, L2TP_PWTYPE_PPP_AC,
};
use tracing::Event;
use tracing::field::{Field, Visit};

/// One tracepoint in the kernel's words: `delete_tunnel: tunl 1`.
#[must_use]
pub fn tracepoint(event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut text = format!("{}: {}", event.metadata().name(), fields.name);
    let separator = if fields.numbers.is_empty() { "" } else { ":" };
    text.push_str(separator);
    // Memory refuses nothing.
    let _: fmt::Result = match event.metadata().name() {
        "register_tunnel" => fields.register_tunnel(&mut text),
        "register_session" => fields.register_session(&mut text),
        _ => fields.numbers.iter().try_for_each(|(name, value)| write!(text, " {name}={value}")),
    };
    text
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    name: String,
    numbers: Vec<(&'static str, i64)>,
}

impl Fields {
    fn get(&self, wanted: &str) -> i64 {
        self.numbers.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, value)| *value)
    }

    /// The kernel calls a tunnel on descriptor 0 unmanaged.
    fn register_tunnel(&self, text: &mut String) -> fmt::Result {
        let kind = if self.get("fd") >= 0 { "managed" } else { "unmanaged" };
        let (encap, version) = (symbol(self.get("encap"), &ENCAPS), self.get("version"));
        let (tid, ptid, fd) = (self.get("tid"), self.get("ptid"), self.get("fd"));
        write!(text, " type={kind} encap={encap} version=L2TPv{version} tid={tid} ptid={ptid} fd={fd}")
    }

    /// The kernel prints the session's ids once more where those of the tunnel should stand.
    fn register_session(&self, text: &mut String) -> fmt::Result {
        let pseudowire = symbol(self.get("pwtype"), &PSEUDOWIRES);
        let (sid, psid, tid, ptid) = (self.get("sid"), self.get("psid"), self.get("tid"), self.get("ptid"));
        write!(text, " pseudowire={pseudowire} sid={sid} psid={psid} tid={tid} ptid={ptid}")
    }
}

/// `show_encap_type_name`.
const ENCAPS: [(u16, &str); 2] = [(L2TP_ENCAPTYPE_UDP, "UDP"), (L2TP_ENCAPTYPE_IP, "IP")];

/// `show_pw_type_name`.
const PSEUDOWIRES: [(u16, &str); 5] = [
    (L2TP_PWTYPE_ETH_VLAN, "ETH_VLAN"),
    (L2TP_PWTYPE_ETH, "ETH"),
    (L2TP_PWTYPE_PPP, "PPP"),
    (L2TP_PWTYPE_PPP_AC, "PPP_AC"),
    (L2TP_PWTYPE_IP, "IP"),
];

fn symbol(value: i64, symbols: &[(u16, &'static str)]) -> &'static str {
    symbols.iter().find(|(number, _)| i64::from(*number) == value).map_or("?", |(_, symbol)| *symbol)
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.numbers.push((field.name(), value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.push((field.name(), i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.name = format!("{value:?}");
    }
}
