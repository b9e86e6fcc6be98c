//! The seccomp filter: which system calls are trapped, and which run at full speed.
//!
//! A filter sees numbers and registers, not objects. So the sockets that are emulated get descriptors in a [`Window`], and
//! calls on descriptors are trapped there only; the rest, PPP's among it, is told apart by arguments. Everything else is never
//! seen.

mod assembler;
mod syscalls;
#[cfg(test)]
mod tests;

pub(crate) use assembler::Instruction;
pub(crate) use syscalls::{NATIVE, Syscall, Table};

use crate::window::Window;
use assembler::{Assembler, Label};
use l2tp_abi::ppp::SOL_PPPOL2TP;
use l2tp_abi::ppp::ioctl::{SIOCGPPPCSTATS, SIOCGPPPSTATS, SIOCGPPPVER};
use l2tp_abi::sockaddr::{AF_PPPOX, Pppol2tpForm};
use l2tp_abi::sockopt::{SO_DOMAIN, SO_PROTOCOL, SO_TYPE, SOL_SOCKET};
use rustix::net::AddressFamily;

/// `AF_NETLINK` socket protocol (include/uapi/linux/netlink.h).
const NETLINK_GENERIC: u32 = 16;
/// Protocol of L2TP over IP (include/uapi/linux/in.h).
const IPPROTO_L2TP: u32 = 115;

/// `SIOCINQ` (include/uapi/asm-generic/ioctls.h).
pub(crate) const FIONREAD: u32 = 0x541b;

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
const ON_SOCKETS: [Syscall; 11] = [
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
    Syscall::Dup,
];

/// Calls whose first argument is a descriptor of the L2TPIP part of the window.
const ON_L2TPIP: [Syscall; 2] = [Syscall::Accept, Syscall::Accept4];

/// Calls on any descriptor: it may be a PPPoL2TP socket, and the arguments do not say. They are rare.
const ON_ANY: [Syscall; 4] = [Syscall::Getsockname, Syscall::Getpeername, Syscall::Listen, Syscall::Shutdown];

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
    let any = ON_ANY.map(|call| (call, Label::Notify));
    let others = [
        (Syscall::Connect, Label::Connect),
        (Syscall::Bind, Label::Bind),
        (Syscall::Setsockopt, Label::Setsockopt),
        (Syscall::Getsockopt, Label::Getsockopt),
        (Syscall::Fcntl, Label::Fcntl),
        (Syscall::Ioctl, Label::Ioctl),
        (Syscall::Socket, Label::Socket),
        (Syscall::Openat, Label::Openat),
        (Syscall::Open, Label::Open),
    ];
    for (call, label) in sockets.into_iter().chain(l2tpip).chain(any).chain(others) {
        if let Some(number) = table.number(call) {
            code.jump_if_equal(number, label);
        }
    }
    code.allow();
    socket(&mut code);
    opening(&mut code, opens);
    addresses(&mut code);
    options(&mut code);
    controls(&mut code);
    descriptor(&mut code, window);
    code.finish()
}

/// socket(2): generic netlink, protocol 115 over IPv4 and IPv6, and PPP over anything.
fn socket(code: &mut Assembler) {
    let number = |family: AddressFamily| u32::from(family.as_raw());
    code.place(Label::Socket);
    code.load(argument(0));
    code.jump_if_equal(AF_PPPOX.into(), Label::Notify);
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

/// open(2), openat(2): files to read, and devices: what is read and written, and not made if it is not there.
fn opening(code: &mut Assembler, opens: Opens) {
    let kind = libc::O_ACCMODE | libc::O_DIRECTORY | libc::O_PATH;
    let text = if opens == Opens::Plain { kind | libc::O_CLOEXEC } else { kind };
    for (label, flags) in [(Label::Openat, 2), (Label::Open, 1)] {
        code.place(label);
        code.load(argument(flags));
        code.mask((kind | libc::O_CREAT).cast_unsigned());
        code.jump_if_equal(libc::O_RDWR.cast_unsigned(), Label::Notify);
        code.load(argument(flags));
        code.mask(text.cast_unsigned());
        code.jump_unless_equal(libc::O_RDONLY.cast_unsigned(), Label::Allow);
        code.notify();
    }
}

/// connect(2), bind(2): addresses of the lengths that those of PPPoL2TP sockets have.
fn addresses(code: &mut Assembler) {
    for (label, else_to) in [(Label::Connect, Label::Descriptor), (Label::Bind, Label::L2tpip)] {
        code.place(label);
        code.load(argument(2));
        for form in Pppol2tpForm::ALL {
            // Two digits.
            code.jump_if_equal(u32::try_from(form.size()).unwrap_or_default(), Label::Notify);
        }
        code.jump_to(else_to);
    }
}

/// setsockopt(2), getsockopt(2): PPPoL2TP's own options, and what a socket says that it is.
fn options(code: &mut Assembler) {
    code.place(Label::Setsockopt);
    code.load(argument(1));
    code.jump_if_equal(SOL_PPPOL2TP, Label::Notify);
    code.jump_to(Label::Descriptor);
    code.place(Label::Getsockopt);
    code.load(argument(1));
    code.jump_if_equal(SOL_PPPOL2TP, Label::Notify);
    code.jump_unless_equal(SOL_SOCKET, Label::L2tpip);
    code.load(argument(2));
    for option in [SO_TYPE, SO_PROTOCOL, SO_DOMAIN] {
        code.jump_if_equal(option, Label::Notify);
    }
    code.jump_to(Label::L2tpip);
}

/// ioctl(2): how many bytes can be read, counters of a device, and all of PPP's requests. fcntl(2): copies of a descriptor.
fn controls(code: &mut Assembler) {
    code.place(Label::Ioctl);
    code.load(argument(1));
    code.jump_if_equal(FIONREAD, Label::L2tpip);
    for request in [SIOCGPPPSTATS, SIOCGPPPVER, SIOCGPPPCSTATS] {
        code.jump_if_equal(request, Label::Notify);
    }
    code.mask(0xff00);
    code.jump_if_equal(u32::from(b't') << 8, Label::Notify);
    code.allow();
    code.place(Label::Fcntl);
    code.load(argument(1));
    code.jump_if_equal(libc::F_DUPFD.cast_unsigned(), Label::Descriptor);
    code.jump_if_equal(libc::F_DUPFD_CLOEXEC.cast_unsigned(), Label::Descriptor);
    code.allow();
}

/// Calls on a descriptor: trapped if it is in the window, or in a part of it.
fn descriptor(code: &mut Assembler, window: Window) {
    for (label, start) in [(Label::L2tpip, window.middle), (Label::Descriptor, window.start)] {
        code.place(label);
        code.load(argument(0));
        code.jump_if_at_least(window.end, Label::Allow);
        code.jump_unless_at_least(start, Label::Allow);
        code.jump_to(Label::Notify);
    }
    code.place(Label::Notify);
    code.notify();
    code.place(Label::Allow);
    code.allow();
}

/// The lower half of an argument; those looked at are C's `int`.
const fn argument(index: u32) -> u32 {
    ARGUMENTS + 8 * index
}
