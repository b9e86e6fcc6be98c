//! A design, set up: two hosts of its own, and what carries its frames between them.
//!
//! Each has its own namespaces, wire and daemons, so that none meets another's traps: one daemon's raw socket would have a copy of
//! every packet of another's IP tunnel.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use l2tp_client::{Connection, Path, Request, SessionCreate, TunnelCreate};
use l2tp_io::rtnl::Rtnl;

use super::design::{Carrier, Design};
use super::ppp::End;
use super::threads::{TICK, Threads};
use super::{ethtool, naive};
use crate::stage::host::{Connect, Daemon, Host, end_all};
use crate::stage::ping::Pinger;
use crate::stage::{self, Stage, underlay};

/// Ports of both ends of a UDP tunnel (RFC 3931 section 4.1.2).
const L2TP_PORT: u16 = 1701;
/// Sent and demanded by both ends: the longest (RFC 3931 section 4.1.2.1).
const COOKIE: [u8; 8] = *b"a cookie";
const VXLAN_DEVICE: &str = "vx";
const NO_KERNEL_L2TP: &str = "this kernel has no L2TP (where it has: modprobe l2tp_eth l2tp_ip l2tp_ip6)";
/// How long a new link may take to answer its first ping.
const PATIENCE: Duration = Duration::from_secs(4);

/// Two hosts, joined by one design.
pub(super) struct Site {
    pub(super) design: Design,
    pub(super) stage: Stage,
    /// The far host's address behind the design.
    pub(super) target: IpAddr,
    joint: Joint,
}

/// What ends with a site.
#[derive(Default)]
struct Joint {
    daemons: Vec<Daemon>,
    loops: Vec<Threads>,
    calls: Vec<End>,
}

impl Site {
    /// Sets a design up, and sees that it carries a ping. The calling thread is left in one of the hosts.
    pub(super) fn build(design: Design) -> anyhow::Result<Self> {
        let stage = Stage::build()?;
        let joint = match design {
            Design::Veth => Joint::default(),
            Design::Vxlan | Design::VxlanFrames => join_by_vxlan(&stage, design == Design::VxlanFrames)?,
            Design::Naive => join_by_loops(&stage)?,
            Design::User(carrier) => serve(&stage, Path::User, carrier)?,
            Design::Bpf(carrier) => serve(&stage, Path::Bpf, carrier)?,
            Design::Kernel(carrier) => {
                stage.near.netns.within(Connection::kernel)?.map_err(|_| anyhow!(NO_KERNEL_L2TP))?;
                join_by_l2tp(&stage, carrier, Connection::kernel)?;
                Joint::default()
            }
        };
        let target = if design == Design::Veth { underlay(false, 2) } else { inside(2) };
        stage.near.netns.within(|| Pinger::open(target)?.reach(PATIENCE))?.context("it carries nothing")?;
        Ok(Self { design, stage, target, joint })
    }

    /// Ends the daemons, and with them all that they made.
    pub(super) fn end(sites: &mut [Self]) -> anyhow::Result<()> {
        end_all(sites.iter_mut().flat_map(|site| &mut site.joint.daemons))
    }
}

/// Both hosts with their numbers.
fn hosts(stage: &Stage) -> [(&Host, u8); 2] {
    [(&stage.near, 1), (&stage.far, 2)]
}

fn join_by_vxlan(stage: &Stage, frames: bool) -> anyhow::Result<Joint> {
    for (host, number) in hosts(stage) {
        let create = || {
            let mut rtnl = Rtnl::open()?;
            let wire = rtnl.index_of(stage::DEVICE)?;
            rtnl.create_vxlan(VXLAN_DEVICE, 1, wire, underlay(false, number), underlay(false, 3 - number))
        };
        host.netns.within(create)?.context("this kernel has no VXLAN")?;
        if frames {
            ethtool::set(host, VXLAN_DEVICE, &["tso", "off", "gso", "off"])?;
        }
        host.configure(VXLAN_DEVICE, &[(inside(number), 24)])?;
    }
    Ok(Joint::default())
}

fn join_by_loops(stage: &Stage) -> anyhow::Result<Joint> {
    let mut joint = Joint::default();
    for (host, number) in hosts(stage) {
        joint.loops.push(naive::start(host, underlay(false, number), underlay(false, 3 - number))?);
        host.configure(naive::DEVICE, &[(inside(number), 24)])?;
    }
    Ok(joint)
}

/// Starts the daemons, with frames on this path, and has them join the hosts.
fn serve(stage: &Stage, path: Path, carrier: Carrier) -> anyhow::Result<Joint> {
    let daemons = stage.start_daemons(&["--path", path.name()])?;
    let mut joint = Joint { daemons: daemons.into(), ..Joint::default() };
    if carrier == Carrier::Ppp {
        join_by_ppp(stage, &mut joint)?;
    } else {
        join_by_l2tp(stage, carrier, Connection::door)?;
    }
    hosts(stage).into_iter().try_for_each(|(host, _)| await_path(host, path))?;
    Ok(joint)
}

/// Waits until the daemon of a host says that the session is on the path on which it is wanted.
fn await_path(host: &Host, path: Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reports = host.netns.within(|| Connection::door()?.paths())??;
        match reports.iter().find(|report| report.carried_by != path) {
            None if !reports.is_empty() => return Ok(()),
            None => bail!("the daemon of host {} knows no session", host.name),
            Some(report) if Instant::now() > deadline => {
                bail!("the daemon takes the {} path: {}", report.carried_by.name(), report.reason)
            }
            Some(_) => std::thread::sleep(TICK),
        }
    }
}

fn join_by_l2tp(stage: &Stage, carrier: Carrier, connect: Connect) -> anyhow::Result<()> {
    for (host, number) in hosts(stage) {
        let ids = (u32::from(number), u32::from(3 - number));
        let cookie = COOKIE.to_vec();
        let session = SessionCreate {
            cookie: cookie.clone(),
            peer_cookie: cookie,
            ..SessionCreate::ethernet(ids.0, ids.0, ids.1)
        };
        let requests = [Request::TunnelCreate(tunnel(carrier, number)), Request::SessionCreate(session)];
        host.apply(connect, &requests)?;
        let device = host.session(connect, ids.0, ids.0)?.ifname.context("the session has no device")?;
        host.configure(&device, &[(inside(number), 24)])?;
    }
    Ok(())
}

fn join_by_ppp(stage: &Stage, joint: &mut Joint) -> anyhow::Result<()> {
    for (host, number) in hosts(stage) {
        let end = host.netns.within(|| End::call(number))?.context("cannot make a PPP session")?;
        host.configure(end.device(), &[(inside(number), 24)])?;
        joint.calls.push(end);
    }
    Ok(())
}

/// Address of a host behind a design.
fn inside(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 116, 0, host).into()
}

/// The tunnel's end on a host. Over IPv6 without checksums, as BPF needs it, so that all are alike.
fn tunnel(carrier: Carrier, number: u8) -> TunnelCreate {
    let (local, peer) = (underlay(carrier.is_v6(), number), underlay(carrier.is_v6(), 3 - number));
    let ids = (u32::from(number), u32::from(3 - number));
    match carrier {
        Carrier::Ip4 | Carrier::Ip6 => TunnelCreate::ip(ids.0, ids.1, local, peer),
        Carrier::Udp4 | Carrier::Udp6 | Carrier::Ppp => TunnelCreate {
            udp_zero_csum6_tx: carrier.is_v6(),
            udp_zero_csum6_rx: carrier.is_v6(),
            ..TunnelCreate::udp(ids.0, ids.1, (local, L2TP_PORT).into(), (peer, L2TP_PORT).into())
        },
    }
}
