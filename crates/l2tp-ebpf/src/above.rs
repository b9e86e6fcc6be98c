//! The program at the ingress of a macvlan, attached from any thread.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya::programs::TcAttachType;

use crate::FastPath;
use crate::attach::{has_tcx, program, tcx_for_life};

/// The program that a macvlan in passthru mode gets ([`FastPath::attach_passthru`]). Attaching takes the kernel some 20 ms, in which nobody should have to wait: this may be
/// given to a thread of its own.
#[derive(Debug)]
pub struct Above {
    program: OwnedFd,
}

impl Above {
    /// Attaches it to a device of the calling thread's namespace, for as long as that lives. Until then a frame for another host is taken for one for this.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device.
    pub fn attach(&self, above: u32) -> io::Result<()> {
        tcx_for_life(self.program.as_fd(), above, TcAttachType::Ingress)
    }
}

impl FastPath {
    /// The program, where [`Self::attach_passthru`] does not attach it: where the kernel has TCX, which leaves a device's qdiscs to whoever wants some.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn above(&mut self) -> io::Result<Option<Above>> {
        if !has_tcx() {
            return Ok(None);
        }
        let program = program(&mut self.ebpf, "l2tp_above").map_err(io::Error::other)?;
        let descriptor = program.fd().map_err(io::Error::other)?.as_fd().try_clone_to_owned()?;
        Ok(Some(Above { program: descriptor }))
    }
}
