//! A caller sends descriptors to a process that may open no more of them. Alone in its process: the limit is for all.

use l2tp_io::door::DoorStream;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::AsFd;

#[test]
fn a_message_whose_descriptors_do_not_fit_is_refused_whole() {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let (near, far) = (DoorStream::from(near), DoorStream::from(far));
    let file = std::fs::File::open("/dev/null").unwrap();
    for _ in 0..3 {
        near.send(b"three", &[file.as_fd(); 3]).unwrap();
    }
    near.send(b"none", &[]).unwrap();

    let free = file.as_fd().try_clone_to_owned().unwrap();
    let lowest = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&free)).unwrap();
    drop(free);
    let limits = getrlimit(Resource::Nofile);
    let (mut buffer, mut fds) = ([0; 16], Vec::new());
    for room in [0, 1] {
        setrlimit(Resource::Nofile, Rlimit { current: Some(lowest + room), ..limits }).unwrap();
        let refused = far.recv(&mut buffer, &mut fds).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE), "room for {room}");
        assert!(fds.is_empty());
    }
    setrlimit(Resource::Nofile, limits).unwrap();
    assert_eq!(far.recv(&mut buffer, &mut fds).unwrap(), 5);
    assert_eq!(fds.len(), 3);
    assert_eq!(far.recv(&mut buffer, &mut fds).unwrap(), 4);
}
