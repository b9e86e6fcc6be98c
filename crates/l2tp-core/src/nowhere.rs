//! A host without an operating system, for tests and benchmarks, which include this file.

use alloc::string::String;
use core::hint::black_box;
use core::net::SocketAddr;

use l2tp_abi::errno::Errno;
use l2tp_core::host::DeviceRequest;
use l2tp_core::{Carried, Deliver, Endpoints, Frame, Host, SessionKey, TunnelConfig, TunnelKey};

/// Has what it is asked for, and takes every frame.
#[derive(Debug, Default)]
pub(crate) struct Nowhere {
    /// What a path below has carried and nobody has asked for.
    pub(crate) carried: Carried,
    /// Frames that it took.
    pub(crate) taken: u64,
}

impl Host for Nowhere {
    type Socket = ();
    type Device = ();
    type Descriptor = ();
    fn open_socket(&mut self, _: TunnelKey, _: &TunnelConfig, _: Option<()>) -> Result<(), Errno> {
        Ok(())
    }
    fn close_socket(&mut self, _: TunnelKey, (): ()) {}
    fn endpoints(&self, (): &()) -> Endpoints {
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        Endpoints { local: any, peer: any, udp_csum: false, zero_csum6_tx: false, zero_csum6_rx: false }
    }
    fn route_mtu(&self, (): &()) -> u32 {
        1500
    }
    fn create_device(&mut self, _: SessionKey, r: &DeviceRequest<'_>) -> Result<((), String), Errno> {
        Ok(((), String::from(r.name)))
    }
    fn destroy_device(&mut self, _: SessionKey, (): ()) {}
    fn take_carried(&mut self, _: SessionKey) -> Carried {
        core::mem::take(&mut self.carried)
    }
}

impl Deliver<()> for Nowhere {
    fn deliver(&mut self, _: SessionKey, _: Option<&()>, frame: Frame) -> bool {
        black_box(frame);
        self.taken += 1;
        true
    }
}
