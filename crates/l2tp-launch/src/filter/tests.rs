//! The filter, run by a small interpreter, on both machines.

use super::syscalls::{AARCH64, X86_64};
use super::{Instruction, NATIVE, Opens, Syscall, Table, build};
use crate::window::Window;

const WINDOW: Window = Window { start: 512, middle: 640, end: 1024 };

/// Whether the filter traps a call with these numbers.
fn traps(code: &[Instruction], architecture: u32, number: u32, arguments: &[u64]) -> bool {
    let mut data = [0_u8; 64];
    data[..4].copy_from_slice(&number.to_le_bytes());
    data[4..8].copy_from_slice(&architecture.to_le_bytes());
    for (slot, argument) in data[16..].chunks_exact_mut(8).zip(arguments) {
        slot.copy_from_slice(&argument.to_le_bytes());
    }
    let (mut at, mut accumulator) = (0, 0_u32);
    loop {
        let instruction = code[at];
        at += 1;
        let (code, k) = (u32::from(instruction.code), instruction.k);
        let jump = |taken: bool| usize::from(if taken { instruction.jt } else { instruction.jf });
        match (code & 7, code & 0xf0) {
            (libc::BPF_LD, _) => {
                let offset = usize::try_from(k).unwrap();
                accumulator = u32::from_le_bytes(*data[offset..].first_chunk().unwrap());
            }
            (libc::BPF_ALU, libc::BPF_AND) => accumulator &= k,
            (libc::BPF_JMP, libc::BPF_JEQ) => at += jump(accumulator == k),
            (libc::BPF_JMP, libc::BPF_JGE) => at += jump(accumulator >= k),
            (libc::BPF_RET, _) => return k == libc::SECCOMP_RET_USER_NOTIF,
            _ => panic!("no such instruction: {code:#x}"),
        }
    }
}

/// What is trapped of a call on one of the machines.
struct Machine {
    table: Table,
    code: Vec<Instruction>,
}

impl Machine {
    fn all(opens: Opens) -> [Self; 2] {
        [X86_64, AARCH64].map(|table| Self { code: build(&table, WINDOW, opens), table })
    }

    fn traps(&self, call: Syscall, arguments: &[u64]) -> bool {
        let Some(number) = self.table.number(call) else { return false };
        traps(&self.code, self.table.architecture, number, arguments)
    }
}

#[test]
fn calls_on_descriptors_only_in_the_window() {
    for machine in Machine::all(Opens::Plain) {
        for call in super::ON_SOCKETS {
            for (descriptor, trapped) in
                [(0, false), (511, false), (512, true), (1023, true), (1024, false), (u64::MAX, false)]
            {
                assert_eq!(machine.traps(call, &[descriptor, 1, 2]), trapped, "{call:?} of {descriptor}");
            }
        }
        for (command, trapped) in
            [(libc::F_DUPFD, true), (libc::F_DUPFD_CLOEXEC, true), (libc::F_GETFL, false)]
        {
            let command = u64::try_from(command).unwrap();
            assert_eq!(machine.traps(Syscall::Fcntl, &[800, command]), trapped);
            assert!(!machine.traps(Syscall::Fcntl, &[3, command]));
        }
    }
}

/// What there is in the window, by the part of it.
const PARTS: [(u64, bool, bool); 6] = [
    (3, false, false),
    (511, false, false),
    (512, true, false),
    (640, true, true),
    (1023, true, true),
    (1024, false, false),
];

#[test]
fn more_calls_on_l2tpip_sockets() {
    for machine in Machine::all(Opens::Plain) {
        for (descriptor, in_window, is_l2tpip) in PARTS {
            for call in super::ON_L2TPIP {
                assert_eq!(machine.traps(call, &[descriptor, 1, 2]), is_l2tpip, "{call:?} of {descriptor}");
            }
            for (call, argument, trapped) in [
                (Syscall::Connect, 16, in_window),
                (Syscall::Bind, 16, is_l2tpip),
                (Syscall::Setsockopt, 1, in_window),
                (Syscall::Getsockopt, 0, is_l2tpip),
            ] {
                // An address, or a level of options.
                let arguments = [descriptor, argument, argument];
                assert_eq!(machine.traps(call, &arguments), trapped, "{call:?} of {descriptor}");
            }
        }
        assert!(machine.traps(Syscall::Ioctl, &[700, 0x541b]));
        for (descriptor, request) in [(600, 0x541b), (700, 0x5421), (3, 0x541b)] {
            assert!(!machine.traps(Syscall::Ioctl, &[descriptor, request]));
        }
    }
}

#[test]
fn calls_of_ppp_on_all_descriptors() {
    for machine in Machine::all(Opens::Plain) {
        for (descriptor, ..) in PARTS {
            let traps = |call, second, third| machine.traps(call, &[descriptor, second, third, 0, 4]);
            for length in [38, 46, 50, 58] {
                assert!(traps(Syscall::Connect, 4096, length) && traps(Syscall::Bind, 4096, length));
            }
            // PPPIOCGCHAN, PPPIOCNEWUNIT, SIOCGPPPSTATS and those behind it; an int may come with anything above it.
            for request in [0x8004_7437, 0xc004_743e, 0x89f0, 0x89f2, 0xffff_ffff_8004_7437] {
                assert!(traps(Syscall::Ioctl, request, 4096), "{request:#x}");
            }
            assert!(traps(Syscall::Setsockopt, 273, 1) && traps(Syscall::Getsockopt, 273, 1));
            for option in [3, 38, 39] {
                assert!(traps(Syscall::Getsockopt, 1, option));
            }
            for call in super::ON_ANY {
                assert!(traps(call, 4096, 4096), "{call:?}");
            }
        }
        // TCGETS, SIOCGIFFLAGS, SIOCDEVPRIVATE + 3; SO_ERROR; other addresses.
        for request in [0x5401, 0x8913, 0x89f3] {
            assert!(!machine.traps(Syscall::Ioctl, &[3, request]));
        }
        assert!(
            !machine.traps(Syscall::Getsockopt, &[3, 1, 4])
                && !machine.traps(Syscall::Setsockopt, &[3, 1, 3])
        );
        assert!(
            !machine.traps(Syscall::Connect, &[3, 4096, 16]) && !machine.traps(Syscall::Bind, &[3, 4096, 28])
        );
    }
}

#[test]
fn sockets_of_three_kinds_only() {
    for machine in Machine::all(Opens::Plain) {
        assert!(machine.traps(Syscall::Socket, &[16, 3, 16]));
        assert!(machine.traps(Syscall::Socket, &[16, 0x80003, 16]));
        assert!(
            machine.traps(Syscall::Socket, &[2, 2, 115]) && machine.traps(Syscall::Socket, &[10, 2, 115])
        );
        assert!(machine.traps(Syscall::Socket, &[24, 2, 1]) && machine.traps(Syscall::Socket, &[24, 1, 7]));
        for other in [[16, 3, 0], [2, 2, 0], [2, 2, 16], [1, 5, 0], [1, 2, 115], [16, 3, 115]] {
            assert!(!machine.traps(Syscall::Socket, &other), "{other:?}");
        }
    }
}

#[test]
fn opens_for_reading_and_of_devices() {
    let (none, close_on_exec) = (0, u64::try_from(libc::O_CLOEXEC).unwrap());
    let (write, both) = (u64::try_from(libc::O_WRONLY).unwrap(), u64::try_from(libc::O_RDWR).unwrap());
    let directory = u64::try_from(libc::O_DIRECTORY).unwrap();
    let create = u64::try_from(libc::O_CREAT).unwrap();
    for (opens, flags, trapped) in [
        (Opens::Plain, none, true),
        (Opens::Plain, close_on_exec, false),
        (Opens::All, close_on_exec, true),
        (Opens::All, directory, false),
        (Opens::All, write, false),
        (Opens::Plain, both, true),
        (Opens::All, both | close_on_exec, true),
        (Opens::All, both | create, false),
        (Opens::All, both | directory, false),
    ] {
        for machine in Machine::all(opens) {
            assert_eq!(machine.traps(Syscall::Openat, &[u64::MAX - 99, 4096, flags]), trapped, "{flags:#x}");
        }
        let [x86, _] = Machine::all(opens);
        assert_eq!(x86.traps(Syscall::Open, &[4096, flags]), trapped, "{flags:#x}");
    }
}

#[test]
fn other_machines_and_other_calls_run() {
    for machine in Machine::all(Opens::All) {
        let sendto = machine.table.number(Syscall::Sendto).unwrap();
        assert!(traps(&machine.code, machine.table.architecture, sendto, &[800]));
        assert!(!traps(&machine.code, 0x4000_0003, sendto, &[800]), "32-bit x86");
        assert!(!traps(&machine.code, machine.table.architecture, sendto | 0x4000_0000, &[800]), "x32");
        for number in 0..600 {
            let known = machine.table.call(number).is_some();
            assert!(
                known || !traps(&machine.code, machine.table.architecture, number, &[800, 0, 0]),
                "{number}"
            );
        }
    }
}

/// The table of the machine that runs the tests, against the C library's numbers.
#[test]
fn the_numbers_are_those_of_the_c_library() {
    for (call, number) in [
        (Syscall::Socket, libc::SYS_socket),
        (Syscall::Connect, libc::SYS_connect),
        (Syscall::Sendto, libc::SYS_sendto),
        (Syscall::Sendmsg, libc::SYS_sendmsg),
        (Syscall::Sendmmsg, libc::SYS_sendmmsg),
        (Syscall::Write, libc::SYS_write),
        (Syscall::Writev, libc::SYS_writev),
        (Syscall::Recvfrom, libc::SYS_recvfrom),
        (Syscall::Recvmsg, libc::SYS_recvmsg),
        (Syscall::Recvmmsg, libc::SYS_recvmmsg),
        (Syscall::Read, libc::SYS_read),
        (Syscall::Readv, libc::SYS_readv),
        (Syscall::Setsockopt, libc::SYS_setsockopt),
        (Syscall::Bind, libc::SYS_bind),
        (Syscall::Listen, libc::SYS_listen),
        (Syscall::Accept, libc::SYS_accept),
        (Syscall::Accept4, libc::SYS_accept4),
        (Syscall::Getsockname, libc::SYS_getsockname),
        (Syscall::Getpeername, libc::SYS_getpeername),
        (Syscall::Getsockopt, libc::SYS_getsockopt),
        (Syscall::Ioctl, libc::SYS_ioctl),
        (Syscall::Shutdown, libc::SYS_shutdown),
        (Syscall::Dup, libc::SYS_dup),
        (Syscall::Fcntl, libc::SYS_fcntl),
        (Syscall::Openat, libc::SYS_openat),
    ] {
        assert_eq!(NATIVE.number(call).map(i64::from), Some(number), "{call:?}");
    }
    #[cfg(target_arch = "x86_64")]
    assert_eq!(NATIVE.number(Syscall::Open).map(i64::from), Some(libc::SYS_open));
}
