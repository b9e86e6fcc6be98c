//! `demo --ppp`: a call of unmodified xl2tpd and pppd from one host to the other, and what is done to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use l2tp_io::rtnl::Rtnl;

use super::programs::{Caller, Folder};
use super::report::Row;
use super::stream;
use super::trial::{Link, News, try_wire};
use super::tunnel::Side;
use crate::stage::Stage;
use crate::stage::host::Host;

/// What the call is called.
pub(super) const SUBJECT: &str = "a call of xl2tpd and pppd";
/// The device that pppd makes.
const DEVICE: &str = "ppp0";
/// How long a call may take to be up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked.
const TICK: Duration = Duration::from_millis(20);

/// Addresses of a side of the call: one that pppd negotiates, one that the demo adds.
pub(super) fn inside(side: Side) -> [IpAddr; 2] {
    let host = side.host();
    [Ipv4Addr::new(10, 115, 9, host).into(), Ipv6Addr::new(0xfd00, 0x115, 9, 0, 0, 0, 0, host.into()).into()]
}

/// Both ends of the call.
pub(super) struct Call {
    callers: [Caller; 2],
    folder: Folder,
}

impl Call {
    /// Starts both ends. They end with the calling thread, whatever ends it.
    pub(super) fn start(stage: &Stage) -> anyhow::Result<Self> {
        let folder = Folder::make()?;
        let far = Caller::start(&stage.far, Side::Far, &folder)?;
        let near = Caller::start(&stage.near, Side::Near, &folder)?;
        Ok(Self { callers: [near, far], folder })
    }

    /// What the programs last said.
    pub(super) fn last_words(&self, stage: &Stage) -> String {
        [&stage.near, &stage.far].map(|host| self.folder.last_words(host)).join("\n")
    }

    /// Hangs up, and sees that nothing is left.
    pub(super) fn end(mut self, stage: &Stage) -> anyhow::Result<()> {
        for (caller, host) in self.callers.iter_mut().zip([&stage.near, &stage.far]) {
            caller.terminate()?;
            caller.await_end()?;
            await_down(host)?;
        }
        Ok(())
    }
}

/// Tries the wire and the call, one after the other, from a thread of its own.
///
/// # Errors
/// When nobody listens any more.
pub(super) fn run(stage: &Stage, duration: Duration, news: &Sender<News>) -> anyhow::Result<()> {
    try_wire(stage, duration, news)?;
    let mut row = Row::new("PPP", "xl2tpd, pppd");
    let tried = try_call(stage, duration, news, &mut row);
    row.conclude(tried);
    let mtu = row.mtu;
    news.send(News::Done(row))?;
    let mut row = Row { mtu, ..Row::new("PPP back", "xl2tpd, pppd") };
    let tried = try_back(stage, duration, news, &mut row);
    row.conclude(tried);
    news.send(News::Done(row))?;
    Ok(())
}

/// Waits for the call, pings over both protocols, and sends from the caller to the called.
fn try_call(stage: &Stage, duration: Duration, news: &Sender<News>, row: &mut Row) -> anyhow::Result<()> {
    news.send(News::Doing("PPP: calling".to_owned()))?;
    for (host, side) in [(&stage.near, Side::Near), (&stage.far, Side::Far)] {
        await_up(host)?;
        let [_, v6] = inside(side);
        row.mtu = Some(host.configure(DEVICE, &[(v6, 64)])?);
    }
    Link { stage, targets: inside(Side::Far), duration, news }.try_out(row)
}

/// Sends the other way.
fn try_back(stage: &Stage, duration: Duration, news: &Sender<News>, row: &mut Row) -> anyhow::Result<()> {
    news.send(News::Doing("PPP back: TCP stream".to_owned()))?;
    stage.far.netns.enter().context("cannot enter host B")?;
    let [target, _] = inside(Side::Near);
    row.stream = Some(stream::send(target, &stage.near.netns, duration)?);
    Ok(())
}

fn await_up(host: &Host) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_up(host)? {
        if Instant::now() > deadline {
            bail!("no call was up on host {} within {} s", host.name, PATIENCE.as_secs());
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// Waits until the device is gone: the daemon of its programs ends a moment after them.
fn await_down(host: &Host) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while is_up(host)? {
        if Instant::now() > deadline {
            bail!("device {DEVICE} of host {} is still there", host.name);
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// Whether pppd has brought its device up, which it does when both ends have agreed on addresses.
fn is_up(host: &Host) -> anyhow::Result<bool> {
    let links = host.netns.within(|| Rtnl::open()?.links())??;
    Ok(links.iter().any(|link| link.name == DEVICE && link.up))
}
