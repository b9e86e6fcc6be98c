//! The network namespaces in which programs have sockets: what we have open in each.
//!
//! Whatever is open in a namespace keeps it alive, so all of it is let go when no program has a socket there any more.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use l2tp_io::creds::Owners;
use l2tp_io::netns::{NetNs, identity};
use rustix::fs::stat;
use rustix::io::Errno;
use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, bind, getsockname, sendto, socket_with,
};
use rustix::process::Pid;

use crate::daemon::Starter;
use crate::door::Door;
use crate::family::Ids;

/// Device and inode of a namespace; its own for as long as something of it is open.
pub(crate) type Identity = (u64, u64);

/// A namespace with programs in it.
pub(crate) struct Namespace {
    netns: NetNs,
    injector: Injector,
    /// Who may administer it.
    pub(crate) owners: Owners,
    door: Option<Door>,
    /// Hears what is told to the group "l2tp", while a program listens.
    ear: Option<Door>,
    /// Its ids.
    pub(crate) ids: Ids,
    /// A daemon was to be started here and did not start.
    is_barren: bool,
}

/// A generic netlink socket of ours, through which answers get into a program's own receive queue.
pub(crate) struct Injector {
    socket: OwnedFd,
    /// Its port id: the sender of all that it puts there.
    pub(crate) port: u32,
}

impl Injector {
    fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(GENERIC))?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        let port = port_of(&socket)?;
        Ok(Self { socket, port })
    }

    /// Puts a datagram into the receive queue of the socket at `port`.
    ///
    /// # Errors
    /// `EAGAIN` when the queue is full; `ECONNREFUSED` when there is no such socket, `EPERM` without CAP_NET_ADMIN.
    pub(crate) fn put(&self, port: u32, datagram: &[u8]) -> Result<(), Errno> {
        let to = SocketAddrNetlink::new(port, 0);
        sendto(&self.socket, datagram, SendFlags::DONTWAIT, &to).map(drop)
    }
}

/// The port id of a netlink socket; 0 before it is bound.
pub(crate) fn port_of(socket: &OwnedFd) -> io::Result<u32> {
    let name = getsockname(socket)?;
    Ok(SocketAddrNetlink::try_from(name)?.pid())
}

impl Namespace {
    fn open(netns: NetNs) -> io::Result<Self> {
        let injector = netns.within(Injector::open)??;
        // To ourselves: without CAP_NET_ADMIN nobody could be answered.
        injector.put(injector.port, &[0; 16])?;
        let mut echo = [0; 16];
        rustix::io::read(&injector.socket, &mut echo)?;
        let owners = Owners::of(&netns)?;
        Ok(Self { netns, injector, owners, door: None, ear: None, ids: Ids::default(), is_barren: false })
    }

    pub(crate) fn injector(&self) -> &Injector {
        &self.injector
    }

    /// The descriptor of the namespace.
    pub(crate) fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// The door; `None` when nobody listens there, nor could be made to.
    pub(crate) fn door(&mut self, starter: &mut Starter) -> Option<&mut Door> {
        // A daemon may have been started anew since it was last asked.
        if self.door.as_ref().is_none_or(Door::is_gone) {
            self.door = self.knock(starter);
        }
        self.door.as_mut()
    }

    /// The door is of no more use; the next request knocks again.
    pub(crate) fn lose_door(&mut self) {
        self.door = None;
    }

    /// Opens a second connection, which hears what is told to the group "l2tp"; `None` if it is open already.
    pub(crate) fn listen(&mut self) -> io::Result<Option<&Door>> {
        if self.ear.is_some() {
            return Ok(None);
        }
        let mut ear = self.netns.within(Door::open)??;
        ear.join()?;
        self.ids = ear.ids;
        Ok(Some(self.ear.insert(ear)))
    }

    /// What has been told to the group. When the daemon is gone, nobody listens until the next is asked something.
    pub(crate) fn hear(&mut self) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        while let Some(ear) = &mut self.ear {
            match ear.hear() {
                Ok(Some(datagram)) => heard.push(datagram),
                Ok(None) => break,
                Err(_) => self.ear = None,
            }
        }
        heard
    }

    fn knock(&mut self, starter: &mut Starter) -> Option<Door> {
        let open = |netns: &NetNs| netns.within(Door::open).and_then(|door| door);
        match open(&self.netns) {
            Ok(door) => return Some(door),
            // A stranger is at the door. No daemon of ours can take its place.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !self.is_barren => {
                self.is_barren = true;
                crate::tell(&error.to_string());
            }
            Err(_) => {}
        }
        if self.is_barren {
            return None;
        }
        match starter.serve(&self.netns) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                self.is_barren = true;
                crate::tell(&format!("cannot start a daemon in the program's network namespace: {error}"));
                return None;
            }
        }
        open(&self.netns).ok()
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Namespaces {
    known: BTreeMap<Identity, Namespace>,
}

impl Namespaces {
    /// The namespace of a thread that waits in a trapped call; opened now if it is new.
    ///
    /// # Errors
    /// When it cannot be entered, or answers cannot be put into sockets there.
    pub(crate) fn of_thread(&mut self, thread: Pid) -> io::Result<Identity> {
        let path = format!("/proc/{}/ns/net", thread.as_raw_nonzero());
        let stat = stat(&path)?;
        if self.known.contains_key(&(stat.st_dev, stat.st_ino)) {
            return Ok((stat.st_dev, stat.st_ino));
        }
        let netns = NetNs::open_path(&path)?;
        let found = identity(&netns)?;
        self.known.insert(found, Namespace::open(netns)?);
        Ok(found)
    }

    pub(crate) fn get(&self, identity: Identity) -> Option<&Namespace> {
        self.known.get(&identity)
    }

    pub(crate) fn get_mut(&mut self, identity: Identity) -> Option<&mut Namespace> {
        self.known.get_mut(&identity)
    }

    /// Lets go of those for which `is_used` is not so.
    pub(crate) fn retain(&mut self, is_used: impl Fn(Identity) -> bool) {
        self.known.retain(|identity, _| is_used(*identity));
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Identity, &mut Namespace)> {
        self.known.iter_mut().map(|(identity, namespace)| (*identity, namespace))
    }

    /// Whether there are any but `home`.
    pub(crate) fn any_besides(&self, home: Identity) -> bool {
        self.known.keys().any(|identity| *identity != home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genl::Socket;
    use l2tp_abi::nl::emit_overrun;
    use rustix::net::{RecvFlags, recv};

    #[test]
    fn what_was_lost_on_the_way_is_an_overrun_and_no_message() {
        let (injector, program) = (Injector::open().unwrap(), Injector::open().unwrap());
        let mut socket = Socket::new((0, 0), true, rustix::process::getpid());
        socket.port = program.port;
        let mut datagram = Vec::new();
        emit_overrun(&mut datagram, 0);
        socket.notify(&injector, &datagram);
        assert!(socket.take_overrun() && !socket.take_overrun());
        assert_eq!(recv(&program.socket, &mut [0; 64], RecvFlags::DONTWAIT).err(), Some(Errno::AGAIN));
    }
}
