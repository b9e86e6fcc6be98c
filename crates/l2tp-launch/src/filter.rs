//! The seccomp filter: which system calls are trapped, and which run at full speed.
//!
//! A filter sees numbers and registers, not objects. So the sockets that are emulated get descriptors in a [`Window`], and
//! calls on descriptors are trapped there only; the rest is told apart by arguments. Everything else is never seen.

mod assembler;
mod syscalls;
#[cfg(test)]
mod tests;

pub(crate) use assembler::Instruction;
pub(crate) use syscalls::{NATIVE, Syscall, Table};

use crate::window::Window;
use assembler::{Assembler, Label};
use rustix::net::AddressFamily;

/// `AF_NETLINK` socket protocol (include/uapi/linux/netlink.h).
const NETLINK_GENERIC: u32 = 16;
/// Protocol of L2TP over IP (include/uapi/linux/in.h).
const IPPROTO_L2TP: u32 = 115;

/// `SIOCINQ` (include/uapi/asm-generic/ioctls.h).
const FIONREAD: u32 = 0x541b;

/// Offsets in `struct seccomp_data`, for words of 32 bits on little-endian machines.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Which opens of files are trapped, to answer those of the kernel's debug texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// Reading without `O_CLOEXEC`: `cat`, `grep`, C's `fopen`, redirections of a shell, but not the dynamic loader.
    Plain,
    /// All for reading: Python's and Go's too.
    All,
}

/// Calls whose first argument is a descriptor of the window.
const ON_SOCKETS: [Syscall; 13] = [
    Syscall::Sendto,
    Syscall::Sendmsg,
    Syscall::Sendmmsg,
    Syscall::Write,
    Syscall::Writev,
    Syscall::Recvfrom,
    Syscall::Recvmsg,
    Syscall::Recvmmsg,
    Syscall::Read,
    Syscall::Readv,
    Syscall::Connect,
    Syscall::Setsockopt,
    Syscall::Dup,
];

/// Calls whose first argument is a descriptor of the L2TPIP part of the window.
const ON_L2TPIP: [Syscall; 7] = [
    Syscall::Bind,
    Syscall::Getsockname,
    Syscall::Getpeername,
    Syscall::Getsockopt,
    Syscall::Listen,
    Syscall::Accept,
    Syscall::Accept4,
];

/// The filter for the machine of `table`.
pub(crate) fn build(table: &Table, window: Window, opens: Opens) -> Vec<Instruction> {
    let mut code = Assembler::default();
    code.load(ARCHITECTURE);
    code.jump_unless_equal(table.architecture, Label::Allow);
    code.load(NUMBER);
    // On x86-64, calls of the x32 kind: other numbers, other structures.
    code.jump_if_at_least(0x4000_0000, Label::Allow);
    let sockets = ON_SOCKETS.map(|call| (call, Label::Descriptor));
    let l2tpip = ON_L2TPIP.map(|call| (call, Label::L2tpip));
    let others = [
        (Syscall::Fcntl, Label::Fcntl),
        (Syscall::Ioctl, Label::Ioctl),
        (Syscall::Socket, Label::Socket),
        (Syscall::Openat, Label::Openat),
        (Syscall::Open, Label::Open),
    ];
    for (call, label) in sockets.into_iter().chain(l2tpip).chain(others) {
        if let Some(number) = table.number(call) {
            code.jump_if_equal(number, label);
        }
    }
    code.allow();
    socket(&mut code);
    opening(&mut code, opens);
    controls(&mut code, window);
    descriptor(&mut code, window);
    code.finish()
}

/// socket(2): generic netlink, and protocol 115 over IPv4 and IPv6.
fn socket(code: &mut Assembler) {
    let number = |family: AddressFamily| u32::from(family.as_raw());
    code.place(Label::Socket);
    code.load(argument(0));
    code.jump_if_equal(number(AddressFamily::INET), Label::Internet);
    code.jump_if_equal(number(AddressFamily::INET6), Label::Internet);
    code.jump_unless_equal(number(AddressFamily::NETLINK), Label::Allow);
    code.load(argument(2));
    code.jump_unless_equal(NETLINK_GENERIC, Label::Allow);
    code.notify();
    code.place(Label::Internet);
    code.load(argument(2));
    code.jump_unless_equal(IPPROTO_L2TP, Label::Allow);
    code.notify();
}

/// open(2), openat(2): files to read.
fn opening(code: &mut Assembler, opens: Opens) {
    let mut looked_at = libc::O_ACCMODE | libc::O_DIRECTORY | libc::O_PATH;
    if opens == Opens::Plain {
        looked_at |= libc::O_CLOEXEC;
    }
    for (label, flags) in [(Label::Openat, 2), (Label::Open, 1)] {
        code.place(label);
        code.load(argument(flags));
        code.mask(looked_at.cast_unsigned());
        code.jump_unless_equal(libc::O_RDONLY.cast_unsigned(), Label::Allow);
        code.notify();
    }
}

/// ioctl(2): how many bytes can be read. fcntl(2): copies of a descriptor.
fn controls(code: &mut Assembler, window: Window) {
    code.place(Label::Ioctl);
    code.load(argument(1));
    code.jump_unless_equal(FIONREAD, Label::Allow);
    code.place(Label::L2tpip);
    code.load(argument(0));
    code.jump_unless_at_least(window.middle, Label::Allow);
    code.jump_if_at_least(window.end, Label::Allow);
    code.notify();
    code.place(Label::Fcntl);
    code.load(argument(1));
    code.jump_if_equal(libc::F_DUPFD.cast_unsigned(), Label::Descriptor);
    code.jump_unless_equal(libc::F_DUPFD_CLOEXEC.cast_unsigned(), Label::Allow);
}

/// Calls on a descriptor: trapped if it is in the window.
fn descriptor(code: &mut Assembler, window: Window) {
    code.place(Label::Descriptor);
    code.load(argument(0));
    code.jump_if_at_least(window.end, Label::Allow);
    code.jump_unless_at_least(window.start, Label::Allow);
    code.notify();
    code.place(Label::Allow);
    code.allow();
}

/// The lower half of an argument; those looked at are C's `int`.
const fn argument(index: u32) -> u32 {
    ARGUMENTS + 8 * index
}
