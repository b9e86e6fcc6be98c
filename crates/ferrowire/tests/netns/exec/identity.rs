//! Who may do what: users, user namespaces, set-user-id programs, limits.

use std::process::Command;

use crate::daemon::FERROWIRE;
use crate::require;

use super::programs::{Program, host};
use super::{ADD_TUNNEL, exec, succeed, text};

/// The capability of the program that asks decides, not that of the supervisor.
#[test]
fn nobody_may_look_up_the_family_and_nothing_else() {
    if !require::met(&["setpriv"]) || !require::other_users() {
        return;
    }
    let host = host();
    let as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let script = format!(
        "{ADD_TUNNEL} && {as_nobody} ip l2tp show tunnel; echo $?; {as_nobody} ip l2tp del tunnel tunnel_id 1; echo $?
         setpriv --bounding-set -net_admin ip l2tp del tunnel tunnel_id 1; echo $?; ip l2tp show tunnel | head -1"
    );
    let output = exec(&host, &["--private"], &script);
    assert_eq!(text(&output.stdout), "1\n2\n2\nTunnel 1, encap UDP\n");
    let told = text(&output.stderr);
    assert_eq!(told.matches("Operation not permitted").count(), 3, "{told}");
}

/// Root of a user namespace administers the network namespaces that belong to it, and no others.
#[test]
fn user_namespaces_below_the_program() {
    if !require::met(&["unshare"]) {
        return;
    }
    let script = format!(
        "unshare -Ur sh -c '{ADD_TUNNEL}; echo $?'
         unshare -Urn sh -c 'ip link set lo up; {ADD_TUNNEL}; echo $?; ip l2tp show tunnel | head -1'
         ip l2tp show tunnel"
    );
    let output = exec(&host(), &["--private"], &script);
    assert_eq!(text(&output.stdout), "2\n0\nTunnel 1, encap UDP\n", "{}", text(&output.stderr));
}

/// All of it in a user namespace of its own, without any privilege of the host's.
#[test]
fn in_an_unprivileged_user_namespace() {
    if !require::met(&["unshare", "setpriv"]) || !require::other_users() {
        return;
    }
    // Where another user can execute it.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binary = folder.path().join("ferrowire");
    std::fs::copy(FERROWIRE, &binary).unwrap();
    let binary = binary.display();
    let script = format!("ip link set lo up; {ADD_TUNNEL}; ip l2tp show tunnel | head -1");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c"]);
    command.arg(format!(
        "unshare -Urn {binary} exec --private -- sh -c '{script}'; {binary} exec -- true; echo $?"
    ));
    let output = command.output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(text(&output.stdout), "Tunnel 1, encap UDP\n125\n", "{told}");
    assert!(told.contains("needs CAP_NET_ADMIN over this network namespace"), "{told}");
}

/// The filter of root leaves set-user-id programs their bit.
#[test]
fn set_user_id_programs_and_new_privileges() {
    if !require::met(&["cc", "setpriv"]) || !require::other_users() {
        return;
    }
    let program = Program::compile("sharing");
    let folder = program.path.parent().unwrap();
    for (path, mode) in [(folder, 0o755), (program.path.as_path(), 0o4755)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    let path = program.path.display();
    let as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    // With one more word the program tells whether a family look-up on that descriptor works; without, it tests sharing.
    let script = format!(
        "{as_nobody} {path} | tail -1; setpriv --no-new-privs {path} | tail -1; grep NoNewPrivs /proc/self/status"
    );
    let shown = succeed(&host(), &["--private"], &script);
    assert_eq!(shown, "all as it should be\nall as it should be\nNoNewPrivs:\t0\n");
}

/// Small and large tables of descriptors.
#[test]
fn limits_of_open_files() {
    if !require::met(&["bash"]) {
        return;
    }
    let host = host();
    let script = format!("{ADD_TUNNEL} && ip l2tp show tunnel | head -1 && ip l2tp del tunnel tunnel_id 1");
    for limit in ["64", "256", "900", "65536"] {
        let limited = format!("ulimit -n {limit}; exec {FERROWIRE} exec --private -- sh -c '{script}'");
        let output = host.run("bash", &["-c", &limited]);
        assert_eq!(text(&output.stdout), "Tunnel 1, encap UDP\n", "{limit}: {}", text(&output.stderr));
    }
    // Lowered below the window: such a program has the kernel's sockets, where there is no such family.
    let output = exec(&host, &["--private"], "ulimit -n 100; ip l2tp show tunnel; ip link show lo | head -1");
    assert!(text(&output.stdout).contains("lo:"), "{}", text(&output.stderr));
}
