//! What a program sends.

use std::io;

use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::ctrl::get_family;
use l2tp_abi::genl::ferrowire::{ACT_CAP_ACK, ACT_EXT_ACK, Actor};
use l2tp_abi::genl::l2tp::{L2TP_ATTR_FD, L2TP_GENL_NAME};
use l2tp_abi::nl::{
    Attributes, Message, Messages, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NLM_F_MULTI, SOL_NETLINK,
};
use l2tp_io::sockopt;
use rustix::io::Errno;
use rustix::net::bind;
use rustix::net::netlink::SocketAddrNetlink;
use std::os::fd::OwnedFd;

use super::is_kernel;
use crate::family::{Ids, Kind, classify, inward, outward};
use crate::notify::Answer;
use crate::supervisor::Supervisor;
use crate::transfer::{Outgoing, Use};

/// Bytes of requests that are taken at once; the kernel's own limit is the send buffer, 208 KiB as a rule.
const REQUEST_MAX: usize = 128 << 10;

impl Supervisor {
    /// The calls that send.
    pub(crate) fn send(&mut self, at: &Use<'_>) -> io::Result<Answer> {
        let Some(sent) = Outgoing::read(at)? else { return Ok(Answer::Continue) };
        match self.send_datagram(at, &sent)? {
            Answer::Return(_) => sent.done(at),
            answer => Ok(answer),
        }
    }

    fn send_datagram(&mut self, at: &Use<'_>, sent: &Outgoing) -> io::Result<Answer> {
        // No request to the family is that long: the kernel says that it is too long, or that it has no such family.
        if sent.bytes.len() > REQUEST_MAX {
            return Ok(Answer::Continue);
        }
        // Another socket's address, or what is none: the kernel says what is wrong with it.
        if sent.name.as_ref().is_some_and(|name| is_kernel(name) != Some(true)) {
            return Ok(Answer::Continue);
        }
        let kinds: Vec<Kind> =
            Messages::new(&sent.bytes).map(|message| classify(&message, self.seen)).collect();
        let has = |kind| kinds.contains(&kind);
        let ours = has(Kind::L2tp) || has(Kind::AboutL2tp);
        if !ours && !has(Kind::AllFamilies) || !self.has_door(at) {
            return Ok(Answer::Continue);
        }
        if !ours {
            return self.list_families(at, &sent.bytes);
        }
        if has(Kind::Other) || has(Kind::AllFamilies) {
            // The kernel would have to be asked in our name, for a part of what was sent.
            return Ok(Answer::Fail(Errno::OPNOTSUPP));
        }
        if self.sockets.must_read(at.cookie) {
            return Ok(Answer::Fail(Errno::NOBUFS));
        }
        for (message, kind) in Messages::new(&sent.bytes).zip(kinds) {
            if kind != Kind::Nothing
                && let Err(error) = self.forward(at, &message, kind)
            {
                crate::tell(&format!("the daemon did not answer: {error}"));
                return Ok(Answer::Fail(Errno::CONNREFUSED));
            }
        }
        Ok(Answer::length(sent.bytes.len()))
    }

    /// Our family, in front of the kernel's own, which it lists when the call goes on.
    fn list_families(&mut self, at: &Use<'_>, bytes: &[u8]) -> io::Result<Answer> {
        let Some(request) = Messages::new(bytes).find(|message| message.header.is_dump()) else {
            return Ok(Answer::Continue);
        };
        // Not to be acknowledged: without the flag, the description is the whole answer.
        let mut question = get_family(L2TP_GENL_NAME, request.header.seq);
        set_flags(&mut question, 1);
        let actor = self.actor(at, Kind::AboutL2tp)?;
        for mut answer in self.ask(at, actor, &question, None)?.0 {
            set_flags(&mut answer, NLM_F_MULTI);
            self.put(at, answer);
        }
        Ok(Answer::Continue)
    }

    /// Asks the daemon what the program asked, and puts the answers into its socket.
    fn forward(&mut self, at: &Use<'_>, message: &Message<'_>, kind: Kind) -> io::Result<()> {
        let actor = self.actor(at, kind)?;
        let descriptor = if kind == Kind::L2tp { named_descriptor(at, message) } else { None };
        for answer in self.ask(at, actor, message.bytes, descriptor.as_ref())?.0 {
            self.put(at, answer);
        }
        Ok(())
    }

    /// Asks; the answers are as the program wants them.
    fn ask(
        &mut self,
        at: &Use<'_>,
        actor: Actor,
        request: &[u8],
        descriptor: Option<&OwnedFd>,
    ) -> io::Result<Answers> {
        let seen = self.seen;
        let gone = || io::Error::from(Errno::CONNREFUSED);
        let identity = self.sockets.get_mut(at.cookie).map(|socket| socket.namespace).ok_or_else(gone)?;
        let namespace = self.namespaces.get_mut(identity).ok_or_else(gone)?;
        let door = namespace.door(&mut self.starter).ok_or_else(gone)?;
        let ids = door.ids;
        let message = Messages::new(request).next().ok_or(Errno::INVAL)?;
        match door.ask(actor, &inward(&message, seen, ids), descriptor) {
            Ok(answers) => Ok(Answers::translated(answers, request, ids, seen)),
            Err(error) => {
                namespace.lose_door();
                Err(error)
            }
        }
    }

    /// Whether there is somebody to ask.
    fn has_door(&mut self, at: &Use<'_>) -> bool {
        let identity = self.sockets.get_mut(at.cookie).map(|socket| socket.namespace);
        let namespace = identity.and_then(|identity| self.namespaces.get_mut(identity));
        let Some(namespace) = namespace else { return false };
        let has_door = namespace.door(&mut self.starter).is_some();
        if let Some(identity) = identity.filter(|_| has_door) {
            self.listen_in(identity);
        }
        has_door
    }

    /// In whose name it is asked.
    fn actor(&mut self, at: &Use<'_>, kind: Kind) -> io::Result<Actor> {
        let port = self.port(at)?;
        let bit = |option, bit| match sockopt::get(&at.socket, SOL_NETLINK, option) {
            Ok(value) if value != 0 => bit,
            _ => 0,
        };
        let options = bit(NETLINK_EXT_ACK, ACT_EXT_ACK) | bit(NETLINK_CAP_ACK, ACT_CAP_ACK);
        let socket = self.sockets.get_mut(at.cookie).ok_or(Errno::BADF)?;
        let namespace = self.namespaces.get(socket.namespace).ok_or(Errno::BADF)?;
        // The controller answers everybody.
        let privileged =
            kind == Kind::L2tp && socket.opener_privileged && namespace.owners.admit(at.call.thread)?;
        if !self.listener.is_valid(at.call) {
            return Err(Errno::SRCH.into());
        }
        Ok(Actor { port, privileged, options })
    }

    /// The socket's port id. One that was never bound is bound now, as the kernel does: to the process's number, or to
    /// any if that is taken.
    pub(crate) fn port(&mut self, at: &Use<'_>) -> io::Result<u32> {
        let socket = self.sockets.get_mut(at.cookie).ok_or(Errno::BADF)?;
        if socket.port == 0 {
            let mut port = crate::namespace::port_of(&at.socket)?;
            if port == 0 {
                let wanted = SocketAddrNetlink::new(at.process.own_number, 0);
                bind(&at.socket, &wanted).or_else(|_| bind(&at.socket, &SocketAddrNetlink::new(0, 0)))?;
                port = crate::namespace::port_of(&at.socket)?;
            }
            socket.port = port;
        }
        Ok(socket.port)
    }

    fn put(&mut self, at: &Use<'_>, datagram: Vec<u8>) {
        if let Some(socket) = self.sockets.get_mut(at.cookie)
            && let Some(namespace) = self.namespaces.get(socket.namespace)
        {
            socket.push(datagram);
            socket.pump(namespace.injector());
            self.is_backed_up |= socket.is_waiting();
        }
    }
}

/// What a program gets to read.
struct Answers(Vec<Vec<u8>>);

impl Answers {
    fn translated(mut answers: Vec<Vec<u8>>, request: &[u8], door: Ids, seen: Ids) -> Self {
        for answer in &mut answers {
            outward(answer, request, door, seen);
        }
        Self(answers)
    }
}

/// The descriptor that a request names in the table of the program.
fn named_descriptor(at: &Use<'_>, message: &Message<'_>) -> Option<OwnedFd> {
    let (_, attributes) = GenlHeader::split(message.payload)?;
    let number = Attributes::new(attributes).find_last(L2TP_ATTR_FD)?.u32()?;
    at.process.descriptor(i32::try_from(number).ok()?).ok()
}

/// Sets the flags of a message.
fn set_flags(message: &mut [u8], flags: u16) {
    if let Some(place) = message.get_mut(6..).and_then(<[u8]>::first_chunk_mut) {
        *place = flags.to_ne_bytes();
    }
}
