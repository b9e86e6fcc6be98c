//! All sockets of a namespace.

use super::{Domain, Network, Socket};
use crate::quota;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use l2tp_abi::Errno;
use l2tp_core::host::Caller;

/// Sockets that there may be.
pub const SOCKETS_MAX: usize = 1024;

/// The L2TPIP sockets of a namespace, by number.
#[derive(Debug, Default)]
pub struct Sockets {
    sockets: BTreeMap<u64, Entry>,
    /// The bound ones by family and connection id, those first that were bound or connected last.
    bound: BTreeMap<(Domain, u32), Vec<u64>>,
}

#[derive(Debug)]
struct Entry {
    owner: Caller,
    socket: Socket,
}

impl Sockets {
    /// Whether `owner` may have another socket: it asks before it opens anything.
    ///
    /// # Errors
    /// `ENFILE` when there are too many, `EMFILE` when this user has too many.
    pub fn admit(&self, owner: &Caller) -> Result<(), Errno> {
        if self.sockets.len() >= SOCKETS_MAX {
            return Err(Errno::ENFILE);
        }
        quota::admit(self.sockets.values().map(|entry| &entry.owner), owner)
    }

    /// `socket`: adds one, under a number that no other has.
    pub fn open(&mut self, number: u64, owner: Caller, domain: Domain) {
        self.sockets.insert(number, Entry { owner, socket: Socket::new(domain) });
    }

    /// The last `close`: the socket, if it was there.
    pub fn close(&mut self, number: u64) -> Option<Socket> {
        self.unlist(number);
        self.sockets.remove(&number).map(|entry| entry.socket)
    }

    /// Number of sockets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Whether `caller` may name the socket by its number alone: it opened it, or has privilege.
    #[must_use]
    pub fn may_name(&self, number: u64, caller: &Caller) -> bool {
        let opener = self.sockets.get(&number).map(|entry| entry.owner.connection);
        opener.is_some_and(|connection| caller.privileged || connection == caller.connection)
    }

    /// The socket of that number.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, number: u64) -> Result<&Socket, Errno> {
        self.sockets.get(&number).map(|entry| &entry.socket).ok_or(Errno::EBADF)
    }

    /// The socket of that number, to set its options.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get_mut(&mut self, number: u64) -> Result<&mut Socket, Errno> {
        self.sockets.get_mut(&number).map(|entry| &mut entry.socket).ok_or(Errno::EBADF)
    }

    /// `bind`. An unbound socket receives nothing.
    ///
    /// # Errors
    /// `EINVAL`: too short, of another family, bound or connected already, link-local without interface; `EADDRNOTAVAIL`: not an
    /// address of ours; `ENODEV`: no such interface; `EADDRINUSE`: the id is taken by a socket that would get the same messages.
    pub fn bind(&mut self, number: u64, address: &[u8], network: &impl Network) -> Result<(), Errno> {
        let socket = self.get(number)?.to_bound(address, network)?;
        let conn_id = socket.conn_id().unwrap_or_default();
        if self.find(socket.domain(), conn_id, socket.local(), None, socket.device()).is_some() {
            return Err(Errno::EADDRINUSE);
        }
        self.put(number, socket);
        Ok(())
    }

    /// `connect`: from now on only this peer's messages. To `AF_UNSPEC`: anybody's, to any address.
    ///
    /// # Errors
    /// `EINVAL`: not bound, too short, multicast, over IPv6 of another family; `EAFNOSUPPORT`: over IPv4 of another family; what
    /// routing answers.
    pub fn connect(&mut self, number: u64, address: &[u8], network: &impl Network) -> Result<(), Errno> {
        let socket = self.get(number)?.to_connected(address, network)?;
        if socket.peer().is_some() {
            self.put(number, socket);
        } else {
            *self.get_mut(number)? = socket;
        }
        Ok(())
    }

    /// Whose a control message is: the first socket with its connection id that both its addresses fit.
    #[must_use]
    pub fn find(
        &self,
        domain: Domain,
        conn_id: u32,
        local: IpAddr,
        remote: Option<IpAddr>,
        device: u32,
    ) -> Option<u64> {
        let candidates = self.bound.get(&(domain, conn_id))?.iter().copied();
        candidates
            .filter_map(|number| self.sockets.get(&number).map(|entry| (number, &entry.socket)))
            .find_map(|(number, socket)| socket.matches(local, remote, device).then_some(number))
    }

    /// Replaces a socket and moves it to the head of its list.
    fn put(&mut self, number: u64, socket: Socket) {
        self.unlist(number);
        if let Some(conn_id) = socket.conn_id() {
            self.bound.entry((socket.domain(), conn_id)).or_default().insert(0, number);
        }
        if let Some(entry) = self.sockets.get_mut(&number) {
            entry.socket = socket;
        }
    }

    fn unlist(&mut self, number: u64) {
        let Ok(socket) = self.get(number) else { return };
        let Some(conn_id) = socket.conn_id() else { return };
        let key = (socket.domain(), conn_id);
        if let Some(list) = self.bound.get_mut(&key) {
            list.retain(|other| *other != number);
            if list.is_empty() {
                self.bound.remove(&key);
            }
        }
    }
}
