//! The kernel's own generic netlink families.

use std::io;

use l2tp_abi::genl::ctrl::{FamilyMessage, dump_families, get_family};
use l2tp_abi::genl::l2tp::L2TP_GENL_NAME;
use l2tp_abi::nl::{Ack, Messages, NLMSG_DONE};
use l2tp_io::genl::GenericNetlink;

/// All families. The one that matters is asked for by name first: that makes the kernel load its module, if it has one.
pub(super) fn families() -> io::Result<Vec<FamilyMessage>> {
    let kernel = GenericNetlink::open()?;
    kernel.send(&get_family(L2TP_GENL_NAME, 1))?;
    while !Messages::new(&kernel.recv()?).any(|message| Ack::parse(&message).is_some()) {}
    kernel.send(&dump_families(2))?;
    let mut families = Vec::new();
    loop {
        for message in Messages::new(&kernel.recv()?) {
            if message.header.kind == NLMSG_DONE || Ack::parse(&message).is_some() {
                return Ok(families);
            }
            families.extend(FamilyMessage::parse(&message));
        }
    }
}

/// Whether the kernel has L2TP itself.
pub(super) fn has_l2tp(families: &[FamilyMessage]) -> bool {
    families.iter().any(|family| family.name == L2TP_GENL_NAME)
}
