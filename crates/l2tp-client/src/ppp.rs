//! PPP sessions for programs that negotiate the link themselves: what `socket(AF_PPPOX, …, PX_PROTO_OL2TP)` and `/dev/ppp` are
//! for a program on a kernel that has them.
//!
//! ```no_run
//! use l2tp_client::ppp::{Ppp, Pppol2tpForm, SockaddrPppol2tp};
//!
//! # let udp = std::net::UdpSocket::bind("192.0.2.1:1701")?;
//! let address = SockaddrPppol2tp {
//!     form: Pppol2tpForm::V2In, // L2TPv2 over IPv4
//!     pid: 0,
//!     fd: -1, // `udp` beside it counts
//!     peer: "192.0.2.2:1701".parse()?,
//!     s_tunnel: 1,
//!     s_session: 10,
//!     d_tunnel: 2,
//!     d_session: 20,
//! };
//! let mut ppp = Ppp::door()?;
//! let session = ppp.open_session()?;
//! ppp.connect(&session, &address, Some(&udp))?; // makes session 10, in tunnel 1 on `udp`
//! let channel = ppp.open()?;
//! let index = ppp.channel_index(&session)?;
//! ppp.attach_channel(&channel, index)?; // LCP and authentication are read from and written to `channel`
//! let unit = ppp.open()?;
//! let number = ppp.new_unit(&unit, None)?; // the device pppN is there; IPCP goes through `unit`
//! ppp.connect_unit(&channel, number)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Session`] and a [`File`] are descriptors: frames are read from and written to them whole, each from its protocol field
//! on, and they can be waited for. The session ends with the last copy of its descriptor, the unit and its device with that of
//! the file that made it. A channel whose session is gone reads the end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use l2tp_abi::genl::ferrowire::FERROWIRE_GENL_NAME;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
pub use l2tp_abi::ppp::L2tpStats;
use l2tp_abi::ppp::SOL_PPPOL2TP;
use l2tp_abi::ppp::ioctl::{
    PPPIOCATTCHAN, PPPIOCBRIDGECHAN, PPPIOCCONNECT, PPPIOCDISCONN, PPPIOCGCHAN, PPPIOCGL2TPSTATS,
    PPPIOCNEWUNIT, PPPIOCUNBRIDGECHAN,
};
pub use l2tp_abi::sockaddr::{AF_PPPOX, Pppol2tpForm, SockaddrPppol2tp};

use crate::connection::find_family;
use crate::conversation::Conversation;
use crate::error::{Error, unreadable};
use crate::socket::Socket;

/// A connection to Ferrowire's daemon for PPP sessions of the network namespace.
#[derive(Debug)]
pub struct Ppp {
    conversation: Conversation<Socket>,
    family: u16,
}

/// A PPPoL2TP socket.
#[derive(Debug)]
pub struct Session(Handle);

/// An open file of `/dev/ppp`.
#[derive(Debug)]
pub struct File(Handle);

#[derive(Debug)]
struct Handle {
    descriptor: OwnedFd,
    number: u64,
}

impl Ppp {
    /// Connects to the daemon of the calling thread's network namespace.
    ///
    /// # Errors
    /// As [`crate::Connection::door`].
    pub fn door() -> Result<Self, Error> {
        let mut conversation = Conversation::new(Socket::door()?);
        let family = find_family(&mut conversation, FERROWIRE_GENL_NAME)?.id;
        Ok(Self { conversation, family })
    }

    /// Opens a PPPoL2TP socket. It takes no privilege.
    ///
    /// # Errors
    /// `ENFILE`: there are too many.
    pub fn open_session(&mut self) -> Result<Session, Error> {
        self.open_with(SocketCall::Open(AF_PPPOX)).map(Session)
    }

    /// Opens `/dev/ppp`.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN; `ENFILE`: there are too many.
    pub fn open(&mut self) -> Result<File, Error> {
        self.open_with(SocketCall::OpenPpp).map(File)
    }

    /// Connects a socket to a session of a tunnel that is there, and makes the session if it is not; or, where both session ids
    /// of the address are 0, to a tunnel, made from the program's UDP socket `tunnel` if it is not there. The address' `fd` is
    /// what others are told; `tunnel` counts.
    ///
    /// # Errors
    /// `ENOENT`: no such tunnel; `EBUSY`: connected already; `EEXIST`: another socket has the session; `EPROTOTYPE`: it is not
    /// PPP; and those of making a tunnel and a session.
    pub fn connect(
        &mut self,
        session: &Session,
        address: &SockaddrPppol2tp,
        tunnel: Option<&dyn AsFd>,
    ) -> Result<(), Error> {
        let beside = tunnel.map(AsFd::as_fd);
        let mut address = *address;
        if let Some(beside) = beside {
            address.fd = beside.as_raw_fd();
        }
        self.call(&session.0, SocketCall::Connect(&address.emit()), beside).map(drop)
    }

    /// Sets an option of level `SOL_PPPOL2TP` (`PPPOL2TP_SO_…`).
    ///
    /// # Errors
    /// `EINVAL`, `ENOPROTOOPT`; `ENOTCONN`, also when the session is gone.
    pub fn set_option(&mut self, session: &Session, option: u32, value: i32) -> Result<(), Error> {
        let value = &value.to_ne_bytes();
        self.call(&session.0, SocketCall::Set { level: SOL_PPPOL2TP, option, value }, None).map(drop)
    }

    /// The index of a session's channel (`PPPIOCGCHAN`). From now on the session's frames go to the channel.
    ///
    /// # Errors
    /// `ENOTCONN`, also when the session is gone.
    pub fn channel_index(&mut self, session: &Session) -> Result<u32, Error> {
        let program = session.as_fd();
        let request = SocketCall::Ioctl { request: PPPIOCGCHAN, argument: &[] };
        match self.call(&session.0, request, Some(program))? {
            SocketAnswer::Value(index) => int(&index),
            _ => Err(unreadable("no number in it")),
        }
    }

    /// The counters of a session. A management socket gives those of the PPP session `session_id` of its tunnel, or of the
    /// tunnel where that is 0; another socket always gives its own session's.
    ///
    /// # Errors
    /// `EBADR`: the tunnel has no such PPP session; `ENOTCONN`, also when the session is gone.
    pub fn stats(&mut self, session: &Session, session_id: u16) -> Result<L2tpStats, Error> {
        let argument = &L2tpStats { session_id, ..L2tpStats::default() }.emit();
        let request = SocketCall::Ioctl { request: PPPIOCGL2TPSTATS, argument };
        match self.call(&session.0, request, None)? {
            SocketAnswer::Value(value) => L2tpStats::parse(&value),
            _ => None,
        }
        .ok_or_else(|| unreadable("no counters in it"))
    }

    /// Makes a fresh file that of a channel.
    ///
    /// # Errors
    /// `ENXIO`: there is no such channel; `ENOTTY`: the file is not fresh.
    pub fn attach_channel(&mut self, file: &File, index: u32) -> Result<(), Error> {
        self.ioctl(file, PPPIOCATTCHAN, &index.to_ne_bytes()).map(drop)
    }

    /// Makes a unit with this number, or with the lowest that is free, and its device `pppN`, and a fresh file that of the unit.
    ///
    /// # Errors
    /// `EEXIST`: there is a unit with this number, or a device of this name; `ENOTTY`: the file is not fresh.
    pub fn new_unit(&mut self, file: &File, number: Option<u32>) -> Result<u32, Error> {
        let wanted = number.map_or(-1, u32::cast_signed);
        int(&self.ioctl(file, PPPIOCNEWUNIT, &wanted.to_ne_bytes())?)
    }

    /// Joins the channel of a file to a unit.
    ///
    /// # Errors
    /// `ENXIO`: there is no such unit; `EINVAL`: it is joined already; `ENOTCONN`: the channel is dead.
    pub fn connect_unit(&mut self, channel: &File, number: u32) -> Result<(), Error> {
        self.ioctl(channel, PPPIOCCONNECT, &number.to_ne_bytes()).map(drop)
    }

    /// Parts the channel of a file from its unit.
    ///
    /// # Errors
    /// `EINVAL`: it has none.
    pub fn disconnect_unit(&mut self, channel: &File) -> Result<(), Error> {
        self.ioctl(channel, PPPIOCDISCONN, &[]).map(drop)
    }

    /// Hands all frames of the channel of a file to the channel with this index, and the other way round.
    ///
    /// # Errors
    /// `ENXIO`: there is no such channel; `EALREADY`: one of them is joined already.
    pub fn bridge(&mut self, channel: &File, index: u32) -> Result<(), Error> {
        self.ioctl(channel, PPPIOCBRIDGECHAN, &index.to_ne_bytes()).map(drop)
    }

    /// Ends that.
    ///
    /// # Errors
    /// `EINVAL`: there is no bridge.
    pub fn unbridge(&mut self, channel: &File) -> Result<(), Error> {
        self.ioctl(channel, PPPIOCUNBRIDGECHAN, &[]).map(drop)
    }

    /// Any request of `ioctl` on a file ([`l2tp_abi::ppp::ioctl`]): what it writes to its argument.
    ///
    /// # Errors
    /// Those of the request.
    pub fn ioctl(&mut self, file: &File, request: u32, argument: &[u8]) -> Result<Vec<u8>, Error> {
        match self.call(&file.0, SocketCall::Ioctl { request, argument }, None)? {
            SocketAnswer::Value(value) => Ok(value),
            _ => Ok(Vec::new()),
        }
    }

    fn open_with(&mut self, call: SocketCall<'_>) -> Result<Handle, Error> {
        let answer = self.exchange(SocketRequest { socket: None, call }, None)?;
        match (answer, self.conversation.transport_mut().take_beside()) {
            (SocketAnswer::Opened(number), Some(descriptor)) => Ok(Handle { descriptor, number }),
            _ => Err(unreadable("no descriptor came with it")),
        }
    }

    fn call(
        &mut self,
        handle: &Handle,
        call: SocketCall<'_>,
        beside: Option<BorrowedFd<'_>>,
    ) -> Result<SocketAnswer, Error> {
        self.exchange(SocketRequest { socket: Some(handle.number), call }, beside)
    }

    fn exchange(
        &mut self,
        request: SocketRequest<'_>,
        beside: Option<BorrowedFd<'_>>,
    ) -> Result<SocketAnswer, Error> {
        let family = self.family;
        self.conversation.ask(|seq| request.emit(family, seq), beside)?;
        let mut answer = SocketAnswer::Done;
        while let Some(found) = self.conversation.next(SocketAnswer::parse)? {
            answer = found;
        }
        Ok(answer)
    }
}

fn int(bytes: &[u8]) -> Result<u32, Error> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)).ok_or_else(|| unreadable("no number in it"))
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.descriptor.as_fd()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.descriptor.as_fd()
    }
}

impl File {
    /// Reads a frame; 0 at the end: the channel's session is gone.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    /// Writes a frame: its protocol and data.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        self.0.write(frame)
    }
}

impl Session {
    /// Reads a frame, until the channel has been asked for.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    /// Writes a frame: its protocol and data.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        self.0.write(frame)
    }
}

impl Handle {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.descriptor, buffer)?)
    }

    fn write(&self, frame: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.descriptor, frame)?;
        Ok(())
    }
}
