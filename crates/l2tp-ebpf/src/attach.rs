//! Where the programs are attached. As TCX links where the kernel has them (Linux 6.6): those end with this process, however it ends. Before, as filters of
//! a clsact qdisc, which a process that is killed leaves behind; whoever attaches next takes them away.

use std::collections::HashMap;
use std::io;

use aya::Ebpf;
use aya::programs::tc::{SchedClassifierLink, qdisc_add_clsact, qdisc_detach_program};
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
        let has_links = KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0));
        if !has_links {
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

/// The program of that name.
pub(crate) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}

/// Makes sure of the qdisc, and that no filter is left of a process that was killed.
fn make_ready(name: &str, hook: TcAttachType, program: &str) -> io::Result<()> {
    match qdisc_add_clsact(name) {
        Err(error) if tc_errno(&error) != Some(libc::EEXIST) => return Err(io::Error::other(error)),
        _ => {}
    }
    // There is none, mostly.
    let _ = qdisc_detach_program(name, hook, program);
    Ok(())
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
