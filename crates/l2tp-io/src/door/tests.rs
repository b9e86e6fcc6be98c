//! Two ends of a door, and what a rude caller can put through it.

use super::{DoorListener, DoorStream, MAX_FDS, MAX_MESSAGE};
use crate::batch::Outgoing;
use crate::cmsg::ControlSpace;
use crate::mmsg::{OutHeader, send_each};
use crate::testns::{skip, without_forks};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io::{IoSlice, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

fn pair() -> (DoorStream, DoorStream) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    (near.into(), far.into())
}

fn name(test: &str) -> Vec<u8> {
    format!("ferrowire-test-{test}-{}", std::process::id()).into_bytes()
}

fn errno<T: std::fmt::Debug>(result: std::io::Result<T>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

#[test]
fn one_listener_serves_many_callers() {
    let _guard = without_forks();
    let name = name("callers");
    assert_eq!(errno(DoorStream::connect(&name).map(drop)), Some(libc::ECONNREFUSED));
    let listener = DoorListener::bind(&name).unwrap();
    assert_eq!(errno(DoorListener::bind(&name).map(drop)), Some(libc::EADDRINUSE));
    assert!(listener.accept().unwrap().is_none());

    let callers = [DoorStream::connect(&name).unwrap(), DoorStream::connect(&name).unwrap()];
    for (caller, question) in callers.iter().zip([b"one", b"two"]) {
        caller.send(question, &[]).unwrap();
        let served = listener.accept().unwrap().unwrap();
        let (mut buffer, mut fds) = ([0; 64], Vec::new());
        assert_eq!(served.recv(&mut buffer, &mut fds).unwrap(), 3);
        assert_eq!(&buffer[..3], question);
        assert_eq!(served.recv(&mut buffer, &mut fds).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        served.send(b"answer", &[]).unwrap();
        assert_eq!(caller.recv(&mut buffer, &mut fds).unwrap(), 6);
        drop(served);
        assert_eq!(caller.recv(&mut buffer, &mut fds).unwrap(), 0);
        assert_eq!(errno(caller.send(b"too late", &[])), Some(libc::EPIPE));
    }
    drop(listener);
    DoorListener::bind(&name).unwrap();
}

#[test]
fn a_name_too_long_is_refused() {
    let _guard = without_forks();
    assert_eq!(errno(DoorListener::bind(&[b'x'; 108]).map(drop)), Some(libc::ENAMETOOLONG));
    DoorListener::bind(&name(&"x".repeat(70))).unwrap();
}

#[test]
fn descriptors_arrive_usable_and_close_on_exec() {
    let _guard = without_forks();
    let (near, far) = pair();
    let (mut reader, mut writer) = pipe().unwrap();
    near.send(b"x", &[writer.as_fd(), writer.as_fd()]).unwrap();
    writer.write_all(b"1").unwrap();
    drop(writer);
    let (mut buffer, mut fds) = ([0; 8], Vec::new());
    assert_eq!(far.recv(&mut buffer, &mut fds).unwrap(), 1);
    assert_eq!(fds.len(), 2);
    assert!(fds.iter().all(|fd| fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)));
    rustix::io::write(&fds[0], b"2").unwrap();
    fds.clear();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"12");
}

#[test]
fn messages_keep_their_borders() {
    let _guard = without_forks();
    let (near, far) = pair();
    for size in [1, 1000, 5] {
        near.send(&vec![7; size], &[]).unwrap();
    }
    let (mut buffer, mut fds) = ([0; 2000], Vec::new());
    for size in [1, 1000, 5] {
        assert_eq!(far.recv(&mut buffer, &mut fds).unwrap(), size);
    }
}

#[test]
fn a_message_longer_than_the_buffer_is_refused_and_the_next_one_read() {
    let _guard = without_forks();
    let (near, far) = pair();
    let (mut reader, writer) = pipe().unwrap();
    near.send(&[1; 100], &[writer.as_fd()]).unwrap();
    near.send(&[2; 10], &[]).unwrap();
    drop(writer);
    let (mut buffer, mut fds) = ([0; 50], Vec::new());
    assert_eq!(errno(far.recv(&mut buffer, &mut fds)), Some(libc::EMSGSIZE));
    assert!(fds.is_empty());
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0, "the descriptor was not closed");
    assert_eq!(far.recv(&mut buffer, &mut fds).unwrap(), 10);
}

/// Sends a byte with any control message, as a caller with a library of its own would; false if the kernel refused.
fn send_with(stream: &DoorStream, level: i32, kind: i32, data: &[u8]) -> bool {
    let mut control = ControlSpace::<512>::EMPTY;
    control.push(level, kind, data);
    let parts = [IoSlice::new(b"!")];
    let mut headers = [OutHeader::new(&Outgoing { parts: &parts, segment: None }, None, &control)];
    let mut taken = true;
    send_each(stream.as_fd(), &mut headers, |_, _| taken = false);
    taken
}

#[test]
fn too_many_descriptors_are_all_closed() {
    let _guard = without_forks();
    for count in [MAX_FDS + 1, MAX_FDS + 2, MAX_FDS + 3, 60] {
        let (near, far) = pair();
        let (mut reader, writer) = pipe().unwrap();
        let fds = vec![writer.as_raw_fd(); count];
        let data: Vec<u8> = fds.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
        assert!(send_with(&near, libc::SOL_SOCKET, libc::SCM_RIGHTS, &data));
        near.send(b"next", &[]).unwrap();
        drop(writer);
        let kept = pipe().unwrap().0;
        let (mut buffer, mut fds) = ([0; 8], vec![OwnedFd::from(kept)]);
        assert_eq!(errno(far.recv(&mut buffer, &mut fds)), Some(libc::EMSGSIZE), "{count}");
        assert_eq!(fds.len(), 1, "what the caller held is left alone");
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0, "a descriptor was not closed");
        assert_eq!(far.recv(&mut buffer, &mut fds).unwrap(), 4);
    }
}

#[test]
fn as_many_descriptors_as_allowed_pass() {
    let _guard = without_forks();
    let (near, far) = pair();
    let (_reader, writer) = pipe().unwrap();
    let (mut buffer, mut fds) = ([0; 8], Vec::new());
    assert_eq!(errno(near.send(b"x", &[writer.as_fd(); MAX_FDS + 1])), Some(libc::EMSGSIZE));
    near.send(b"x", &[writer.as_fd(); MAX_FDS]).unwrap();
    far.recv(&mut buffer, &mut fds).unwrap();
    assert_eq!(fds.len(), MAX_FDS);
}

/// SCM_CREDENTIALS and control messages of unknown levels, which recvmsg never shows without SO_PASSCRED.
#[test]
fn other_control_messages_are_ignored_or_refused_by_the_kernel() {
    let _guard = without_forks();
    let (near, far) = pair();
    let control =
        [(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, 12), (libc::SOL_SOCKET, 99, 4), (77, 1, 4), (77, 1, 0)];
    for (level, kind, size) in control {
        let credentials = [std::process::id(), 0, 0].map(u32::to_ne_bytes).concat();
        let taken = send_with(&near, level, kind, &credentials[..size]);
        let (mut buffer, mut fds) = ([0; 8], Vec::new());
        let received = far.recv(&mut buffer, &mut fds);
        assert_eq!(received.is_ok(), taken, "level {level} type {kind}");
        assert!(fds.is_empty());
    }
}

#[test]
fn a_message_of_a_mebibyte_passes_where_the_host_allows_it() {
    let _guard = without_forks();
    let (near, far) = pair();
    let longest = near.max_message().unwrap();
    let bytes = vec![0xa5; longest];
    near.send(&bytes, &[]).unwrap();
    let (mut buffer, mut fds) = (vec![0; MAX_MESSAGE], Vec::new());
    assert_eq!(far.recv(&mut buffer, &mut fds).unwrap(), longest);
    assert_eq!(&buffer[..longest], &bytes[..]);
    assert_eq!(errno(near.send(&vec![0; longest + 1], &[])), Some(libc::EMSGSIZE));
    assert_eq!(errno(near.send(&[], &[])), Some(libc::EINVAL));
    if longest < MAX_MESSAGE {
        skip("CAP_NET_ADMIN in the first user namespace, for a send buffer above net.core.wmem_max");
    }
}

#[test]
fn a_receiver_that_is_behind_does_not_block_the_sender() {
    let _guard = without_forks();
    let (near, _far) = pair();
    let blocked = (0..10_000).find_map(|_| near.send(&[0; 4096], &[]).err()).unwrap();
    assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
    near.set_nonblocking(false).unwrap();
    near.set_nonblocking(true).unwrap();
    assert_eq!(near.send(&[0; 4096], &[]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn an_end_that_was_inherited() {
    let _guard = without_forks();
    let flags = SocketFlags::empty();
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let (near, far) = (DoorStream::inherit(near.into_raw_fd()).unwrap(), DoorStream::from(far));
    assert!(fcntl_getfd(&near).unwrap().contains(FdFlags::CLOEXEC));
    far.send(b"hello", &[]).unwrap();
    assert_eq!(near.recv(&mut [0; 8], &mut Vec::new()).unwrap(), 5);
    assert_eq!(errno(DoorStream::inherit(-1).map(drop)), Some(libc::EBADF));
    assert_eq!(errno(DoorStream::inherit(i32::MAX).map(drop)), Some(libc::EBADF));
    let (reader, _writer) = pipe().unwrap();
    assert_eq!(errno(DoorStream::inherit(reader.as_raw_fd()).map(drop)), Some(libc::ENOTSOCK));
    let (stream, _other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    assert_eq!(errno(DoorStream::inherit(stream.as_raw_fd()).map(drop)), Some(libc::EPROTOTYPE));
}
