//! The numbers of the system calls that are trapped, machine by machine.
//!
//! Source: `arch/x86/entry/syscalls/syscall_64.tbl`, `include/uapi/asm-generic/unistd.h`, `include/uapi/linux/audit.h`.

/// A system call that may be trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syscall {
    Socket,
    Connect,
    Sendto,
    Sendmsg,
    Sendmmsg,
    Write,
    Writev,
    Recvfrom,
    Recvmsg,
    Recvmmsg,
    Read,
    Readv,
    Setsockopt,
    Bind,
    Listen,
    Accept,
    Accept4,
    Shutdown,
    Getsockname,
    Getpeername,
    Getsockopt,
    Ioctl,
    Dup,
    Fcntl,
    Open,
    Openat,
}

/// A machine's numbers.
#[derive(Debug)]
pub(crate) struct Table {
    /// `AUDIT_ARCH_…`: what the filter sees in `seccomp_data.arch`.
    pub(crate) architecture: u32,
    numbers: &'static [(Syscall, u32)],
}

impl Table {
    /// The call's number; `None` where the machine has no such call.
    pub(crate) fn number(&self, call: Syscall) -> Option<u32> {
        self.numbers.iter().find(|(known, _)| *known == call).map(|(_, number)| *number)
    }

    /// The call with this number, if it is one that may be trapped.
    pub(crate) fn call(&self, number: u32) -> Option<Syscall> {
        self.numbers.iter().find(|(_, known)| *known == number).map(|(call, _)| *call)
    }
}

/// x86-64.
#[cfg(any(test, target_arch = "x86_64"))]
pub(crate) const X86_64: Table = Table {
    architecture: 0xc000_003e,
    numbers: &[
        (Syscall::Read, 0),
        (Syscall::Write, 1),
        (Syscall::Open, 2),
        (Syscall::Ioctl, 16),
        (Syscall::Readv, 19),
        (Syscall::Writev, 20),
        (Syscall::Dup, 32),
        (Syscall::Socket, 41),
        (Syscall::Connect, 42),
        (Syscall::Accept, 43),
        (Syscall::Sendto, 44),
        (Syscall::Recvfrom, 45),
        (Syscall::Sendmsg, 46),
        (Syscall::Recvmsg, 47),
        (Syscall::Bind, 49),
        (Syscall::Shutdown, 48),
        (Syscall::Listen, 50),
        (Syscall::Getsockname, 51),
        (Syscall::Getpeername, 52),
        (Syscall::Setsockopt, 54),
        (Syscall::Getsockopt, 55),
        (Syscall::Fcntl, 72),
        (Syscall::Openat, 257),
        (Syscall::Accept4, 288),
        (Syscall::Recvmmsg, 299),
        (Syscall::Sendmmsg, 307),
    ],
};

/// 64-bit ARM, which has no open(2).
#[cfg(any(test, target_arch = "aarch64"))]
pub(crate) const AARCH64: Table = Table {
    architecture: 0xc000_00b7,
    numbers: &[
        (Syscall::Dup, 23),
        (Syscall::Fcntl, 25),
        (Syscall::Ioctl, 29),
        (Syscall::Openat, 56),
        (Syscall::Read, 63),
        (Syscall::Write, 64),
        (Syscall::Readv, 65),
        (Syscall::Writev, 66),
        (Syscall::Socket, 198),
        (Syscall::Bind, 200),
        (Syscall::Listen, 201),
        (Syscall::Accept, 202),
        (Syscall::Connect, 203),
        (Syscall::Getsockname, 204),
        (Syscall::Getpeername, 205),
        (Syscall::Sendto, 206),
        (Syscall::Recvfrom, 207),
        (Syscall::Setsockopt, 208),
        (Syscall::Getsockopt, 209),
        (Syscall::Shutdown, 210),
        (Syscall::Sendmsg, 211),
        (Syscall::Recvmsg, 212),
        (Syscall::Accept4, 242),
        (Syscall::Recvmmsg, 243),
        (Syscall::Sendmmsg, 269),
    ],
};

/// This machine's.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: Table = X86_64;
/// This machine's.
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: Table = AARCH64;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the numbers of this machine's system calls are missing in this file");
