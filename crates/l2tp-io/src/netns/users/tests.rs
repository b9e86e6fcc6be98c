//! Every way to use a namespace, by processes that do.

use super::*;
use crate::netns::NetNs;
use crate::testns::{in_fresh_netns_forking, skip};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A process that has done what the test wants of it; it ends with this value.
struct Process(Child);

impl Process {
    /// Runs a script of the shell, whose first words are heard when it has run up to its `echo`.
    fn start(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: prctl may be called between fork and exec.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let mut child = command.spawn().unwrap();
        let mut ready = [0; 6];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        Self(child)
    }

    fn number(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::KILL).unwrap();
        self.0.wait().unwrap();
    }
}

/// The calling thread is left in `netns`; whatever it starts is in the namespace where it was before.
fn from(home: &NetNs, script: &str) -> Process {
    let there = NetNs::current().unwrap();
    home.enter().unwrap();
    let process = Process::start(script);
    there.enter().unwrap();
    process
}

/// What the first look finds, the second asks again.
fn is_used(lookout: &mut Lookout) -> bool {
    let unused = [0; 2].map(|_| !lookout.look().is_empty());
    assert_eq!(unused[0], unused[1]);
    !unused[0]
}

fn lookout(netns: &NetNs, ours: impl IntoIterator<Item = u32>) -> Lookout {
    let mut lookout = Lookout::new(ours).unwrap();
    assert!(lookout.is_idle());
    lookout.watch(netns).unwrap();
    lookout
}

fn seen_while(home: &NetNs, netns: &NetNs, script: &str) {
    let mut watching = lookout(netns, []);
    assert!(!is_used(&mut watching), "before: {script}");
    let process = from(home, script);
    assert!(is_used(&mut watching), "with: {script}");
    assert!(!is_used(&mut lookout(netns, [process.number()])), "by a process of ours: {script}");
    drop(process);
    assert!(!is_used(&mut watching), "after: {script}");
}

fn in_two_namespaces(test: impl FnOnce(&NetNs, &NetNs) + Send) {
    in_fresh_netns_forking(|| {
        let home = NetNs::current().unwrap();
        let netns = NetNs::unshare().unwrap();
        if Sight::new().unwrap() == Sight::Poor {
            return skip("CAP_SYS_PTRACE");
        }
        if Command::new("nsenter").arg("--version").output().is_err() {
            return skip("nsenter and unshare (util-linux)");
        }
        test(&home, &netns);
    });
}

/// The link by which others reach a namespace.
fn path(netns: &NetNs) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), netns.as_fd().as_raw_fd())
}

#[test]
fn a_process_inside() {
    in_two_namespaces(|home, netns| {
        seen_while(
            home,
            netns,
            &format!("exec nsenter --net={} sh -c 'echo ready; exec sleep 60'", path(netns)),
        );
    });
}

#[test]
fn a_descriptor_outside() {
    in_two_namespaces(|home, netns| {
        seen_while(home, netns, &format!("exec 7<{}; echo ready; exec sleep 60", path(netns)));
    });
}

/// The link of such a descriptor is called by the place of the mount.
#[test]
fn a_descriptor_that_was_opened_by_a_mount() {
    in_two_namespaces(|home, netns| {
        let file = std::env::temp_dir().join(format!("ferrowire-test-opened-{}", std::process::id()));
        fs::write(&file, "").unwrap();
        let (from, to) = (path(netns), file.display());
        let script = format!(
            "exec unshare --mount sh -c 'mount --bind {from} {to}; exec 7<{to}; umount --lazy {to}; echo ready; exec sleep 60'"
        );
        seen_while(home, netns, &script);
        fs::remove_file(file).unwrap();
    });
}

/// The processes are others than ours, and outside: what counts is the mount that they can see.
#[test]
fn a_mount_elsewhere() {
    in_two_namespaces(|home, netns| {
        let file = std::env::temp_dir().join(format!("ferrowire-test-mount-{}", std::process::id()));
        fs::write(&file, "").unwrap();
        let script = format!(
            "exec unshare --mount sh -c 'mount --bind {} {} && echo ready; exec sleep 60'",
            path(netns),
            file.display()
        );
        seen_while(home, netns, &script);
        fs::remove_file(file).unwrap();
    });
}

/// Of two processes in one mount namespace the first sees nothing of it from its root, the second does.
#[test]
fn a_mount_that_is_not_seen_from_every_root() {
    in_two_namespaces(|home, netns| {
        let root = std::env::temp_dir().join(format!("ferrowire-test-root-{}", std::process::id()));
        fs::create_dir_all(root.join("narrow")).unwrap();
        let place = root.display();
        let mounts = format!(
            "touch {place}/netns; mount --bind {} {place}/netns; mount --bind / {place}/narrow",
            path(netns)
        );
        let first = from(
            home,
            &format!(
                "exec unshare --mount sh -c '{mounts}; echo ready; exec chroot {place}/narrow sleep 60'"
            ),
        );
        let link = format!("/proc/{}/root", first.number());
        while fs::read_link(&link).unwrap() == Path::new("/") {
            std::thread::yield_now();
        }
        let mut lookout = lookout(netns, []);
        assert!(!is_used(&mut lookout));
        let enter =
            format!("exec nsenter --mount=/proc/{}/ns/mnt sh -c 'echo ready; exec sleep 60'", first.number());
        let _second = from(home, &enter);
        assert!(is_used(&mut lookout));
        drop(first);
        assert!(is_used(&mut lookout));
        fs::remove_dir_all(root).unwrap();
    });
}

#[test]
fn what_is_beside_it_is_another() {
    in_two_namespaces(|home, netns| {
        let mut lookout = lookout(netns, []);
        lookout.watch(home).unwrap();
        let _inside = from(home, "echo ready; exec sleep 60");
        assert_eq!(lookout.look(), BTreeSet::from([netns.inode().unwrap()]));
        lookout.forget(netns.inode().unwrap());
        assert_eq!(lookout.look(), BTreeSet::new());
    });
}

/// Where the links of a process may not be read, its tables may.
#[test]
fn a_process_that_hides_its_links() {
    in_two_namespaces(|home, netns| {
        let mut lookout = lookout(netns, []);
        let inside =
            from(home, &format!("exec nsenter --net={} sh -c 'echo ready; exec sleep 60'", path(netns)));
        let task = PathBuf::from(format!("/proc/{0}/task/{0}", inside.number()));
        let mut search = Search::new(&lookout);
        let table = task.join("net/dev");
        search.saw_table(FileId::of(&table).unwrap().inode, table);
        assert!(search.wanted.is_empty());
        let found = search.found;
        let (inode, witness) = found.into_iter().next().unwrap();
        assert_eq!(inode, netns.inode().unwrap());
        lookout.watched.get_mut(&inode).unwrap().witness = Some(witness);
        let mut search = Search::new(&lookout);
        search.ask_witnesses(&lookout.watched);
        assert!(search.wanted.is_empty());
        drop(inside);
        assert!(!is_used(&mut lookout));
    });
}

/// A process is where its threads are, and has what each of them has.
#[test]
fn every_thread_of_a_process_counts() {
    in_two_namespaces(|home, netns| {
        let lookout = lookout(netns, []);
        let (process, thread) =
            (std::process::id(), rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned());
        assert!(share_descriptors(process, thread));
        let mut search = Search::new(&lookout);
        search.read_threads(process);
        assert!(search.wanted.is_empty(), "this thread is there");
        // SAFETY: from here on this thread has descriptors of its own, and uses no others.
        unsafe { unshare_unsafe(UnshareFlags::FILES) }.unwrap();
        assert!(!share_descriptors(process, thread));
        home.enter().unwrap();
        let _descriptor = rustix::io::dup(netns).unwrap();
        let task = PathBuf::from(format!("/proc/{process}/task/{thread}/fd"));
        let mut search = Search::new(&lookout);
        search.read_descriptors(&task);
        assert!(search.wanted.is_empty());
    });
}

/// Nothing is known to be unused where something was refused for want of CAP_SYS_PTRACE, or may be hidden.
#[test]
fn who_cannot_look_does_not_judge() {
    in_two_namespaces(|_, netns| {
        let mut lookout = lookout(netns, []);
        for (sight, blinded) in [(Sight::All, false), (Sight::Container, false), (Sight::Poor, true)] {
            lookout.sight = sight;
            let mut search = Search::new(&lookout);
            search.judge(&Errno::NOENT.into());
            assert!(!search.blind);
            search.judge(&Errno::ACCESS.into());
            assert_eq!(search.blind, blinded, "{sight:?}");
            search.judge(&Errno::NFILE.into());
            assert!(search.blind);
        }
        lookout.sight = Sight::All;
        assert!(!is_used(&mut lookout));
        lookout.hidden = true;
        assert!(is_used(&mut lookout));
    });
}

#[test]
fn processes_of_others_are_hidden() {
    let line =
        |place: &str, options: &str| format!("22 27 0:21 / {place} rw shared:1 - proc proc rw{options}\n");
    assert!(!hides_processes(line("/proc", "").as_bytes()));
    assert!(!hides_processes(line("/srv/proc", ",hidepid=invisible").as_bytes()));
    assert!(hides_processes((line("/", "") + &line("/proc", ",gid=5,hidepid=invisible")).as_bytes()));
}

#[test]
fn tables_of_mounts() {
    let file = std::env::temp_dir().join(format!("ferrowire-test-mountinfo-{}", std::process::id()));
    let table = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
        96 25 0:4 net:[4026532345] /run/netns/a rw shared:32 - nsfs nsfs rw\n\
        97 25 0:4 mnt:[4026532346] /run/snapd/ns/b.mnt rw - nsfs nsfs rw\n\
        98 25 0:30 net:[4026532347] /tmp/c rw - tmpfs tmpfs rw\n\
        99 25 0:4 net:[4026532348] /tmp/d\\040e rw shared:1 master:2 - nsfs nsfs rw\n\
        broken\n";
    fs::write(&file, [table.as_bytes(), &[0xff, b'\n']].concat()).unwrap();
    assert_eq!(mounted(&file).unwrap(), BTreeSet::from([4_026_532_345, 4_026_532_348]));
    fs::remove_file(file).unwrap();
}
