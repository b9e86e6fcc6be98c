//! Descriptors that stand for sockets of our own: one end of a SEQPACKET Unix pair for the program, the other for us. The
//! program's end can be waited for, duplicated, inherited and handed on as any socket; when its last copy is closed, ours
//! sees the hang-up (unix(7)).

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Our end; never blocks.
pub struct PairEnd {
    descriptor: OwnedFd,
}

impl PairEnd {
    /// A new pair: our end, and the program's, which blocks.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of socketpair(2).
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        Ok((Self { descriptor: ours }, theirs))
    }

    /// Sends one datagram in parts.
    ///
    /// # Errors
    /// `WouldBlock` when the program is behind, `EMSGSIZE` above [`Self::set_room`], `EPIPE` when it has hung up.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut nothing = SendAncillaryBuffer::default();
        let flags = SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| sendmsg(&self.descriptor, parts, &mut nothing, flags))?;
        Ok(())
    }

    /// Receives one datagram and returns its length; `None` when the program has hung up, or writes no more (shutdown(2)). Descriptors that come along are
    /// closed.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; `EMSGSIZE` for a datagram longer than the buffer, which is gone.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut nothing = rustix::net::RecvAncillaryBuffer::default();
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message =
            rustix::io::retry_on_intr(|| recvmsg(&self.descriptor, &mut parts, &mut nothing, flags))?;
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(Errno::MSGSIZE.into());
        }
        // What is read at the end looks like an empty datagram.
        let is_over = message.bytes == 0 && self.is_hung_up()?;
        Ok((!is_over).then_some(message.bytes))
    }

    /// Whether the program can write no more, and all is read that it wrote.
    fn is_hung_up(&self) -> io::Result<bool> {
        let mut asked = [PollFd::new(&self.descriptor, PollFlags::RDHUP)];
        rustix::io::retry_on_intr(|| poll(&mut asked, Some(&Timespec::default())))?;
        let is_closed =
            asked.iter().any(|answer| answer.revents().intersects(PollFlags::HUP | PollFlags::RDHUP));
        Ok(is_closed && rustix::io::ioctl_fionread(&self.descriptor)? == 0)
    }

    /// The program reads the end of the file behind what waits for it; it can still write.
    ///
    /// # Errors
    /// None in practice.
    pub fn finish(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&self.descriptor, rustix::net::Shutdown::Write)?)
    }

    /// Sets how many bytes may wait for the program, as the kernel counts them.
    ///
    /// # Errors
    /// None in practice.
    pub fn set_room(&self, bytes: usize) -> io::Result<()> {
        // The kernel doubles what it is told.
        Ok(sockopt::set_socket_send_buffer_size(&self.descriptor, bytes / 2)?)
    }
}

/// Reads what waits at the program's end of a pair, in its place: one datagram, `None` when nothing waits.
pub fn take_unread(program: impl AsFd, buffer: &mut [u8]) -> Option<usize> {
    let received =
        rustix::io::retry_on_intr(|| rustix::net::recv(&program, &mut *buffer, RecvFlags::DONTWAIT));
    received.ok().map(|(length, _)| length).filter(|length| *length > 0)
}

impl AsFd for PairEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::PairEnd;
    use crate::poller::{Events, Interest, Poller};
    use crate::sockopt::cookie;
    use crate::testns::without_forks;
    use std::io::IoSlice;
    use std::time::Duration;

    #[test]
    fn datagrams_both_ways() {
        let (ours, theirs) = PairEnd::pair().unwrap();
        ours.send(&[IoSlice::new(b"ab"), IoSlice::new(b"c")]).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(rustix::io::read(&theirs, &mut buffer).unwrap(), 3);
        rustix::io::write(&theirs, b"12345678").unwrap();
        rustix::io::write(&theirs, b"123456789").unwrap();
        assert_eq!(ours.recv(&mut buffer).unwrap(), Some(8));
        assert_eq!(ours.recv(&mut buffer).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(ours.recv(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn who_does_not_read_has_a_bound() {
        let (ours, theirs) = PairEnd::pair().unwrap();
        ours.set_room(20_000).unwrap();
        let parts = [IoSlice::new(&[7; 1000])];
        let sent = (0..1000).take_while(|_| ours.send(&parts).is_ok()).count();
        assert!((1..20).contains(&sent), "{sent}");
        assert_eq!(ours.send(&parts).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        rustix::io::read(&theirs, &mut [0; 1000]).unwrap();
        ours.send(&parts).unwrap();
    }

    #[test]
    fn the_end_is_read_behind_what_waits() {
        let (ours, theirs) = PairEnd::pair().unwrap();
        ours.send(&[IoSlice::new(b"last words")]).unwrap();
        ours.finish().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(rustix::io::read(&theirs, &mut buffer).unwrap(), 10);
        assert_eq!(rustix::io::read(&theirs, &mut buffer).unwrap(), 0);
        rustix::io::write(&theirs, b"still").unwrap();
        assert_eq!(ours.recv(&mut buffer).unwrap(), Some(5));
    }

    #[test]
    fn an_empty_datagram_is_no_end() {
        let _guard = without_forks();
        let mut buffer = [0; 16];
        let (ours, theirs) = PairEnd::pair().unwrap();
        rustix::io::write(&theirs, b"").unwrap();
        assert_eq!(ours.recv(&mut buffer).unwrap(), Some(0));
        rustix::io::write(&theirs, b"").unwrap();
        rustix::io::write(&theirs, b"last words").unwrap();
        drop(theirs);
        assert_eq!(ours.recv(&mut buffer).unwrap(), Some(0));
        assert_eq!(ours.recv(&mut buffer).unwrap(), Some(10));
        assert_eq!(ours.recv(&mut buffer).unwrap(), None);
    }

    #[test]
    fn who_says_that_it_writes_no_more_has_hung_up() {
        let (ours, theirs) = PairEnd::pair().unwrap();
        rustix::net::shutdown(&theirs, rustix::net::Shutdown::Write).unwrap();
        assert_eq!(ours.recv(&mut [0; 16]).unwrap(), None);
    }

    #[test]
    fn the_last_copy_hangs_up() {
        let _guard = without_forks();
        let (ours, theirs) = PairEnd::pair().unwrap();
        let (poller, mut events) = (Poller::new().unwrap(), Events::with_capacity(1));
        poller.add(&ours, 1, Interest::Read).unwrap();
        let copy = theirs.try_clone().unwrap();
        assert_eq!(cookie(&copy).unwrap(), cookie(&theirs).unwrap());
        assert_ne!(cookie(&ours).unwrap(), cookie(&theirs).unwrap());
        rustix::io::write(&theirs, b"last words").unwrap();
        drop(theirs);
        let mut buffer = [0; 16];
        assert_eq!(ours.recv(&mut buffer).unwrap(), Some(10));
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
        drop(copy);
        poller.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(events.iter().next().unwrap().closed);
        assert_eq!(ours.recv(&mut buffer).unwrap(), None);
        assert_eq!(
            cookie(std::fs::File::open("/").unwrap()).unwrap_err().raw_os_error(),
            Some(libc::ENOTSOCK)
        );
    }
}
