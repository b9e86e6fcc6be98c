//! Namespaces of our own, by thread and by process.

use super::NetNs;
use crate::rtnl::Rtnl;
use crate::testns::{in_fresh_netns, skip, with_forks};
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn names_that_are_no_file_names_are_refused() {
    for name in ["", ".", "..", "a/b", "/etc/passwd"] {
        assert_eq!(NetNs::open_named(name).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{name}");
    }
    let missing = NetNs::open_named("no such namespace").unwrap_err();
    assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
}

#[test]
fn a_file_that_is_no_namespace_is_not_entered() {
    let file = NetNs::open_path("/proc/self/status").unwrap();
    assert_eq!(file.enter().unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_new_namespace_is_another_one_with_loopback_up() {
    let outside = NetNs::current().unwrap();
    in_fresh_netns(|| {
        let inside = NetNs::current().unwrap();
        assert!(!inside.same_as(&outside).unwrap());
        assert!(inside.same_as(&NetNs::current().unwrap()).unwrap());
        let links = Rtnl::open().unwrap().links().unwrap();
        assert!(links.iter().any(|link| link.name == "lo" && link.up));
    });
    assert!(outside.same_as(&NetNs::current().unwrap()).unwrap());
}

#[test]
fn work_within_leaves_the_caller_where_it_was() {
    in_fresh_netns(|| {
        let first = NetNs::current().unwrap();
        let second = NetNs::unshare().unwrap();
        let same = first.within(|| NetNs::current().unwrap().same_as(&first).unwrap()).unwrap();
        assert!(same);
        assert!(second.same_as(&NetNs::current().unwrap()).unwrap());
        let thread = std::thread::current().id();
        assert_eq!(second.within(|| std::thread::current().id()).unwrap(), thread);
        let panicked = std::panic::catch_unwind(|| first.within(|| panic!("on purpose")));
        assert!(panicked.is_err());
        first.enter().unwrap();
        assert!(first.same_as(&NetNs::current().unwrap()).unwrap());
    });
}

#[test]
fn a_process_becomes_root_of_namespaces_of_its_own() {
    let _guard = with_forks();
    let mut command = Command::new("cat");
    command.args([
        "/proc/self/uid_map",
        "/proc/self/gid_map",
        "/proc/self/net/if_inet6",
        "/proc/self/net/dev",
    ]);
    // SAFETY: the forked child has one thread, as unshare_user needs; the C library's allocator survives a fork.
    unsafe { command.pre_exec(|| NetNs::unshare_user().map(drop)) };
    let output = match command.output() {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSPC | libc::EACCES)) => {
            return skip(
                "user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)",
            );
        }
        Err(error) => panic!("{error}"),
    };
    let maps: Vec<Vec<_>> = output.lines().take(2).map(|line| line.split_whitespace().collect()).collect();
    assert!(maps.iter().all(|map| map.first() == Some(&"0") && map.last() == Some(&"1")), "{output}");
    assert!(output.contains("lo:"), "{output}");
    if std::path::Path::new("/proc/self/net/if_inet6").exists() {
        assert!(output.contains("00000000000000000000000000000001"), "loopback is not up: {output}");
    }
}

#[test]
fn a_process_with_threads_cannot_leave_its_user_namespace() {
    let waiting = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| waiting.wait());
        let refused = NetNs::unshare_user().unwrap_err();
        waiting.wait();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
    });
}
