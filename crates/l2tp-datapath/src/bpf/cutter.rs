//! What cuts super-frames for sessions over IP, behind which the kernel cuts nothing. The devices of sessions take super-frames whatever they are told (a
//! macvlan always does), so they go through a veth that takes none: the network stack cuts what is sent by its near end, and the programs carry what
//! comes out at its far end. One pair serves a namespace.

use std::io::{self, ErrorKind};
use std::num::NonZeroU32;

use l2tp_ebpf::FastPath;
use l2tp_io::rtnl::Rtnl;

/// The names of both ends.
const NEAR: &str = "l2tpcut";
const FAR: &str = "l2tpcutend";
/// Bytes from which on the near end has a super-frame cut: hardly more than the least that the kernel allows, and than its headers.
const CUT_FROM: u32 = 512;

/// The pair. It goes with this value.
pub(super) struct Cutter {
    /// Index of the end that is sent by.
    near: NonZeroU32,
    rtnl: Rtnl,
}

impl Cutter {
    /// Makes the pair in the namespace of the calling thread.
    ///
    /// # Errors
    /// `EOPNOTSUPP` on a kernel without veth.
    pub(super) fn make(programs: &mut FastPath) -> io::Result<Self> {
        let mut rtnl = Rtnl::open()?;
        match rtnl.create_veth(NEAR, FAR, None) {
            // A daemon that was killed has left it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let left = rtnl.index_of(NEAR)?;
                rtnl.delete(left)?;
                rtnl.create_veth(NEAR, FAR, None)?;
            }
            made => made?,
        }
        let near = NonZeroU32::new(rtnl.index_of(NEAR)?).ok_or(ErrorKind::NotFound)?;
        let mut cutter = Self { near, rtnl };
        cutter.prepare(programs)?;
        Ok(cutter)
    }

    fn prepare(&mut self, programs: &mut FastPath) -> io::Result<()> {
        let far = self.rtnl.index_of(FAR)?;
        programs.attach_cutter(far)?;
        self.rtnl.set_gso_max_size(self.near.get(), CUT_FROM)?;
        for end in [far, self.near.get()] {
            self.rtnl.prepare_lower(end)?;
        }
        Ok(())
    }

    /// Index of the end that is sent by.
    pub(super) fn near(&self) -> NonZeroU32 {
        self.near
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        // Somebody else may have deleted it.
        let _: io::Result<()> = self.rtnl.delete(self.near.get());
    }
}
