//! The kernel, and whether it has an L2TP of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use l2tp_abi::genl::ctrl::{FamilyMessage, dump_families};
use l2tp_abi::genl::l2tp::L2TP_GENL_NAME;
use l2tp_abi::nl::{Messages, NLMSG_DONE, NLMSG_ERROR};
use l2tp_io::genl::GenericNetlink;

use super::check::Check;
use super::procfs;
use crate::l2tp::os_error_text;

/// The oldest kernel with all that is used: UDP_GRO (5.0) is the newest of it.
const OLDEST: (u32, u32) = (5, 0);

/// Its version.
pub(super) fn release() -> Check {
    let release = procfs::kernel_release();
    let detail = format!("{release} {}", std::env::consts::ARCH);
    match procfs::version(&release) {
        Some(version) if version < OLDEST => {
            Check::missing("Linux", format!("{detail} is too old"), "install Linux 5.0 or later")
        }
        _ => Check::ok("Linux", detail),
    }
}

/// Whether the kernel could do what Ferrowire does. Nothing is needed of it.
pub(super) fn own_l2tp() -> Check {
    const NAME: &str = "kernel's own L2TP";
    let pppol2tp = Path::new("/proc/net/pppol2tp").exists();
    match has_family() {
        Ok(true) if pppol2tp => Check::note(NAME, "active, with PPP; its tunnels and Ferrowire's are apart"),
        Ok(true) => Check::note(NAME, "active, without PPP; its tunnels and Ferrowire's are apart"),
        Ok(false) => Check::note(NAME, absent(&modules(), &blockers(&modprobe_lines()))),
        Err(error) => Check::note(NAME, format!("cannot be asked for: {}", os_error_text(&error))),
    }
}

fn absent(modules: &[String], blockers: &[String]) -> String {
    match (modules, blockers) {
        ([], _) => "none, and no module of it on disk; Ferrowire stands in for it".to_owned(),
        (modules, []) => format!("not loaded; on disk: {}; Ferrowire stands in for it", modules.join(", ")),
        (_, [first, ..]) => format!("not loaded, and barred by \"{first}\"; Ferrowire stands in for it"),
    }
}

/// Whether the generic netlink family "l2tp" is there. All families are dumped: to ask for one by its name would make
/// the kernel load the module.
fn has_family() -> io::Result<bool> {
    let kernel = GenericNetlink::open()?;
    kernel.send(&dump_families(1))?;
    let mut found = false;
    loop {
        for message in Messages::new(&kernel.recv()?) {
            if matches!(message.header.kind, NLMSG_DONE | NLMSG_ERROR) {
                return Ok(found);
            }
            found |= FamilyMessage::parse(&message).is_some_and(|family| family.name == L2TP_GENL_NAME);
        }
    }
}

/// L2TP modules of the running kernel on disk.
fn modules() -> Vec<String> {
    let index = PathBuf::from("/lib/modules").join(procfs::kernel_release()).join("modules.dep");
    module_names(&fs::read_to_string(index).unwrap_or_default())
}

/// The L2TP modules of a modules.dep (depmod(8)): "kernel/net/l2tp/l2tp_eth.ko.xz: kernel/net/...".
fn module_names(index: &str) -> Vec<String> {
    index
        .lines()
        .filter_map(|line| line.split_once(".ko")?.0.rsplit('/').next())
        .filter(|name| name.starts_with("l2tp_"))
        .map(str::to_owned)
        .collect()
}

/// The configuration of modprobe(8), in the order of its folders.
fn modprobe_lines() -> String {
    let folders = ["/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let texts: Vec<String> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    texts.join("\n")
}

/// Lines that keep an L2TP module from being loaded: "blacklist l2tp_eth", "install l2tp_eth /bin/false".
fn blockers(configuration: &str) -> Vec<String> {
    configuration
        .lines()
        .map(str::trim)
        .filter(|line| {
            let mut words = line.split_whitespace();
            let (verb, module) = (words.next(), words.next().unwrap_or_default());
            let program = words.next().unwrap_or_default();
            let barred = match verb {
                Some("blacklist") => true,
                Some("install") => program.ends_with("/true") || program.ends_with("/false"),
                _ => false,
            };
            barred && module.replace('-', "_").starts_with("l2tp_")
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{absent, blockers, has_family, module_names};

    #[test]
    fn modules_of_an_index() {
        let index = "\
kernel/net/l2tp/l2tp_core.ko.xz: kernel/net/ipv4/udp_tunnel.ko.xz
kernel/net/l2tp/l2tp_eth.ko: kernel/net/l2tp/l2tp_netlink.ko kernel/net/l2tp/l2tp_core.ko
kernel/net/netfilter/xt_l2tp.ko:
kernel/drivers/net/tun.ko.zst:

nonsense
";
        assert_eq!(module_names(index), ["l2tp_core", "l2tp_eth"]);
    }

    #[test]
    fn lines_that_bar_a_module() {
        let configuration = "\
# blacklist l2tp_core
blacklist l2tp_eth
 install l2tp-ppp /bin/false
install l2tp_ip /sbin/modprobe --ignore-install l2tp_ip
blacklist pcspkr
blacklist
";
        assert_eq!(blockers(configuration), ["blacklist l2tp_eth", "install l2tp-ppp /bin/false"]);
    }

    #[test]
    fn what_is_said_of_it() {
        let (none, eth) = (vec![], vec!["l2tp_eth".to_owned()]);
        assert!(absent(&none, &none).starts_with("none"));
        assert!(absent(&eth, &none).contains("on disk: l2tp_eth"));
        assert!(absent(&eth, &["blacklist l2tp_eth".to_owned()]).contains("barred by"));
    }

    #[test]
    fn the_kernel_can_be_asked() {
        let listed = std::fs::exists("/sys/module/l2tp_netlink").unwrap();
        assert!(has_family().unwrap() || !listed);
    }
}
