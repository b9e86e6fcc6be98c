//! Why the fast path is not there, and why it does not carry a session.

use std::error::Error;
use std::io;

use aya::EbpfError;
use aya::programs::ProgramError;

/// Why the fast path is not there. The text says what is missing and what to do.
#[derive(Debug, thiserror::Error)]
#[error("no BPF fast path: {reason}")]
pub struct Unavailable {
    reason: String,
}

impl From<EbpfError> for Unavailable {
    fn from(error: EbpfError) -> Self {
        if let EbpfError::ProgramError(ProgramError::LoadError { io_error, verifier_log }) = &error
            && let Some(verdict) = verdict(&verifier_log.to_string(), io_error)
        {
            let reason = format!(
                "this kernel's verifier does not take the programs ({verdict}): please report this, with its version"
            );
            return Self { reason };
        }
        let reason = match errno(&error) {
            Some(libc::EPERM | libc::EACCES) => {
                "the kernel does not let this process load programs: it needs CAP_BPF and CAP_NET_ADMIN (run as root, in a container with \
                 --cap-add BPF --cap-add NET_ADMIN), and no lockdown or security module that forbids it"
                    .to_owned()
            }
            Some(libc::ENOSYS) => "this kernel is built without BPF (CONFIG_BPF_SYSCALL)".to_owned(),
            Some(libc::ENOMEM) => "the kernel has no memory for its maps, or RLIMIT_MEMLOCK is too low (ulimit -l unlimited)".to_owned(),
            Some(number) => {
                let error = io::Error::from_raw_os_error(number);
                format!("this kernel does not take the programs ({error}): it needs Linux 6.1 or later with CONFIG_NET_CLS_BPF")
            }
            None => error.to_string(),
        };
        Self { reason }
    }
}

/// What the verifier has against a program, from the end of its log; `None` if it has not been asked. Its log is empty if it took the program and
/// something else in the kernel did not, and if the process may not load programs at all.
fn verdict<'a>(log: &'a str, error: &io::Error) -> Option<&'a str> {
    if error.raw_os_error() == Some(libc::EPERM) {
        return None;
    }
    let mut lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.rfind(|line| !STATISTICS.iter().any(|word| line.starts_with(word)))
}

/// How the lines begin that the verifier ends its log with, whatever it has said before (`print_verification_stats`, kernel/bpf/verifier.c).
const STATISTICS: [&str; 3] = ["verification time", "stack depth", "processed "];

/// The kernel's error at the root of one of aya's.
fn errno(error: &EbpfError) -> Option<i32> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error();
        }
        next = error.source();
    }
    None
}

/// Why the fast path does not carry a session. The text is for the user.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Addresses of two families.
    #[error("local address and peer are of different families")]
    Families,
    /// A tunnel that takes packets from any port, or whose port is not known.
    #[error("the tunnel has no fixed UDP ports")]
    NoPort,
    /// An L2TPv2 pattern without UDP or with a payload other than PPP.
    #[error("L2TPv2 is PPP over UDP")]
    NotL2tpv2,
    /// An L2TP header that is empty or longer than [`Tx::HEADER_MAX`](crate::Tx::HEADER_MAX), or a cookie of more than 8 bytes.
    #[error("the L2TP header is empty or too long")]
    Header,
    /// IPv6 without leave to receive without checksum.
    #[error("packets without UDP checksum over IPv6 are not allowed (udp6zerocsumrx)")]
    ZeroChecksum,
    /// The path is too narrow for any frame.
    #[error("the path's MTU leaves no room for a frame")]
    Mtu,
    /// Another session has the device or the ids already.
    #[error("another session on the fast path has this device, or these ids at this port")]
    Taken,
    /// No room for more sessions.
    #[error("the fast path is full: {0} sessions")]
    Full(u32),
    /// The kernel refused.
    #[error("the kernel refused: {0}")]
    Kernel(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use aya::maps::MapError;

    use super::*;

    /// The end of a log.
    const LOG: &str = "228: (79) r5 = *(u64 *)(r2 +26)\nmisaligned packet access off 2+0+0+26 size 8\nverification time 463 usec\nstack depth 96\n\
                       processed 183 insns (limit 1000000) max_states_per_insn 0 total_states 12 peak_states 12 mark_read 7\n\n";

    fn verdict_of(number: i32, log: &str) -> Option<&str> {
        verdict(log, &io::Error::from_raw_os_error(number))
    }

    #[test]
    fn what_the_verifier_says() {
        let words = Some("misaligned packet access off 2+0+0+26 size 8");
        assert_eq!(verdict_of(libc::EACCES, LOG), words);
        assert_eq!(verdict_of(libc::EINVAL, LOG), words);
    }

    #[test]
    fn a_missing_capability_is_no_refusal_by_the_verifier() {
        assert_eq!(verdict_of(libc::EPERM, LOG), None);
        assert_eq!(verdict_of(libc::EACCES, ""), None);
        // The maps come first.
        let io_error = io::Error::from_raw_os_error(libc::EPERM);
        let error = EbpfError::from(MapError::CreateError { name: "TX".to_owned(), io_error });
        assert!(Unavailable::from(error).to_string().contains("CAP_BPF"));
    }
}
