//! Where the programs are attached. To the devices of others as TCX links where the kernel has them (Linux 6.6): those end with this process, however it
//! ends. Before, as filters of a clsact qdisc, which a process that is killed leaves behind; whoever attaches next takes them away. To our own devices,
//! which nothing outlives, always as filters: for each TCX program the kernel waits for a grace period of RCU, some 12 ms.
#![expect(unsafe_code, reason = "BPF_PROG_ATTACH, which aya has for other kinds of programs only")]

use std::collections::HashMap;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd};

use aya::Ebpf;
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, qdisc_add_clsact, qdisc_detach_program,
};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, TcError};
use aya::util::KernelVersion;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

/// One program and the devices that it is attached to, by index.
#[derive(Debug)]
pub(crate) struct Attached {
    program: &'static str,
    links: HashMap<u32, SchedClassifierLink>,
}

impl Attached {
    /// `program` is loaded, and attached nowhere.
    pub(crate) fn new(program: &'static str) -> Self {
        Self { program, links: HashMap::new() }
    }

    /// Attaches it to a device; nothing changes if it is.
    pub(crate) fn attach(&mut self, ebpf: &mut Ebpf, ifindex: u32, hook: TcAttachType) -> io::Result<()> {
        if self.links.contains_key(&ifindex) {
            return Ok(());
        }
        let name = name(ifindex)?;
        if !has_tcx() {
            make_ready(&name, hook, self.program)?;
        }
        let program = program(ebpf, self.program).map_err(errno)?;
        let link = program.attach(&name, hook).and_then(|id| program.take_link(id)).map_err(errno)?;
        self.links.insert(ifindex, link);
        Ok(())
    }

    /// Takes it away from a device, if it is there.
    pub(crate) fn detach(&mut self, ifindex: u32) {
        self.links.remove(&ifindex);
    }
}

/// Attaches a program to a device for as long as that lives, without a descriptor, for sessions are too many for one each; and as a filter of a clsact qdisc, for which nobody
/// has to wait, as for TCX: that takes some 20 ms.
pub(crate) fn filter_for_life(
    ebpf: &mut Ebpf,
    name: &str,
    ifindex: u32,
    hook: TcAttachType,
) -> io::Result<()> {
    let program = program(ebpf, name).map_err(errno)?;
    let device = self::name(ifindex)?;
    add_clsact(&device)?;
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let link = program.attach_with_options(&device, hook, options);
    // Its end would take the program away.
    let _kept = ManuallyDrop::new(link.and_then(|id| program.take_link(id)).map_err(errno)?);
    Ok(())
}

/// Attaches a program to a device for as long as that lives, by TCX. EEXIST where it is attached.
pub(crate) fn tcx_for_life(program: BorrowedFd<'_>, ifindex: u32, hook: TcAttachType) -> io::Result<()> {
    let program = program.as_raw_fd().cast_unsigned();
    let kind = if hook == TcAttachType::Ingress { TCX_INGRESS } else { TCX_EGRESS };
    let attributes = AttachAttributes { ifindex, program, kind, ..AttachAttributes::default() };
    // SAFETY: BPF_PROG_ATTACH reads its attributes, which are of the length given.
    let status = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attributes, size_of::<AttachAttributes>())
    };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `BPF_PROG_ATTACH`, `BPF_TCX_INGRESS` and `BPF_TCX_EGRESS` of include/uapi/linux/bpf.h.
const PROG_ATTACH: libc::c_int = 8;
const TCX_INGRESS: u32 = 46;
const TCX_EGRESS: u32 = 47;

/// What `BPF_PROG_ATTACH` reads of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct AttachAttributes {
    ifindex: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
    relative: u32,
    revision: u64,
}

/// Whether the kernel has TCX.
pub(crate) fn has_tcx() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
}

/// The program of that name.
pub(crate) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}

/// Makes sure of the qdisc, and that no filter is left of a process that was killed.
fn make_ready(name: &str, hook: TcAttachType, program: &str) -> io::Result<()> {
    add_clsact(name)?;
    // There is none, mostly.
    let _ = qdisc_detach_program(name, hook, program);
    Ok(())
}

fn add_clsact(name: &str) -> io::Result<()> {
    match qdisc_add_clsact(name) {
        Err(error) if tc_errno(&error) != Some(libc::EEXIST) => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

fn name(ifindex: u32) -> io::Result<String> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    Ok(netdevice::index_to_name(socket, ifindex)?)
}

fn tc_errno(error: &TcError) -> Option<i32> {
    match error {
        TcError::NetlinkError(error) => error.raw_os_error(),
        TcError::IoError(error) => error.raw_os_error(),
        _ => None,
    }
}

/// The kernel's error in one of aya's.
fn errno(error: ProgramError) -> io::Error {
    match error {
        ProgramError::SyscallError(error) => error.io_error,
        ProgramError::LoadError { io_error, .. } | ProgramError::IOError(io_error) => io_error,
        ProgramError::TcError(error) => match tc_errno(&error) {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::other(error),
        },
        other => io::Error::other(other),
    }
}
