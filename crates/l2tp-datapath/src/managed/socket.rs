//! What a managed tunnel sends on: a socket of our own that stands in for the program's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use l2tp_abi::errno::Errno;
use l2tp_core::{Endpoints, Instant};
use l2tp_io::batch::{Outgoing, SendReport};
use l2tp_io::inet_diag::{UdpIdentity, UdpPlace};
use l2tp_io::rawip::probe;
use l2tp_io::udp::{ProgramSocket, Settings, StandIn};

use super::Managed;
use crate::shared::lock;
use crate::worker::now;

/// For so long packets may go where the program's socket was: it may be connected anew at any time, and asking costs a
/// system call.
const TRUST: Duration = Duration::from_millis(100);

/// A program's socket, as its tunnel uses it.
pub struct ManagedSocket {
    pub(super) managed: Arc<Managed>,
    identity: UdpIdentity,
    settings: Settings,
    way: Mutex<Way>,
}

/// The way to the peer.
#[derive(Default)]
struct Way {
    /// The sender, and from where to where it sends; `None` while the program's socket is not connected.
    sender: Option<Sender>,
    /// When the program's socket was last looked for.
    checked: Option<Instant>,
}

#[derive(Clone)]
struct Sender {
    stand_in: Arc<StandIn>,
    port: u16,
    local: IpAddr,
    peer: SocketAddr,
}

impl ManagedSocket {
    pub(crate) fn new(managed: Arc<Managed>, found: &ProgramSocket) -> Self {
        Self { managed, identity: found.identity, settings: found.settings, way: Mutex::default() }
    }

    /// SO_COOKIE of the program's socket.
    pub(crate) fn cookie(&self) -> u64 {
        self.identity.cookie
    }

    /// The settings of the program's socket when it was handed over.
    pub(crate) fn settings(&self) -> Settings {
        self.settings
    }

    pub(crate) fn managed(&self) -> &Managed {
        &self.managed
    }

    /// Sends to the peer that the program's socket is connected to; while there is none, nothing is sent (`ENOTCONN`), as
    /// in l2tp_xmit_core.
    pub(crate) fn send_batch(&self, messages: &[Outgoing<'_>]) -> SendReport {
        match self.sender() {
            Ok(Sender { stand_in, local, peer, .. }) => stand_in.send_batch(local, peer, messages),
            Err(error) => SendReport::refused(messages.len(), error),
        }
    }

    fn sender(&self) -> io::Result<Sender> {
        let mut way = lock(&self.way);
        let now = now();
        let due = way.checked.is_none_or(|checked| now.since(checked) >= TRUST);
        if due {
            way.checked = Some(now);
            way.sender = self.find_way(way.sender.take())?;
        }
        way.sender.clone().ok_or_else(|| io::Error::from_raw_os_error(Errno::ENOTCONN.0))
    }

    /// Where to send from now on; the stand-in stays as long as the port does.
    fn find_way(&self, last: Option<Sender>) -> io::Result<Option<Sender>> {
        let place = self.managed.follow(self.identity);
        let local = place.local.ip().to_canonical();
        let Some(peer) = place.peer.filter(|_| !local.is_unspecified()).map(canonical) else {
            return Ok(None);
        };
        let port = place.local.port();
        let same = |last: &Sender| last.port == port && last.peer.is_ipv4() == peer.is_ipv4();
        let stand_in = match last.filter(same) {
            Some(last) => last.stand_in,
            None => Arc::new(StandIn::open(peer.is_ipv4(), port, &self.settings)?),
        };
        Ok(Some(Sender { stand_in, port, local, peer }))
    }

    /// Addresses and settings as they are now.
    pub(crate) fn endpoints(&self) -> Endpoints {
        let UdpPlace { local, peer } = self.managed.follow(self.identity);
        let nowhere = super::nowhere(self.identity.v6).local;
        Endpoints {
            local,
            peer: peer.unwrap_or(nowhere),
            udp_csum: self.settings.checksum,
            zero_csum6_tx: self.settings.zero_csum6_tx,
            zero_csum6_rx: self.settings.zero_csum6_rx,
        }
    }

    /// MTU of the route to the peer in bytes; 0 where there is none.
    pub(crate) fn route_mtu(&self) -> u32 {
        let UdpPlace { local, peer } = self.managed.follow(self.identity);
        let route = peer.map(|peer| probe(local.ip().to_canonical(), canonical(peer).ip()));
        route.and_then(Result::ok).map_or(0, |found| found.mtu)
    }
}

/// An address of IPv4, where it stands in one of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
