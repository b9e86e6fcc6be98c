//! A session's network device.

use std::io::{self, IoSlice};
use std::sync::OnceLock;

use l2tp_io::tap::Tap;

use crate::shared::Watch;

/// The TAP of an Ethernet session.
pub struct Device {
    pub(crate) tap: Tap,
    pub(crate) watch: OnceLock<Watch>,
}

impl Device {
    pub(crate) fn new(tap: Tap) -> Self {
        Self { tap, watch: OnceLock::new() }
    }

    /// The device's name at creation.
    #[must_use]
    pub fn name(&self) -> &str {
        self.tap.name()
    }

    /// Hands a frame (behind its virtio header) to the network stack, as received on this device.
    pub(crate) fn deliver(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.tap.write(parts).map(|_| ())
    }
}
