//! The page of refused commands.

use l2tp_abi::Errno;
use l2tp_core::Error;

use super::{Page, code, table};

/// Every cause; a test keeps this list whole.
const CAUSES: &[Error] = &[
    Error::UnknownEncap,
    Error::TunnelExists,
    Error::NoTunnel,
    Error::NoSession,
    Error::SessionExists,
    Error::PwTypeOutOfRange,
    Error::PwTypeUnsupported,
    Error::BadVlanId,
    Error::UnknownL2spec,
    Error::BadName,
    Error::Full,
];

/// Where a cause stands in [`CAUSES`]. A new one does not compile until it is here.
#[cfg(test)]
fn place(error: Error) -> Option<usize> {
    Some(match error {
        Error::UnknownEncap => 0,
        Error::TunnelExists => 1,
        Error::NoTunnel => 2,
        Error::NoSession => 3,
        Error::SessionExists => 4,
        Error::PwTypeOutOfRange => 5,
        Error::PwTypeUnsupported => 6,
        Error::BadVlanId => 7,
        Error::UnknownL2spec => 8,
        Error::BadName => 9,
        Error::Full => 10,
        Error::Host(_) => return None,
    })
}

/// Why commands are refused, and with which errno.
pub(crate) fn errors() -> Page {
    let rows = CAUSES.iter().map(|cause| {
        let errno = cause.errno();
        vec![cause.to_string(), name(errno), errno.0.to_string(), errno.to_string()]
    });
    let host =
        ["what the operating system answered to bind, connect or the making of a device", "its own", "", ""];
    let rows = rows.chain([host.map(str::to_owned).to_vec()]);
    Page::new(
        "errors.md",
        "Errors",
        "Why a command is refused, and the errno that the program sees. Faults of the request itself (attributes that \
         are missing, too short or too long) are found before; see [netlink](netlink.md).",
        &table(&["cause", "errno", "number", "text"], rows),
    )
}

fn name(errno: Errno) -> String {
    code(errno.name().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_listed() {
        for (index, cause) in CAUSES.iter().enumerate() {
            assert_eq!(place(*cause), Some(index));
        }
        assert_eq!(place(Error::Host(Errno::EPERM)), None);
        assert!(errors().text.contains("| a tunnel with this id exists | `EEXIST` | 17 | File exists |"));
    }
}
