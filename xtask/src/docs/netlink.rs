//! The page of the generic netlink family.

use anyhow::{Context, Result, bail};
use l2tp_abi::genl::l2tp::{L2TP_ATTR_MAX, OPERATIONS, POLICY};
use l2tp_abi::genl::{GENL_CMD_CAP_DUMP, GENL_UNS_ADMIN_PERM};
use l2tp_abi::nl::Rule;

use super::source::{Item, constants};
use super::{Page, code, table};
use crate::tree::read;

/// Commands and attributes of the family "l2tp".
pub(crate) fn netlink() -> Result<Page> {
    let uapi = read("crates/l2tp-abi/src/genl/l2tp/uapi.rs")?;
    let body = format!(
        "## Commands\n\n{}\n## Attributes\n\n{}\n## Attributes in `L2TP_ATTR_STATS`\n\n{}",
        commands(&uapi)?,
        attributes(&uapi)?,
        stats(&uapi)
    );
    let introduction = "The family `l2tp`, version 1, multicast group `l2tp`, as the kernel has it. Integers are in the \
                        byte order of the machine. An attribute that breaks its rule is `ERANGE`, a text `EINVAL`.";
    Ok(Page::new("netlink.md", "Netlink", introduction, &body))
}

fn commands(uapi: &str) -> Result<String> {
    let named = constants(uapi, "L2TP_CMD_");
    let rows = OPERATIONS.iter().map(|operation| {
        let (item, _) = find(&named, operation.cmd.into())?;
        let yes = |flag: u32| if operation.flags & flag == 0 { "" } else { "yes" }.to_owned();
        let (dump, privilege) = (yes(GENL_CMD_CAP_DUMP), yes(GENL_UNS_ADMIN_PERM));
        Ok(vec![operation.cmd.to_string(), code(&item.name), item.doc.clone(), dump, privilege])
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    Ok(table(&["number", "command", "what it does", "dump", "needs CAP_NET_ADMIN"], rows))
}

fn attributes(uapi: &str) -> Result<String> {
    let named = constants(uapi, "L2TP_ATTR_");
    if POLICY.max_type() != usize::from(L2TP_ATTR_MAX) {
        bail!("the policy ends at {}, the attributes at {L2TP_ATTR_MAX}", POLICY.max_type());
    }
    let rows = POLICY.rules().skip(1).map(|(kind, rule)| {
        let (item, _) = find(&named, kind.into())?;
        Ok(vec![kind.to_string(), code(&item.name), rule_text(rule), item.doc.clone()])
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    Ok(table(&["number", "attribute", "rule", "meaning"], rows))
}

/// The first constant with this value: those of the nest, which are numbered anew, come later.
fn find(named: &[(Item, String)], number: u32) -> Result<&(Item, String)> {
    let found = named.iter().find(|(_, value)| value.parse() == Ok(number));
    found.with_context(|| format!("uapi.rs has no name for number {number}"))
}

fn stats(uapi: &str) -> String {
    let named = constants(uapi, "L2TP_ATTR_");
    let nest = named.into_iter().skip_while(|(item, _)| item.name != "L2TP_ATTR_PAD").skip(1);
    table(&["number", "attribute", "rule"], nest.map(|(item, value)| vec![value, code(item.name), item.doc]))
}

fn rule_text(rule: Rule) -> String {
    match rule {
        Rule::Unspec => "any".to_owned(),
        Rule::U8 => "at least 1 byte".to_owned(),
        Rule::U16 => "at least 2 bytes".to_owned(),
        Rule::U32 => "at least 4 bytes".to_owned(),
        Rule::U64 | Rule::Msecs => "at least 8 bytes".to_owned(),
        Rule::NulString(max) => format!("text, a NUL after at most {max} bytes"),
        Rule::Binary(max) => format!("at most {max} bytes"),
        Rule::Flag => "no bytes".to_owned(),
        Rule::Nested => "empty, or attributes".to_owned(),
    }
}
