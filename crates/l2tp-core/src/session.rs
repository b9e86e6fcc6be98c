//! A session.

use alloc::string::String;
use core::time::Duration;

use l2tp_wire::train::{Payload, stride};
use l2tp_wire::v3::Layout;
use l2tp_wire::{l2specific, v2};

use crate::config::{Encap, PwType, SessionChange, SessionConfig};
use crate::host::DataPattern;
use crate::rx::reorder::ReorderQueue;
use crate::rx::seq::RxSeq;
use crate::slots::Key;
use crate::stats::Stats;
use crate::time::{Instant, to_jiffies};
use crate::tunnel::TunnelKey;
use crate::tx::low16;

/// Names a session of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub Key);

/// A session: a pseudowire in a tunnel.
#[derive(Debug)]
pub struct Session<D> {
    /// What was asked for, with what was changed since. `send_seq` of a LAC follows its peer.
    pub config: SessionConfig,
    /// The tunnel that it is in.
    pub tunnel: TunnelKey,
    /// Our id of that tunnel.
    pub tunnel_id: u32,
    /// The peer's id of that tunnel.
    pub peer_tunnel_id: u32,
    /// Whether its packets are L2TPv2.
    pub is_v2: bool,
    /// What carries its packets.
    pub encap: Encap,
    /// Name of its device at creation; Ethernet only.
    pub ifname: Option<String>,
    /// Its device; Ethernet only.
    pub device: Option<D>,
    /// What it counted.
    pub stats: Stats,
    /// Number of the next packet that we send.
    pub ns: u32,
    /// What it expects of the peer's numbers.
    pub rx_seq: RxSeq,
    /// Packets that wait for earlier ones.
    pub(crate) queue: ReorderQueue,
    /// When its timer fires, while something waits.
    pub(crate) timer: Option<Instant>,
    /// Layout of the packets that it receives (v3).
    pub(crate) rx_layout: Layout,
}

impl<D> Session<D> {
    /// The largest sequence number of its version.
    #[must_use]
    pub fn ns_max(&self) -> u32 {
        if self.is_v2 { u32::from(u16::MAX) } else { l2specific::NS_MAX }
    }

    /// Length in bytes of the header that it sends.
    #[must_use]
    pub fn header_len(&self) -> usize {
        if self.is_v2 {
            v2::LEN + if self.config.send_seq { v2::SEQUENCE_LEN } else { 0 }
        } else {
            self.config.layout(self.encap, &self.config.cookie).header_len()
        }
    }

    /// How long a packet may wait in the queue: the timeout, or a second where none is set.
    pub(crate) fn patience(&self) -> Duration {
        let timeout = self.config.reorder_timeout;
        if timeout.is_zero() { Duration::from_secs(1) } else { timeout }
    }

    /// What its packets look like where a program receives too; `None` over IP, where no program sees data.
    pub(crate) fn pattern(&self, version: u8) -> Option<DataPattern> {
        let id = self.config.session_id;
        match self.encap {
            Encap::Ip => None,
            Encap::Udp if self.is_v2 => Some(DataPattern {
                version,
                tunnel_id: Some(low16(self.tunnel_id)),
                session_id: low16(id).into(),
                header_len: v2::LEN,
            }),
            Encap::Udp => Some(DataPattern {
                version,
                tunnel_id: None,
                session_id: id,
                header_len: self.rx_layout.header_len(),
            }),
        }
    }

    /// See [`crate::Engine::train_stride`].
    pub(crate) fn train_stride(&self, packet: &[u8]) -> usize {
        let payload = if self.config.pw_type == PwType::Ppp { Payload::Ppp } else { Payload::Ethernet };
        if self.is_v2 {
            let header = v2::Header::parse(packet);
            return header.map_or(packet.len(), |header| stride(packet, header.payload, v2::LEN, payload));
        }
        let constant = Layout { l2specific: false, ..self.rx_layout }.header_len();
        stride(packet, self.rx_layout.header_len(), constant, payload)
    }

    pub(crate) fn change(&mut self, change: &SessionChange) {
        let config = &mut self.config;
        config.recv_seq = change.recv_seq.unwrap_or(config.recv_seq);
        config.send_seq = change.send_seq.unwrap_or(config.send_seq);
        config.lns_mode = change.lns_mode.unwrap_or(config.lns_mode);
        config.reorder_timeout = change.reorder_timeout.map_or(config.reorder_timeout, to_jiffies);
    }
}
