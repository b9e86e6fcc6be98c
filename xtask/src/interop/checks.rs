//! What has to be true of every form.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::Ends;
use super::counters::Counters;
use super::form::{End, Form};
use super::{ours, stream};

/// The MTU for frames whose outer packets have to travel in fragments.
const LARGE_MTU: usize = 4000;

/// IPv4 and ICMP headers of a ping.
const PING_HEADERS: usize = 28;

/// Bytes that TCP carries each way.
const TCP_BYTES: usize = 1 << 20;

/// What was measured while a form was checked.
pub(super) struct Findings {
    pub(super) mtu: [usize; 2],
    pub(super) ours: Counters,
    pub(super) kernel: Counters,
}

/// Runs every check on a form whose session is up.
pub(super) fn check(ends: &mut Ends, form: &Form) -> anyhow::Result<Findings> {
    let mtu = [mtu(ends, form, End::Ours)?, mtu(ends, form, End::Kernel)?];
    let settled: fn(&Counters, &Counters) -> bool = match form.is_refused() {
        false => {
            traffic(ends, form, mtu[0].min(mtu[1]))?;
            |sender, receiver| sender.arrived_at(receiver)
        }
        true => {
            silence(ends, form)?;
            |sender, receiver| sender.was_refused_by(receiver)
        }
    };
    let (ours, kernel) = settle(ends, form, settled)?;
    Ok(Findings { mtu, ours, kernel })
}

fn mtu(ends: &mut Ends, form: &Form, end: End) -> anyhow::Result<usize> {
    let line = format!("ip -o link show {}", form.device());
    let link = match end {
        End::Ours => ours::sh(&line)?,
        End::Kernel => ends.kernel.sh(&line)?,
    };
    let mtu = link.split_once(" mtu ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    let mtu = mtu.with_context(|| format!("no MTU in {link:?}"))?;
    let right = form.mtu(end, ends.underlay_mtu);
    ensure!(mtu == right, "MTU at {end:?}: {mtu}, should be {right}");
    Ok(mtu)
}

/// Pings of every size both ways, TCP both ways, and frames too large for one outer packet.
fn traffic(ends: &mut Ends, form: &Form, mtu: usize) -> anyhow::Result<()> {
    let sizes = [
        ("56 bytes", "-s 56".to_owned()),
        ("MTU", format!("-M do -s {}", mtu - PING_HEADERS)),
        ("inner fragments", format!("-s {}", mtu + 1000)),
    ];
    both_ways(ends, |end| pings(form, end, &sizes))?;
    stream::echo(&mut ends.kernel, form.ipv4(End::Ours).into(), TCP_BYTES).context("TCP over IPv4")?;
    stream::echo(&mut ends.kernel, form.ipv6(End::Ours).into(), TCP_BYTES / 4).context("TCP over IPv6")?;
    set_mtu(ends, form, LARGE_MTU)?;
    let large = [("outer fragments", format!("-M do -s {}", LARGE_MTU - PING_HEADERS))];
    both_ways(ends, |end| pings(form, end, &large))?;
    set_mtu(ends, form, mtu)
}

fn both_ways(ends: &mut Ends, line: impl Fn(End) -> String) -> anyhow::Result<()> {
    ours::sh(&line(End::Ours))?;
    ends.kernel.sh(&line(End::Kernel))?;
    Ok(())
}

/// A shell line that pings the other end with every one of these options over IPv4, and once over IPv6, and names the
/// one that got no answer.
fn pings(form: &Form, end: End, sizes: &[(&str, String)]) -> String {
    let mut line = String::new();
    let (v4, v6) = (form.ipv4(end.other()), form.ipv6(end.other()));
    for (name, options) in sizes {
        // Writing to a string cannot fail.
        let _: std::fmt::Result = write!(
            line,
            "ping -q -c 3 -i 0.01 -W 2 {options} {v4} >/dev/null || {{ echo no answer to a ping: {name}; exit 1; }}; "
        );
    }
    line + &format!(
        "ping -q -c 3 -i 0.01 -W 2 {v6} >/dev/null || {{ echo no answer to a ping: IPv6; exit 1; }}"
    )
}

fn set_mtu(ends: &mut Ends, form: &Form, mtu: usize) -> anyhow::Result<()> {
    let line = format!("ip link set {} mtu {mtu}", form.device());
    ours::sh(&line)?;
    ends.kernel.sh(&line)?;
    Ok(())
}

/// Frames leave either end, and none comes through.
fn silence(ends: &mut Ends, form: &Form) -> anyhow::Result<()> {
    both_ways(ends, |end| {
        let address = form.ipv4(end.other());
        format!(
            "ping -q -c 3 -i 0.01 -W 0.1 {address} >/dev/null && {{ echo a ping was answered; exit 1; }}; true"
        )
    })
}

/// Reads the counters of both ends until `agree` is true of both directions: a frame may still be on its way, and either
/// end may say something of its own accord. Returns ours and the kernel's.
pub(super) fn settle(
    ends: &mut Ends,
    form: &Form,
    agree: impl Fn(&Counters, &Counters) -> bool,
) -> anyhow::Result<(Counters, Counters)> {
    let mut last = (Counters::default(), Counters::default());
    for _ in 0..20 {
        let ours = ends.ours.stats(form)?.into();
        let kernel = ends.kernel.counters(form)?;
        last = (ours, kernel);
        if agree(&ours, &kernel) && agree(&kernel, &ours) {
            return Ok(last);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("counters: ours {}, the kernel's {}", last.0, last.1)
}
