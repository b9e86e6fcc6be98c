//! L2TPIP sockets: what `l2tp-sockets` knows of each, the pair that stands for it, and the control messages between that and
//! the network.
//!
//! The program holds one end of the pair and never a raw socket. Messages for it come in on the raw socket of the family, where
//! a worker gives them to [`L2tpip::deliver`]; its own leave by a [`ControlSender`], from the thread of the daemon.

mod calls;

pub(crate) use calls::Pairs;

use std::collections::HashMap;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, RwLock};

use l2tp_abi::envelope::Envelope;
use l2tp_core::TunnelKey;
use l2tp_io::batch::Received;
use l2tp_io::pair::PairEnd;
use l2tp_io::rawip::control::ControlSender;
use l2tp_io::rawip::{RawRoute, RawSocket};
use l2tp_sockets::l2tpip::{Domain, Route, Socket, Sockets};

use crate::loss::{Loss, LossCounters};
use crate::shared::{read_lock, write_lock};

/// Session id 0, which the program does not see.
const CONTROL_PREFIX: usize = 4;

/// The sockets of a namespace.
#[derive(Default)]
pub(crate) struct L2tpip {
    table: Sockets,
    ends: HashMap<u64, End>,
}

/// What a socket stands on.
struct End {
    pair: PairEnd,
    raw: Arc<RawSocket>,
    sender: Arc<ControlSender>,
    path: Arc<LivePath>,
    /// The tunnel that it carries.
    tunnel: Option<TunnelKey>,
}

impl L2tpip {
    /// Gives a control message to the socket that its connection id and its addresses name.
    pub(crate) fn deliver(&self, conn_id: u32, received: &Received<'_>, losses: &LossCounters) {
        let (Some(from), Some(local)) = (received.from, received.local) else { return };
        let scope_id = if let SocketAddr::V6(from) = from { from.scope_id() } else { 0 };
        let number = self.table.find(Domain::of(local), conn_id, local, Some(from.ip()), scope_id);
        let Some(end) = number.and_then(|number| self.ends.get(&number)) else {
            return losses.add(Loss::ControlUnclaimed, 1);
        };
        let envelope = Envelope { address: Some(from.ip()), scope_id, conn_id: 0 }.emit();
        let message = received.bytes.get(CONTROL_PREFIX..).unwrap_or_default();
        let sent = end.pair.send(&[IoSlice::new(&envelope), IoSlice::new(message)]);
        losses.note(Loss::ControlRefused, sent.is_err());
    }

    /// The tunnel over a socket is gone; the socket may carry another.
    pub(crate) fn detach(&mut self, tunnel: TunnelKey, path: &Arc<LivePath>) {
        for end in self.ends.values_mut().filter(|end| Arc::ptr_eq(&end.path, path)) {
            end.tunnel = end.tunnel.filter(|carried| *carried != tunnel);
        }
    }
}

/// The addresses of a socket as they are now: a tunnel over it follows `bind` and `connect`.
pub struct LivePath(RwLock<PathNow>);

/// Local address, and the way to the peer while the socket is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathNow {
    pub(crate) local: IpAddr,
    pub(crate) peer: Option<RawRoute>,
}

impl LivePath {
    fn new() -> Self {
        Self(RwLock::new(PathNow { local: Ipv4Addr::UNSPECIFIED.into(), peer: None }))
    }

    /// The addresses now.
    pub(crate) fn now(&self) -> PathNow {
        *read_lock(&self.0)
    }

    fn follow(&self, socket: &Socket) {
        let peer = socket.route_to(None).ok().map(|route| raw_route(&route));
        *write_lock(&self.0) = PathNow { local: socket.local(), peer };
    }
}

fn raw_route(route: &Route) -> RawRoute {
    let Route { source, destination, scope_id, tos, ttl, .. } = *route;
    RawRoute { source, destination, scope_id, tos, ttl }
}
