//! `cargo xtask interop pairs`: what it costs to make something and delete it again, through the door and by the netlink of a
//! kernel's own L2TP, both in the lab. Tunnels, and PPP sessions, which have no device.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use l2tp_abi::genl::l2tp::L2TP_PWTYPE_PPP;
use l2tp_client::{Connection, SessionCreate, SessionKey, TunnelCreate};
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;

use super::lab::{HOST, Lab};
use super::ours::Ours;
use super::{binary, say, start_lab};

/// Pairs of a run, and runs, of which the median counts.
const PAIRS: u32 = 1000;
const RUNS: usize = 7;
/// Longer than all runs take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How much dearer a pair through the door may be.
const LIMIT: f64 = 10.0;

/// What it costs to make something and delete it again, through the door and by the kernel's netlink
#[derive(clap::Parser)]
#[command(name = "cargo xtask interop pairs")]
struct PairsArgs {
    /// Folder with uml/linux, user-mode-linux with L2TP [default: $FERROWIRE_LAB, or /var/cache/l2tp-lab]
    #[arg(long, value_name = "DIR")]
    lab: Option<PathBuf>,
    /// The binary to test, instead of the release build of this workspace
    #[arg(long, value_name = "PATH")]
    ferrowire: Option<PathBuf>,
}

/// What is made.
#[derive(Clone, Copy)]
enum Thing {
    Tunnel,
    Session,
}

/// Measures both sides in the lab and fails if the door is [`LIMIT`] times as dear as the kernel.
///
/// # Errors
/// When a side cannot be set up, or the door is too dear.
pub(crate) fn pairs(words: &[&str]) -> anyhow::Result<()> {
    let name = "cargo xtask interop pairs";
    let args = PairsArgs::try_parse_from([&[name], words].concat()).unwrap_or_else(|usage| usage.exit());
    let binary = binary(args.ferrowire.as_deref())?;
    let mut lab = start_lab(args.lab.as_ref())?;
    say(&format!("in the lab: {}", lab.sh("uname -sr", PATIENCE)?.1.trim()));
    let sides = ["kernel".to_owned(), format!("door:{HOST}{}", binary.display())];
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..RUNS {
        // In turn, so that what else the host does meets both.
        for (side, times) in sides.iter().zip(times.chunks_mut(2)) {
            for (time, times) in measured(&mut lab, side)?.into_iter().zip(times) {
                times.push(time);
            }
        }
    }
    let [kernel_tunnel, kernel_session, door_tunnel, door_session] = times.map(median);
    for (name, kernel, door) in
        [("tunnel", kernel_tunnel, door_tunnel), ("session", kernel_session, door_session)]
    {
        let ratio = door / kernel;
        say(&format!("{name:<8} kernel {kernel:>7.1} us, door {door:>7.1} us, ratio {ratio:.2}"));
        ensure!(ratio < LIMIT, "{name}: {ratio:.1} times as dear as the kernel");
    }
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs this program in the lab and returns what it measured: microseconds for a tunnel and for a session.
fn measured(lab: &mut Lab, side: &str) -> anyhow::Result<Vec<f64>> {
    let program = std::env::current_exe()?;
    let (status, output) = lab.sh(&format!("{HOST}{} measure {side}", program.display()), PATIENCE)?;
    ensure!(status == 0, "{side}: {output}");
    output.lines().map(|line| line.parse().context("no number")).collect()
}

/// The process that measures one side: this program, `measure SIDE`, in a namespace of its own.
///
/// # Errors
/// When a namespace is missing, or a request is refused.
pub(crate) fn measure(words: &[&str]) -> anyhow::Result<()> {
    let [side] = words else { bail!("measure SIDE") };
    NetNs::unshare().context("cannot make a network namespace: root is needed")?;
    let mut rtnl = Rtnl::open()?;
    let lo = rtnl.index_of("lo")?;
    rtnl.set_up(lo, true)?;
    let (_daemon, mut connection) = match side.strip_prefix("door:") {
        Some(binary) => (Some(Ours::start(binary.as_ref())?), Connection::door()?),
        None => (None, Connection::kernel()?),
    };
    connection.create_tunnel(&tunnel(1))?;
    for thing in [Thing::Tunnel, Thing::Session] {
        say(&run_pairs(&mut connection, thing, 10)?.to_string());
    }
    Ok(())
}

/// Microseconds a pair. A kernel deletes when it has answered: its time ends when all is gone.
fn run_pairs(connection: &mut Connection, thing: Thing, first: u32) -> anyhow::Result<f64> {
    let start = Instant::now();
    for id in first..first + PAIRS {
        match thing {
            Thing::Tunnel => {
                connection.create_tunnel(&tunnel(id))?;
                connection.delete_tunnel(id)?;
            }
            Thing::Session => {
                let session =
                    SessionCreate { pw_type: L2TP_PWTYPE_PPP, ..SessionCreate::ethernet(1, id, id) };
                connection.create_session(&session)?;
                connection.delete_session(&SessionKey::Ids { conn_id: 1, session_id: id })?;
            }
        }
    }
    while connection.tunnels()?.count() > 1 || connection.sessions()?.count() > 0 {}
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(PAIRS))
}

/// A tunnel over UDP on a port that the host chooses.
fn tunnel(id: u32) -> TunnelCreate {
    TunnelCreate::udp(id, id, ([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 5000).into())
}
