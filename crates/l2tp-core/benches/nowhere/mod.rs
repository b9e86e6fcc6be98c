//! A host without an operating system.

use std::hint::black_box;
use std::net::SocketAddr;

use l2tp_abi::errno::Errno;
use l2tp_core::host::DeviceRequest;
use l2tp_core::{Deliver, Endpoints, Frame, Host, SessionKey, TunnelConfig, TunnelKey};

/// Has what it is asked for, and takes every frame.
pub(crate) struct Nowhere;

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
        Ok(((), r.name.to_owned()))
    }
    fn destroy_device(&mut self, _: SessionKey, (): ()) {}
}

impl Deliver<()> for Nowhere {
    fn deliver(&mut self, _: SessionKey, _: Option<&()>, frame: Frame) -> bool {
        black_box(frame);
        true
    }
}
