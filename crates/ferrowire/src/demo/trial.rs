//! What is done to each link, first the bare wire and then every tunnel: pings, a packet of MTU size, a stream.

use std::net::IpAddr;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::Context;
use l2tp_abi::genl::l2tp::Stats;
use l2tp_client::Connection;

use super::report::Row;
use super::stream;
use super::tunnel::{PLANS, Plan, Side};
use crate::stage::host::Host;
use crate::stage::ping::Pinger;
use crate::stage::{self, Stage, underlay};

/// Pings to measure the round trip with.
const PINGS: u32 = 20;
/// How long a new link may take to answer its first ping.
const PATIENCE: Duration = Duration::from_secs(4);

/// What the trials tell while they run.
pub(super) enum News {
    /// What is done now.
    Doing(String),
    /// A link is through.
    Done(Row),
}

/// Tries the wire and all tunnels, one after the other, from a thread of its own.
///
/// # Errors
/// When nobody listens any more.
pub(super) fn run(stage: &Stage, duration: Duration, news: &Sender<News>) -> anyhow::Result<()> {
    try_wire(stage, duration, news)?;
    for plan in &PLANS {
        let mut row = Row::new(plan.name, plan.session);
        let tried = try_tunnel(stage, plan, duration, news, &mut row);
        row.conclude(tried);
        news.send(News::Done(row))?;
    }
    Ok(())
}

/// Tries the bare wire, which all the others are compared with, and leaves the calling thread in the near host.
///
/// # Errors
/// When nobody listens any more.
pub(super) fn try_wire(stage: &Stage, duration: Duration, news: &Sender<News>) -> anyhow::Result<()> {
    let near = stage.near.netns.enter().context("cannot enter host A");
    let mut row = Row::new("veth", "-");
    let tried = near.and_then(|()| {
        row.mtu = Some(stage::MTU);
        let targets = [underlay(false, 2), underlay(true, 2)];
        Link { stage, targets, duration, news }.try_out(&mut row)
    });
    row.conclude(tried);
    news.send(News::Done(row))?;
    Ok(())
}

/// Makes a tunnel, tries it, and counts what it carried.
fn try_tunnel(
    stage: &Stage,
    plan: &Plan,
    duration: Duration,
    news: &Sender<News>,
    row: &mut Row,
) -> anyhow::Result<()> {
    news.send(News::Doing(format!("{}: building", plan.name)))?;
    for (host, side) in [(&stage.near, Side::Near), (&stage.far, Side::Far)] {
        host.apply(Connection::door, &plan.requests(side))?;
        let id = plan.id(side);
        let device = host.session(Connection::door, id, id)?.ifname.context("the session has no device")?;
        row.mtu = Some(host.configure(&device, &plan.inside(side))?);
    }
    if row.mtu != Some(plan.mtu) {
        row.faults.push(format!("the device's MTU is not {}", plan.mtu));
    }
    let targets = plan.inside(Side::Far).map(|(address, _)| address);
    let tried = Link { stage, targets, duration, news }.try_out(row);
    count(stage, plan, row)?;
    tried
}

/// Frames and drops of the session, as its two ends counted them.
fn count(stage: &Stage, plan: &Plan, row: &mut Row) -> anyhow::Result<()> {
    let stats = |host: &Host, id| host.session(Connection::door, id, id).map(|session| session.stats);
    let near = stats(&stage.near, plan.id(Side::Near))?;
    let far = stats(&stage.far, plan.id(Side::Far))?;
    row.frames = Some(near.tx_packets + near.rx_packets);
    row.drops = Some(near.tx_errors + near.rx_errors + far.tx_errors + far.rx_errors);
    row.causes = [(&stage.near, &near), (&stage.far, &far)]
        .iter()
        .flat_map(|(host, stats)| causes(host, stats))
        .collect();
    Ok(())
}

/// The counters of a session that count what did not get through, those that are not 0.
fn causes(host: &Host, stats: &Stats) -> impl Iterator<Item = String> {
    let counters = [
        ("tx_errors", stats.tx_errors),
        ("rx_errors", stats.rx_errors),
        ("rx_cookie_discards", stats.rx_cookie_discards),
        ("rx_seq_discards", stats.rx_seq_discards),
        ("rx_invalid", stats.rx_invalid),
    ];
    let name = host.name;
    counters
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(move |(counter, count)| format!("host {name} counts {count} {counter}"))
}

/// One way from the near host, in whose namespace the calling thread is, to the far one.
pub(super) struct Link<'a> {
    pub(super) stage: &'a Stage,
    /// The far host's IPv4 and IPv6 address on it.
    pub(super) targets: [IpAddr; 2],
    pub(super) duration: Duration,
    pub(super) news: &'a Sender<News>,
}

impl Link<'_> {
    /// Pings it, and sends a stream over it.
    pub(super) fn try_out(&self, row: &mut Row) -> anyhow::Result<()> {
        let name = row.name;
        self.news.send(News::Doing(format!("{name}: ping")))?;
        for target in self.targets {
            self.ping(target, row).with_context(|| format!("ping {target}"))?;
        }
        self.news.send(News::Doing(format!("{name}: TCP stream")))?;
        let [target, _] = self.targets;
        row.stream = Some(stream::send(target, &self.stage.far.netns, self.duration)?);
        Ok(())
    }

    /// The round trip over IPv4; a packet that fills the MTU over both.
    fn ping(&self, target: IpAddr, row: &mut Row) -> anyhow::Result<()> {
        let mut pinger = Pinger::open(target).context("raw ICMP socket, which needs CAP_NET_RAW")?;
        pinger.reach(PATIENCE)?;
        if target.is_ipv4() {
            row.take_pings(pinger.series(PINGS)?);
        }
        let mtu = row.mtu.unwrap_or_default();
        if !pinger.carries(mtu).with_context(|| format!("packet of {mtu} bytes"))? {
            row.faults.push(format!("a packet of {mtu} bytes, the MTU, did not come back from {target}"));
        }
        Ok(())
    }
}
