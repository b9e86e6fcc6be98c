//! Files of the kernel's L2TP that programs open: its debug texts, as they are at that moment; and `/dev/ppp`, for which see
//! [`crate::ppp`].

use std::io;
use std::os::fd::OwnedFd;

use l2tp_abi::genl::ferrowire::{Request, parse_text};
use rustix::fs::{MemfdFlags, Mode, OFlags, SeekFrom, memfd_create, open, seek};
use rustix::io::{Errno, write};

use crate::filter::Syscall;
use crate::notify::{Answer, Call};
use crate::ppp::DEV_PPP;
use crate::remote::Memory;
use crate::supervisor::Supervisor;

/// A file that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    /// `/proc/net/pppol2tp`, readable for everybody.
    Pppol2tp,
    /// debugfs `l2tp/tunnels`, readable for root.
    Tunnels,
}

impl Text {
    fn at(path: &[u8]) -> Option<Self> {
        match path {
            b"/proc/net/pppol2tp" | b"/proc/self/net/pppol2tp" | b"/proc/thread-self/net/pppol2tp" => {
                Some(Self::Pppol2tp)
            }
            b"/sys/kernel/debug/l2tp/tunnels" => Some(Self::Tunnels),
            _ => None,
        }
    }

    fn request(self) -> Request {
        match self {
            Self::Pppol2tp => Request::DebugPppol2tp,
            Self::Tunnels => Request::DebugTunnels,
        }
    }
}

impl Supervisor {
    /// open(2), openat(2): `/dev/ppp`, or a file that holds the text, if it is one of ours.
    pub(crate) fn open_path(&mut self, call: &Call) -> io::Result<Answer> {
        let (path, flags) = if call.syscall == Syscall::Open { (0, 1) } else { (1, 2) };
        let path = Memory::of(call.thread).read_path(call.address(path))?;
        if path == DEV_PPP {
            return self.open_dev_ppp(call, call.int(flags));
        }
        let Some(text) = Text::at(&path) else { return Ok(Answer::Continue) };
        let identity = self.namespaces.of_thread(call.thread)?;
        self.sweep_soon();
        let Some(namespace) = self.namespaces.get_mut(identity) else { return Ok(Answer::Continue) };
        if text == Text::Tunnels && !namespace.owners.admit(call.thread)? {
            return Ok(Answer::Fail(Errno::ACCESS));
        }
        let Some(door) = namespace.door(&mut self.starter) else { return Ok(Answer::Continue) };
        let Ok(content) = door.text(text.request(), parse_text) else {
            namespace.lose_door();
            return Ok(Answer::Continue);
        };
        let file = read_only(content.as_bytes())?;
        let close_on_exec = call.int(flags) & libc::O_CLOEXEC != 0;
        self.give_lowest(call, &file, close_on_exec)
    }
}

/// A file in memory that can only be read.
fn read_only(content: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create("l2tp", MemfdFlags::CLOEXEC)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    seek(&file, SeekFrom::Start(0))?;
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    Ok(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn the_file_is_read_from_its_start_and_not_written() {
        let mut file = std::fs::File::from(read_only(b"text\n").unwrap());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text\n");
        assert!(file.write_all(b"x").is_err());
    }

    #[test]
    fn paths() {
        assert_eq!(Text::at(b"/proc/net/pppol2tp"), Some(Text::Pppol2tp));
        assert_eq!(Text::at(b"/sys/kernel/debug/l2tp/tunnels"), Some(Text::Tunnels));
        assert_eq!(Text::at(b"/proc/net/dev"), None);
    }
}
