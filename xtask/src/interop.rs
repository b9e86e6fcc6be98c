//! `cargo xtask interop kernel`: Ferrowire at one end, a kernel's own L2TP at the other, every form of tunnel and session
//! between them. docs/interop.md says what is needed and what came of it.

mod checks;
mod counters;
mod form;
mod kernel;
pub(crate) mod lab;
mod ours;
mod pairs;
mod programs;
mod requests;
mod scenes;
mod stream;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use l2tp_io::netns::NetNs;

use checks::Findings;
use form::{End, Form, Tunnel, Underlay};
use kernel::Kernel;
use lab::Lab;
use ours::Ours;
pub(crate) use pairs::{measure, pairs};
pub(crate) use programs::programs;
pub(crate) use requests::{play, requests};

/// Where a lab lies if neither `--lab` nor `FERROWIRE_LAB` says so.
const LAB: &str = "/var/cache/l2tp-lab";

/// Every form of tunnel and session against a kernel's own L2TP
#[derive(clap::Parser)]
#[command(name = "cargo xtask interop kernel")]
struct KernelArgs {
    /// Folder with uml/linux, user-mode-linux with L2TP [default: $FERROWIRE_LAB, or /var/cache/l2tp-lab]
    #[arg(long, value_name = "DIR")]
    lab: Option<PathBuf>,
    /// Instead of the lab: a command that runs a shell line, its last argument, as root at the kernel's end
    #[arg(long, value_name = "COMMAND", requires_all = ["netns", "local", "peer"])]
    exec: Option<String>,
    /// With --exec: the network namespace of our end, as "ip netns" names it
    #[arg(long, value_name = "NAME", requires = "exec")]
    netns: Option<String>,
    /// With --exec: the addresses of our end
    #[arg(long, value_name = "IPV4,IPV6", requires = "exec", value_parser = address_pair)]
    local: Option<(Ipv4Addr, Ipv6Addr)>,
    /// With --exec: the addresses of the kernel's end
    #[arg(long, value_name = "IPV4,IPV6", requires = "exec", value_parser = address_pair)]
    peer: Option<(Ipv4Addr, Ipv6Addr)>,
    /// The binary to test, instead of the release build of this workspace
    #[arg(long, value_name = "PATH")]
    ferrowire: Option<PathBuf>,
    /// Only the forms and scenes whose row has this in it
    #[arg(long, value_name = "WORDS", default_value = "")]
    only: String,
}

fn address_pair(text: &str) -> Result<(Ipv4Addr, Ipv6Addr), String> {
    let pair = text.split_once(',').and_then(|(v4, v6)| Some((v4.parse().ok()?, v6.parse().ok()?)));
    pair.ok_or_else(|| "an IPv4 and an IPv6 address with a comma between them".to_owned())
}

/// Both ends and the network between them.
struct Ends {
    ours: Ours,
    kernel: Kernel,
    underlay: Underlay,
    /// MTU of the network between the ends.
    underlay_mtu: usize,
}

/// How many checks went which way.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Runs every form and every scene, prints a row for each, and fails if one of them did.
///
/// It has to be called on the main thread, which moves to the network namespace of our end: the processes that it starts
/// there end with that thread.
///
/// # Errors
/// When an end cannot be set up, or a check failed.
pub(crate) fn kernel(words: &[&str]) -> anyhow::Result<()> {
    let name = "cargo xtask interop kernel";
    let args = KernelArgs::try_parse_from([&[name], words].concat()).unwrap_or_else(|usage| usage.exit());
    let binary = binary(args.ferrowire.as_deref())?;
    let mut ends = set_up(&args, &binary)?;
    let mut tally = Tally::default();
    let version = ends.kernel.sh("uname -sr")?;
    say(&format!("kernel's end: {}", version.trim()));
    let forms: Vec<Form> =
        form::all().into_iter().filter(|form| form.to_string().contains(&args.only)).collect();
    let result = run_forms(&mut ends, &forms, &mut tally)
        .and_then(|()| scenes::run(&mut ends, &args.only, &mut tally));
    clean_up(&mut ends)?;
    result?;
    say(&format!("{} passed, {} failed", tally.passed, tally.failed));
    ensure!(tally.passed + tally.failed > 0, "no form and no scene has {:?} in its row", args.only);
    ensure!(tally.failed == 0, "{} checks failed", tally.failed);
    Ok(())
}

/// The binary that was named, or a new one.
pub(crate) fn binary(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    match named {
        Some(path) => path.canonicalize().with_context(|| format!("there is no {}", path.display())),
        None => build(),
    }
}

/// Builds the binary in the target folder in which this program lies.
fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", "ferrowire"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "ferrowire does not build");
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("this program lies in no target folder")?;
    Ok(target.join("release/ferrowire"))
}

fn set_up(args: &KernelArgs, binary: &Path) -> anyhow::Result<Ends> {
    let home = NetNs::current().context("cannot find out the network namespace: is /proc mounted?")?;
    let (mut kernel, underlay) = match (&args.exec, &args.netns, args.local, args.peer) {
        (Some(prefix), Some(netns), Some(ours), Some(kernel)) => {
            let netns = NetNs::open_named(netns)
                .with_context(|| format!("there is no network namespace {netns:?}"))?;
            netns.enter().context("cannot enter the network namespace: root is needed")?;
            (Kernel::Command { prefix: prefix.clone(), home }, Underlay { ours, kernel })
        }
        _ => (Kernel::Lab(start_lab(args.lab.as_ref())?), lab::UNDERLAY),
    };
    let ids: Vec<u32> = tunnels().iter().map(|tunnel| tunnel.id(End::Kernel)).collect();
    kernel.forget_tunnels(&ids)?;
    let underlay_mtu = route_mtu(&underlay)?;
    Ok(Ends { ours: Ours::start(binary)?, kernel, underlay, underlay_mtu })
}

/// Starts the lab, in a namespace of its own that this thread is in then.
pub(crate) fn start_lab(folder: Option<&PathBuf>) -> anyhow::Result<Lab> {
    let linux = lab_program(folder)?;
    NetNs::unshare().context("cannot make a network namespace: root is needed")?;
    Lab::start(&linux)
}

fn lab_program(lab: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
    let folder = lab.cloned().or_else(|| std::env::var_os("FERROWIRE_LAB").map(PathBuf::from));
    let linux = folder.unwrap_or_else(|| LAB.into()).join("uml/linux");
    if !linux.exists() {
        bail!("there is no {}: build it with lab/build, or name another kernel with --exec", linux.display());
    }
    Ok(linux)
}

/// Every tunnel that is ever made here.
fn tunnels() -> Vec<Tunnel> {
    let mut tunnels: Vec<Tunnel> = form::all().into_iter().map(|form| form.tunnel).collect();
    tunnels.extend(scenes::forms().into_iter().map(|form| form.tunnel));
    tunnels.dedup_by_key(|tunnel| tunnel.number);
    tunnels
}

/// The MTU of our device to the kernel's end.
fn route_mtu(underlay: &Underlay) -> anyhow::Result<usize> {
    let route = ours::sh(&format!("ip -o route get {}", underlay.address(End::Kernel, false)))?;
    let words: Vec<&str> = route.split_whitespace().collect();
    let device = words.windows(2).find_map(|pair| (pair.first() == Some(&"dev")).then(|| pair.last())?);
    let device = device.with_context(|| format!("no device in {route:?}"))?;
    let link = ours::sh(&format!("ip -o link show {device}"))?;
    let mtu = link.split_once(" mtu ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    mtu.with_context(|| format!("no MTU in {link:?}"))
}

/// Sets all forms up, so that they are there at the same time, then checks one after the other.
fn run_forms(ends: &mut Ends, forms: &[Form], tally: &mut Tally) -> anyhow::Result<()> {
    let mut tunnels: Vec<&Tunnel> = forms.iter().map(|form| &form.tunnel).collect();
    tunnels.dedup_by_key(|tunnel| tunnel.number);
    for tunnel in &tunnels {
        let sessions: Vec<Form> =
            forms.iter().filter(|form| form.tunnel.number == tunnel.number).cloned().collect();
        ends.make(tunnel, &sessions, [tunnel.carrier.checksum_words(); 2])?;
    }
    if !forms.is_empty() {
        say(&format!(
            "{:<10} {:<7} {:<9} {:<5} {:>10}  {:>20} {:>20}  result",
            "carrier", "cookies", "sublayer", "seq", "MTU", "to kernel", "from kernel"
        ));
    }
    for form in forms {
        let result = checks::check(ends, form);
        tally.count(result.is_ok());
        say(&row(form, &result));
    }
    Ok(())
}

fn row(form: &Form, result: &anyhow::Result<Findings>) -> String {
    match result {
        Ok(Findings { mtu: [our_mtu, kernel_mtu], ours, kernel }) => {
            let frames = |sender: u64, receiver: u64| format!("{sender}/{receiver}");
            format!(
                "{form} {:>10}  {:>20} {:>20}  {}",
                format!("{our_mtu}/{kernel_mtu}"),
                frames(ours.tx_packets, kernel.rx_packets),
                frames(ours.rx_packets, kernel.tx_packets),
                if form.is_refused() { "passed: refused by both" } else { "passed" },
            )
        }
        Err(error) => format!("{form} FAILED: {error:#}"),
    }
}

impl Ends {
    /// Makes a tunnel with its sessions at both ends, with the checksum words of our end and the kernel's.
    fn make(&mut self, tunnel: &Tunnel, forms: &[Form], checksum_words: [&str; 2]) -> anyhow::Result<()> {
        let [our_words, kernel_words] = checksum_words;
        self.ours.l2tp(&tunnel.add(End::Ours, &self.underlay, our_words))?;
        let mut lines = format!("l2tp {}\n", tunnel.add(End::Kernel, &self.underlay, kernel_words));
        for form in forms {
            self.ours.l2tp(&form.add(End::Ours))?;
            lines += &format!("l2tp {}\n", form.add(End::Kernel));
        }
        self.kernel.ip_batch(&lines)?;
        self.address(forms)
    }

    /// Brings the devices up. Only when both ends are there: a device speaks as soon as it is up.
    fn address(&mut self, forms: &[Form]) -> anyhow::Result<()> {
        let lines = |end| forms.iter().map(|form| form.addresses(end)).collect::<String>();
        ours::ip_batch(&lines(End::Ours))?;
        self.kernel.ip_batch(&lines(End::Kernel))
    }

    /// Removes a tunnel at both ends.
    fn remove(&mut self, tunnel: &Tunnel) -> anyhow::Result<()> {
        self.ours.l2tp(&tunnel.delete(End::Ours))?;
        self.kernel.forget_tunnels(&[tunnel.id(End::Kernel)])
    }
}

impl Tally {
    fn count(&mut self, passed: bool) {
        match passed {
            true => self.passed += 1,
            false => self.failed += 1,
        }
    }
}

/// Leaves nothing at the kernel's end. At ours the daemon removes what it made.
fn clean_up(ends: &mut Ends) -> anyhow::Result<()> {
    let ids: Vec<u32> = tunnels().iter().map(|tunnel| tunnel.id(End::Kernel)).collect();
    ends.kernel.forget_tunnels(&ids)
}

pub(crate) fn say(line: &str) {
    // Nobody is left to be told when stdout is gone.
    let _: io::Result<()> = writeln!(io::stdout(), "{line}");
}
