//! A network device: of an Ethernet session, or of a PPP unit.

use std::io::{self, IoSlice};
use std::sync::Mutex;

use l2tp_io::offload::Link;
use l2tp_io::tap::Tap;
use l2tp_wire::vlan::VlanId;

use crate::shared::Watch;

/// The TAP of an Ethernet session, or the TUN of a PPP unit.
pub struct Device {
    pub(crate) tap: Tap,
    /// What is seen in its place. The TAP below is ours alone.
    pub(crate) upper: Option<Upper>,
    /// The VLAN whose tag its frames have on the wire, and not here.
    pub(crate) vlan: Option<VlanId>,
    /// Who watches its queues, in their order.
    pub(crate) watches: Mutex<Vec<Watch>>,
    /// Whose frames are numbered next, where several workers read from it: numbers must leave in their order.
    pub(crate) turn: Mutex<()>,
}

/// A macvlan above a TAP. What the network sends by it comes past the TAP's hooks, where BPF programs can take it, when it has
/// been counted, shaped and shown to listeners as on any device.
#[derive(Debug)]
pub struct Upper {
    /// Its name at creation.
    pub(crate) name: String,
}

impl Device {
    pub(crate) fn new(tap: Tap, upper: Option<Upper>, vlan: Option<VlanId>) -> Self {
        Self { tap, upper, vlan, watches: Mutex::default(), turn: Mutex::default() }
    }

    /// What its frames begin with.
    pub(crate) fn link(&self) -> Link {
        self.tap.link()
    }

    /// Whether it takes trains of UDP datagrams as one frame.
    pub(crate) fn has_udp_trains(&self) -> bool {
        self.tap.has_udp_trains()
    }

    /// The device's name at creation.
    #[must_use]
    pub fn name(&self) -> &str {
        self.upper.as_ref().map_or(self.tap.name(), |upper| &upper.name)
    }

    /// Hands a frame (behind its virtio header) to the network stack, as received on this device.
    pub(crate) fn deliver(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.tap.write(parts).map(|_| ())
    }
}
