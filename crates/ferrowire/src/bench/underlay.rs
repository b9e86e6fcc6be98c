//! The wire between the hosts, as it is and as a network card would be.

use clap::ValueEnum;
use serde::Serialize;

use super::ethtool;
use super::site::Site;
use crate::stage::DEVICE;

/// What the wire carries in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Underlay {
    /// Super-frames, whole: a veth as it is
    Veth,
    /// Frames of its MTU: what a network card puts on a wire; they are joined again where they arrive (GRO)
    Nic,
}

/// Device features that cut super-frames before the wire, and those that join frames behind it.
const NIC: [&str; 8] = ["tso", "off", "gso", "off", "tx-udp-segmentation", "off", "gro", "on"];
const VETH: [&str; 8] = ["tso", "on", "gso", "on", "tx-udp-segmentation", "on", "gro", "off"];

impl Underlay {
    /// Makes the wire of a site one of this kind.
    pub(super) fn apply(self, site: &Site) -> anyhow::Result<()> {
        let features = match self {
            Self::Veth => VETH,
            Self::Nic => NIC,
        };
        [&site.stage.near, &site.stage.far]
            .into_iter()
            .try_for_each(|host| ethtool::set(host, DEVICE, &features))
    }

    /// Its name, as on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Nic => "nic",
        }
    }

    /// What it is, for a heading.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Veth => "super-frames cross the wire whole",
            Self::Nic => "frames of 1500 bytes on the wire",
        }
    }
}
