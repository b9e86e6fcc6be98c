//! `recvmmsg(2)` and `sendmmsg(2)`: where pointers to buffers are handed to the kernel.

use crate::batch::{MAX_BATCH, Outgoing, RecvBatch, Slot};
use crate::cmsg::ControlSpace;
use crate::sockaddr::SockAddr;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

// SAFETY: zeroes are valid for a structure of pointers and integers, and mean "nothing given".
const NO_MESSAGE: libc::mmsghdr = unsafe { std::mem::zeroed() };
const NO_BUFFER: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };

/// Errors reported for earlier packets that are passed over in one receive. A peer could make them without end.
const PASSED_OVER: usize = 8;

/// Fills the batch with what waits in the socket and returns the number of datagrams; 0 when nothing waits.
pub(crate) fn receive(fd: BorrowedFd<'_>, batch: &mut RecvBatch) -> io::Result<usize> {
    batch.filled = 0;
    for _ in 0..PASSED_OVER {
        match receive_once(fd, batch) {
            Ok(filled) => {
                batch.filled = filled;
                return Ok(filled);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_reported(&error) => {
                batch.faults.reported += 1;
                batch.faults.last_reported = Some(error.kind());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

/// Whether the error is news of an earlier packet, left in the socket for the next call to find (net/ipv4/icmp.c
/// icmp_err_convert, net/ipv6/icmp.c icmpv6_err_convert), and not one of this call.
fn is_reported(error: &io::Error) -> bool {
    let reported = [
        libc::ECONNREFUSED,
        libc::EHOSTUNREACH,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::ENETDOWN,
        libc::ENONET,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EOPNOTSUPP,
        libc::EACCES,
    ];
    error.raw_os_error().is_some_and(|errno| reported.contains(&errno))
}

fn receive_once(fd: BorrowedFd<'_>, batch: &mut RecvBatch) -> io::Result<usize> {
    let (mut headers, mut iovecs) = ([NO_MESSAGE; MAX_BATCH], [NO_BUFFER; MAX_BATCH]);
    let count = point_at(&mut headers, &mut iovecs, batch);
    let (raw, flags) = (fd.as_raw_fd(), libc::MSG_DONTWAIT);
    // SAFETY: the first `count` headers point at the batch's buffers and at `iovecs`, all borrowed mutably here.
    let got = unsafe { libc::recvmmsg(raw, headers.as_mut_ptr(), count, flags, ptr::null_mut()) };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    for (slot, header) in batch.slots.iter_mut().zip(headers.iter().take(got)) {
        if !slot.note(header) {
            batch.faults.truncated += 1;
        }
    }
    Ok(got)
}

/// Makes a header for each slot and returns their number.
fn point_at(headers: &mut [libc::mmsghdr], iovecs: &mut [libc::iovec], batch: &mut RecvBatch) -> u32 {
    let buffers = batch.buffers.chunks_exact_mut(batch.slot_bytes);
    let mut count = 0;
    for (((header, iovec), buffer), slot) in headers.iter_mut().zip(iovecs).zip(buffers).zip(&mut batch.slots)
    {
        *iovec = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let message = &mut header.msg_hdr;
        message.msg_iov = iovec;
        message.msg_iovlen = 1;
        message.msg_name = slot.name.as_mut_ptr().cast();
        message.msg_namelen = SockAddr::CAPACITY;
        message.msg_control = slot.control.as_mut_ptr().cast();
        message.msg_controllen = Slot::CONTROL_BYTES;
        count += 1;
    }
    count
}

impl Slot {
    const CONTROL_BYTES: usize = 96;

    /// Takes over what the kernel wrote; false when the datagram did not fit.
    fn note(&mut self, header: &libc::mmsghdr) -> bool {
        self.name.set_size(header.msg_hdr.msg_namelen);
        self.control.set_used(header.msg_hdr.msg_controllen);
        self.local = None;
        let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
        self.payload = usize::try_from(header.msg_len).ok().filter(|_| whole).map(|length| (0, length));
        whole
    }
}

/// A message ready for the kernel, together with the borrows that keep its memory in place.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct OutHeader<'a> {
    raw: libc::mmsghdr,
    memory: PhantomData<&'a [u8]>,
}

impl<'a> OutHeader<'a> {
    pub(crate) const EMPTY: Self = Self { raw: NO_MESSAGE, memory: PhantomData };

    pub(crate) fn new<const N: usize>(
        message: &Outgoing<'a>,
        to: Option<&'a SockAddr>,
        control: &'a ControlSpace<N>,
    ) -> Self {
        let mut raw = NO_MESSAGE;
        // IoSlice is an iovec by its documented layout; the kernel only reads what a message to send points at.
        raw.msg_hdr.msg_iov = message.parts.as_ptr().cast::<libc::iovec>().cast_mut();
        raw.msg_hdr.msg_iovlen = message.parts.len();
        if let Some(to) = to {
            raw.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
            raw.msg_hdr.msg_namelen = to.size();
        }
        if control.used() > 0 {
            raw.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
            raw.msg_hdr.msg_controllen = control.used();
        }
        Self { raw, memory: PhantomData }
    }
}

/// Sends every message, and calls `failed` with index and error of each that the kernel did not take.
///
/// An error that an earlier packet left behind is taken off by trying again: a peer's ICMP must not cost a packet.
/// When the socket's queue is full, all that is left fails at once.
pub(crate) fn send_each(
    fd: BorrowedFd<'_>,
    headers: &mut [OutHeader<'_>],
    mut failed: impl FnMut(usize, io::Error),
) {
    let (mut next, mut retried) = (0, false);
    while let Some(rest) = headers.get_mut(next..).filter(|rest| !rest.is_empty()) {
        match send(fd, rest) {
            Ok(sent) => (next, retried) = (next + sent.max(1), false),
            Err(error) if is_reported(&error) && !retried => retried = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return (next..headers.len()).for_each(|index| failed(index, libc_error(libc::EAGAIN)));
            }
            Err(error) => {
                failed(next, error);
                (next, retried) = (next + 1, false);
            }
        }
    }
}

fn send(fd: BorrowedFd<'_>, headers: &mut [OutHeader<'_>]) -> io::Result<usize> {
    let count = u32::try_from(headers.len()).map_err(|_| libc_error(libc::EINVAL))?;
    let (raw, flags) = (fd.as_raw_fd(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    // SAFETY: OutHeader is a transparent mmsghdr, and its lifetime keeps all that it points at borrowed.
    let sent = unsafe { libc::sendmmsg(raw, headers.as_mut_ptr().cast(), count, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn libc_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
