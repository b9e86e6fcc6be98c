//! Who may serve: whoever connects to the door hands over descriptors, and takes what it reads for the kernel's word.

use super::{Owners, overflow_uid, peer_credentials};
use crate::netns::NetNs;
use rustix::process::geteuid;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;

/// Refuses a server that is a stranger: the door's name is anybody's to take while no daemon runs. `peer` is our side of
/// the connection, in the network namespace of the calling thread. The kernel tells who listened, at the time of listen(2).
///
/// Trusted are root, our own user, whoever made a user namespace above the network namespace, and whom our user namespace
/// does not know, where the network namespace belongs to it: nobody but our makers gets in there from outside.
///
/// # Errors
/// `PermissionDenied`, with words that say what to do.
pub(crate) fn check(peer: BorrowedFd<'_>) -> io::Result<()> {
    let uid = peer_credentials(peer)?.uid;
    let trusted = if is_unknown(uid) {
        owners().is_some()
    } else {
        uid == 0 || uid == geteuid().as_raw() || owners().is_some_and(|owners| owners.made_by(uid))
    };
    if trusted {
        return Ok(());
    }
    let told = format!(
        "a program of user {uid} answers at the door of this network namespace, not a daemon of root's: end it \
         (\"ss -xlp\" as root shows it) and start \"ferrowire daemon\", or ask as that user"
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, told))
}

/// The user namespaces above the network namespace, if it belongs to ours or to one below.
fn owners() -> Option<Owners> {
    NetNs::current().and_then(|netns| Owners::of(&netns)).ok()
}

/// Whether the number stands for all users that our user namespace does not know, and for none that it does.
fn is_unknown(uid: u32) -> bool {
    let map = || fs::read_to_string("/proc/self/uid_map");
    overflow_uid() == Some(uid) && map().is_ok_and(|map| !is_mapped(&map, uid))
}

/// Whether a /proc/PID/uid_map (user_namespaces(7)) has this user.
fn is_mapped(map: &str, uid: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map_while(|field| field.parse::<u64>().ok());
        let (Some(first), Some(_outside), Some(count)) = (fields.next(), fields.next(), fields.next()) else {
            return true;
        };
        (first..first.saturating_add(count)).contains(&uid.into())
    })
}

#[cfg(test)]
mod tests {
    use super::is_mapped;
    use crate::creds::tests::namespace_owned_by;
    use crate::door::{DoorListener, DoorStream};
    use crate::testns::{in_fresh_netns_forking, skip};
    use rustix::io::Errno;
    use rustix::process::geteuid;
    use rustix::thread::{UnshareFlags, move_into_link_name_space, unshare_unsafe};
    use std::io;
    use std::os::fd::{AsFd, IntoRawFd};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    const DOOR: &[u8] = b"server";

    /// A process of this user that listens at the door, inherited past its exec.
    fn listener_of(uid: u32) -> io::Result<Child> {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).uid(uid);
        let listen = || {
            let listener = DoorListener::bind(DOOR)?;
            let open = listener.as_fd().try_clone_to_owned()?;
            rustix::io::fcntl_setfd(&open, rustix::io::FdFlags::empty())?;
            let _open_until_the_process_ends = open.into_raw_fd();
            Ok(())
        };
        // SAFETY: the child has one thread; it calls the kernel, and an allocator that survives a fork.
        unsafe { command.pre_exec(listen) };
        command.spawn()
    }

    fn end(mut process: Child) {
        process.kill().unwrap();
        process.wait().unwrap();
    }

    #[test]
    fn a_stranger_at_the_door_is_refused() {
        in_fresh_netns_forking(|| {
            for uid in [12345, 65534] {
                match listener_of(uid) {
                    Ok(stranger) => {
                        let refused = DoorStream::connect(DOOR).unwrap_err();
                        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
                        let told = refused.to_string();
                        assert!(
                            told.starts_with(&format!("a program of user {uid} answers at the door")),
                            "{told}"
                        );
                        end(stranger);
                    }
                    Err(error) => skip(&format!("user {uid} in this user namespace ({error})")),
                }
            }
            let ours = listener_of(geteuid().as_raw()).unwrap();
            DoorStream::connect(DOOR).unwrap();
            end(ours);
        });
    }

    /// Starts a process of `uid` that has run `prepare` and then found the door good.
    fn knock_as(uid: u32, prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> io::Result<()> {
        let mut command = Command::new("true");
        command.uid(uid);
        // Only an errno survives the way to the parent.
        let knock = move || {
            prepare()?;
            DoorStream::connect(DOOR).map(drop).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Errno::OWNERDEAD.into(),
                _ => error,
            })
        };
        // SAFETY: as above.
        unsafe { command.pre_exec(knock) };
        command.status().map(drop)
    }

    #[test]
    fn users_trust_root() {
        in_fresh_netns_forking(|| {
            let _listener = DoorListener::bind(DOOR).unwrap();
            match knock_as(12345, || Ok(())) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    skip("user 12345 in this user namespace");
                }
                answer => answer.unwrap(),
            }
        });
    }

    /// A user namespace sees the host's root as it sees all others. It is trusted in a network namespace of one's own, and
    /// not in the host's, where any user may listen.
    #[test]
    fn unknown_users_are_trusted_where_only_our_makers_get_in() {
        in_fresh_netns_forking(|| {
            let (mut holder, owned) = match namespace_owned_by(12345) {
                Ok(made) => made,
                Err(error) => return skip(&format!("user namespaces, and users to make them ({error})")),
            };
            let number = holder.id();
            let join = move || {
                let user = std::fs::File::open(format!("/proc/{number}/ns/user"))?;
                let net = std::fs::File::open(format!("/proc/{number}/ns/net"))?;
                for namespace in [net, user] {
                    move_into_link_name_space(namespace.as_fd(), None)?;
                }
                Ok(())
            };
            let _inside = owned.within(|| DoorListener::bind(DOOR)).unwrap().unwrap();
            knock_as(0, join).unwrap();

            let _outside = DoorListener::bind(DOOR).unwrap();
            let leave = || {
                // SAFETY: the descriptor table stays shared.
                Ok(unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?)
            };
            assert_eq!(knock_as(0, leave).unwrap_err().raw_os_error(), Some(libc::EOWNERDEAD));
            holder.kill().unwrap();
            holder.wait().unwrap();
        });
    }

    #[test]
    fn maps_are_read() {
        assert!(is_mapped("         0          0 4294967295\n", 65534));
        assert!(!is_mapped("         0       1000          1\n", 65534));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", 65534));
        assert!(!is_mapped("0 1000 1\n1 100000 65533\n", 65534));
        assert!(is_mapped("what is this", 1));
    }
}
