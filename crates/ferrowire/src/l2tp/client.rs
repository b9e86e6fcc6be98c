//! Requests through the door, and what their answers mean.

use std::io;

use l2tp_abi::Errno;
use l2tp_abi::genl::ctrl::{FamilyMessage, get_family};
use l2tp_abi::genl::l2tp::{L2TP_GENL_NAME, Request};
use l2tp_abi::nl::{Ack, Message, Messages, NLMSG_ERROR, done_errno};

/// A socket to whoever serves the l2tp family.
///
/// It may connect with the first request: a command that is wrong, or asks for help, then needs no daemon.
pub(crate) trait Door {
    /// Sends one datagram of netlink messages.
    fn request(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits for one datagram of netlink messages. An empty one says that the other side is gone.
    fn reply(&mut self) -> io::Result<Vec<u8>>;
}

/// Flag of a dump's messages: objects came or went meanwhile (`NLM_F_DUMP_INTR`).
const NLM_F_DUMP_INTR: u16 = 0x10;

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server refused it; `message` is what it says besides the error number.
    Refused { errno: Errno, message: Option<String> },
    /// The door does not work.
    Broken(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// One user of a door. Requests go one at a time, each with a sequence number of its own.
pub(crate) struct Client<'d, D> {
    door: &'d mut D,
    family: u16,
    seq: u32,
    /// What the server warned of, each with its line end.
    pub(crate) warnings: String,
}

impl<'d, D: Door> Client<'d, D> {
    /// A user of the family "l2tp".
    pub(crate) fn connect(door: &'d mut D) -> Result<Self, Failure> {
        Self::connect_to(door, L2TP_GENL_NAME)
    }

    /// A user of the family called `name`.
    pub(crate) fn connect_to(door: &'d mut D, name: &str) -> Result<Self, Failure> {
        let mut client = Self { door, family: 0, seq: 0, warnings: String::new() };
        client.family = client.find_family(name)?.id;
        Ok(client)
    }

    /// Looks a family up.
    pub(crate) fn find_family(&mut self, name: &str) -> Result<FamilyMessage, Failure> {
        let mut family = None;
        self.talk(|_, seq| get_family(name, seq), |message| family = FamilyMessage::parse(message))?;
        Ok(family.ok_or_else(|| unreadable("no family in the answer"))?)
    }

    /// Sends `request` and gives `each` of the messages that answer it, up to the one that ends the answer.
    pub(crate) fn ask(&mut self, request: &Request, each: impl FnMut(&Message<'_>)) -> Result<(), Failure> {
        self.talk(|family, seq| request.emit(family, seq), each)
    }

    /// The same for whatever `request` makes of the family's id and a sequence number.
    pub(crate) fn talk(
        &mut self,
        request: impl FnOnce(u16, u32) -> Vec<u8>,
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<(), Failure> {
        self.seq = self.seq.wrapping_add(1);
        self.door.request(&request(self.family, self.seq))?;
        let mut interrupted = false;
        loop {
            let datagram = self.door.reply()?;
            if Messages::new(&datagram).next().is_none() {
                return Err(no_message(&datagram).into());
            }
            for message in Messages::new(&datagram).filter(|message| message.header.seq == self.seq) {
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match end(&message)? {
                    Some(warning) => {
                        self.warnings.push_str(&warning);
                        if interrupted {
                            self.warnings.push_str("Dump was interrupted and may be inconsistent.\n");
                        }
                        return Ok(());
                    }
                    None => each(&message),
                }
            }
        }
    }
}

/// Whether `message` ends the answer, and how: with a warning, mostly empty, or a refusal.
fn end(message: &Message<'_>) -> Result<Option<String>, Failure> {
    if let Some(errno) = done_errno(message) {
        return errno.map_or(Ok(Some(String::new())), |errno| Err(Failure::Refused { errno, message: None }));
    }
    if message.header.kind != NLMSG_ERROR {
        return Ok(None);
    }
    let ack = Ack::parse(message).ok_or_else(|| unreadable("an acknowledgement too short"))?;
    match (ack.errno, ack.message) {
        (Some(errno), message) => Err(Failure::Refused { errno, message }),
        (None, Some(text)) => Ok(Some(sentence("Warning", &text))),
        (None, None) => Ok(Some(String::new())),
    }
}

/// What a server says, as iproute2 prints it: with a full stop.
pub(crate) fn sentence(kind: &str, text: &str) -> String {
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{kind}: {text}{stop}\n")
}

fn no_message(datagram: &[u8]) -> io::Error {
    match datagram {
        [] => io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"),
        _ => unreadable("not a netlink message"),
    }
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("its answer cannot be read: {what}"))
}
