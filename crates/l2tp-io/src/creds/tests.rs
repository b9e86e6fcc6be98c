//! Callers of every kind: with and without the capability, in and out of the namespace's line.

use super::{caller_may_administer, effective_uid};
use crate::door::{DoorListener, DoorStream};
use crate::netns::NetNs;
use crate::testns::{in_fresh_netns_forking, skip};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

const DOOR: &[u8] = b"creds";

/// A process that has knocked at the door and stays.
struct Caller {
    process: Child,
    stream: DoorStream,
}

impl Caller {
    /// Starts one as `uid`; `prepare` runs in it before it knocks.
    fn start(uid: u32, prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_program("cat", uid, prepare)
    }

    /// The same, and goes on as this program.
    fn start_program(
        program: impl AsRef<OsStr>,
        uid: u32,
        prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = DoorListener::bind(DOOR)?;
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).uid(uid);
        let knock = move || {
            prepare()?;
            let stream = DoorStream::connect(DOOR)?;
            // The connection stays open through exec: there is no other thread that could close it.
            rustix::io::fcntl_setfd(stream.as_fd(), rustix::io::FdFlags::empty())?;
            let _open_until_the_process_ends = OwnedFd::from(stream).into_raw_fd();
            Ok(())
        };
        // SAFETY: the child has one thread; it calls the kernel, and an allocator that survives a fork.
        unsafe { command.pre_exec(knock) };
        let process = command.spawn()?;
        let stream = listener.accept()?.ok_or(io::ErrorKind::NotConnected)?;
        Ok(Self { process, stream })
    }

    fn may_administer(&self, netns: &NetNs) -> bool {
        caller_may_administer(self.stream.as_fd(), netns).unwrap()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Root of a user namespace below ours: all capabilities, but there only.
fn become_root_below() -> io::Result<()> {
    // SAFETY: the descriptor table stays shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?;
    std::fs::write("/proc/self/uid_map", "0 0 1")
}

#[test]
fn root_may_and_a_user_may_not() {
    in_fresh_netns_forking(|| {
        let netns = NetNs::current().unwrap();
        assert!(Caller::start(0, || Ok(())).unwrap().may_administer(&netns));
        for uid in [12345, 65534] {
            match Caller::start(uid, || Ok(())) {
                Ok(caller) => assert!(!caller.may_administer(&netns)),
                Err(error) => skip(&format!("user {uid} in this user namespace ({error})")),
            }
        }
    });
}

/// What a set-user-id program may do is not meant for the user who knocked and then executed it.
#[test]
fn a_user_who_becomes_root_by_exec_may_not() {
    in_fresh_netns_forking(|| {
        let netns = NetNs::current().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("cat");
        // By another process: while we write the copy, a fork of another thread would keep it from being run (ETXTBSY).
        let script =
            "cp \"$(command -v cat)\" \"$0\" && chmod 4755 \"$0\" && chmod 755 \"$(dirname \"$0\")\"";
        assert!(Command::new("sh").args(["-c", script]).arg(&program).status().unwrap().success());
        let caller = match Caller::start_program(&program, 12345, || Ok(())) {
            Ok(caller) => caller,
            Err(error) => return skip(&format!("user 12345 in this user namespace ({error})")),
        };
        let status = std::fs::read_to_string(format!("/proc/{}/status", caller.process.id())).unwrap();
        if effective_uid(&status) != Some(0) {
            return skip("set-user-id programs in the folder for temporary files (nosuid)");
        }
        assert!(!caller.may_administer(&netns));
    });
}

#[test]
fn root_without_the_capability_may_not() {
    in_fresh_netns_forking(|| {
        let netns = NetNs::current().unwrap();
        // Dropped from the bounding set, it is not given back by exec.
        let drop_it = || {
            Ok(rustix::thread::remove_capability_from_bounding_set(rustix::thread::CapabilitySet::NET_ADMIN)?)
        };
        assert!(!Caller::start(0, drop_it).unwrap().may_administer(&netns));
        let drop_another = || {
            Ok(rustix::thread::remove_capability_from_bounding_set(rustix::thread::CapabilitySet::NET_RAW)?)
        };
        assert!(Caller::start(0, drop_another).unwrap().may_administer(&netns));
    });
}

#[test]
fn root_of_a_user_namespace_below_may_not() {
    in_fresh_netns_forking(|| {
        let netns = NetNs::current().unwrap();
        match Caller::start(0, become_root_below) {
            Ok(caller) => assert!(!caller.may_administer(&netns)),
            Err(error) => skip(&format!("user namespaces ({error})")),
        }
    });
}

/// A process that waits in user and network namespaces of its own, which `uid` has made.
pub(super) fn namespace_owned_by(uid: u32) -> io::Result<(Child, NetNs)> {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).uid(uid);
    // SAFETY: the descriptor table stays shared.
    let leave = || Ok(unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) }?);
    // SAFETY: the child has one thread, and only calls the kernel.
    unsafe { command.pre_exec(leave) };
    let process = command.spawn()?;
    let netns = NetNs::open_path(format!("/proc/{}/ns/net", process.id()))?;
    Ok((process, netns))
}

#[test]
fn the_owner_and_the_ancestors_of_a_namespace_may() {
    in_fresh_netns_forking(|| {
        let (mut holder, owned) = match namespace_owned_by(12345) {
            Ok(made) => made,
            Err(error) => return skip(&format!("user namespaces ({error})")),
        };
        assert!(
            Caller::start(12345, || Ok(())).unwrap().may_administer(&owned),
            "the owner, without capabilities"
        );
        assert!(!Caller::start(12346, || Ok(())).unwrap().may_administer(&owned), "another user");
        assert!(Caller::start(0, || Ok(())).unwrap().may_administer(&owned), "root above");
        assert!(!Caller::start(0, become_root_below).unwrap().may_administer(&owned), "root of a sibling");
        holder.kill().unwrap();
        holder.wait().unwrap();
    });
}

#[test]
fn the_overflow_user_owns_nothing() {
    in_fresh_netns_forking(|| {
        let (mut holder, owned) = match namespace_owned_by(65534) {
            Ok(made) => made,
            Err(error) => return skip(&format!("user namespaces ({error})")),
        };
        assert!(!Caller::start(65534, || Ok(())).unwrap().may_administer(&owned));
        holder.kill().unwrap();
        holder.wait().unwrap();
    });
}

#[test]
fn a_caller_that_is_gone_may_not() {
    in_fresh_netns_forking(|| {
        let netns = NetNs::current().unwrap();
        let mut caller = Caller::start(0, || Ok(())).unwrap();
        assert!(caller.may_administer(&netns));
        caller.process.kill().unwrap();
        // The connection closes a moment before the process is dead.
        let pid = Pid::from_child(&caller.process);
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).unwrap();
        assert!(!caller.may_administer(&netns), "a zombie");
        caller.process.wait().unwrap();
        assert!(!caller.may_administer(&netns), "a number that is free");
    });
}

#[test]
fn a_descriptor_that_is_no_unix_socket_is_an_error() {
    let netns = NetNs::current().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = caller_may_administer(file.as_fd(), &netns).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
}

#[test]
fn status_texts_are_read() {
    assert_eq!(effective_uid("Name:\tx\nUid:\t1\t2\t3\t4\n"), Some(2));
    for broken in ["", "Uid:\t1\n", "Uid:\t1\t-2\n", "Gid:\t1\t2\n"] {
        assert_eq!(effective_uid(broken), None, "{broken}");
    }
}
