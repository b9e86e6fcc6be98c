//! What a table of forms does not show: wrong cookies and checksums, lost and reordered packets, changes under way, the end
//! of the daemon, and how fast it is.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::checks::settle;
use super::counters::Counters;
use super::form::{Carrier, Cookies, End, Form, Seq};
use super::kernel::Kernel;
use super::ours::Ours;
use super::{Ends, Tally, ours, say, stream};

/// Bytes that a stream carries each way while its rate is measured.
const RATE_BYTES: usize = 64 << 20;

type Scene = (&'static str, fn(&mut Ends) -> anyhow::Result<String>);

const SCENES: [Scene; 12] = [
    ("the largest datagram passes, one byte more does not", largest_datagram),
    ("checksums on the wire are as asked", checksums),
    ("wrong cookies over UDP are refused", |ends| wrong_cookies(ends, &Form::plain(200, Carrier::Udp4))),
    ("wrong cookies over IP are refused", |ends| wrong_cookies(ends, &Form::plain(201, Carrier::Ip6))),
    ("UDP/IPv6 packets without the checksums that we want are refused", missing_checksums),
    ("UDP/IPv6 packets without the checksums that the kernel wants are refused", missing_checksums_to_kernel),
    ("numbered packets, 5 % lost: all accounted for", lost_packets),
    ("numbered packets, 5 % lost, reorder_timeout: at most one more a gap", lost_packets_with_timeout),
    ("numbered packets out of order, reorder_timeout: none is lost", reordered_packets),
    ("the kernel as LAC follows our sequence setting as LNS", kernel_follows),
    ("session settings changed under traffic: nothing is lost", changes_under_traffic),
    ("TCP rates", rates),
];

/// The forms of all scenes.
pub(super) fn forms() -> Vec<Form> {
    (200..=220).map(|number| Form::plain(number, Carrier::Udp4)).collect()
}

/// Runs every scene whose name has `only` in it, and at last ends the daemon.
pub(super) fn run(ends: &mut Ends, only: &str, tally: &mut Tally) -> anyhow::Result<()> {
    let end: Scene = ("the daemon ends and leaves no device behind", end);
    for (name, scene) in SCENES.into_iter().chain([end]).filter(|(name, _)| name.contains(only)) {
        let result = scene(ends);
        tally.count(result.is_ok());
        match result {
            Ok(note) => say(&format!("{name}: passed{note}")),
            Err(error) => say(&format!("{name}: FAILED: {error:#}")),
        }
    }
    Ok(())
}

/// Makes a session in a tunnel of its own, does `work`, and removes both.
fn with_session<R>(
    ends: &mut Ends,
    form: &Form,
    work: impl FnOnce(&mut Ends) -> anyhow::Result<R>,
) -> anyhow::Result<R> {
    let words = [form.tunnel.carrier.checksum_words(); 2];
    ends.make(&form.tunnel, std::slice::from_ref(form), words)?;
    let result = work(ends);
    ends.remove(&form.tunnel)?;
    result
}

fn wrong_cookies(ends: &mut Ends, form: &Form) -> anyhow::Result<String> {
    let form = Form { cookies: Cookies::Four, ..form.clone() };
    ends.make(&form.tunnel, &[], [""; 2])?;
    let wrong = form.add(End::Kernel).replace("cookie a1", "cookie a2").replace("cookie 0f", "cookie 1f");
    ends.ours.l2tp(&form.add(End::Ours))?;
    ends.kernel.l2tp(&wrong)?;
    ends.address(std::slice::from_ref(&form))?;
    ping_in_vain(ends, &form)?;
    let (ours, kernel) = settle(ends, &form, Counters::was_refused_by)?;
    let discards = ends.ours.stats(&form)?.rx_cookie_discards;
    ends.remove(&form.tunnel)?;
    ensure!(discards >= kernel.tx_packets, "{discards} cookie discards of {} packets", kernel.tx_packets);
    Ok(format!(", {} of theirs, {} of ours", ours.rx_errors, kernel.rx_errors))
}

/// Both ends send the same frame as their largest: 65535 bytes less the headers of IPv4, UDP and L2TP.
fn largest_datagram(ends: &mut Ends) -> anyhow::Result<String> {
    const PING: usize = 65_535 - (20 + 8 + 12) - 14 - 28;
    let form = Form::plain(215, Carrier::Udp4);
    with_session(ends, &form, |ends| {
        let line = |end: End, size: usize| {
            let address = form.ipv4(end.other());
            format!(
                "ip link set {} mtu 65521; ping -q -c 2 -i 0.1 -W 1 -s {size} {address} >/dev/null",
                form.device()
            )
        };
        // An MTU that is large enough at the receiving end too.
        ends.kernel.sh(&format!("{} || true", line(End::Kernel, 56)))?;
        ours::sh(&line(End::Ours, PING))?;
        ends.kernel.sh(&line(End::Kernel, PING))?;
        ensure!(ours::sh(&line(End::Ours, PING + 1)).is_err(), "ours sends {} bytes", PING + 1);
        ensure!(ends.kernel.sh(&line(End::Kernel, PING + 1)).is_err(), "the kernel sends {} bytes", PING + 1);
        // The kernel counts as sent what its IP layer then drops.
        let ours = ends.ours.stats(&form)?;
        ensure!(ours.tx_errors == 2, "{} errors counted instead of 2", ours.tx_errors);
        Ok(format!(", a ping of {PING} bytes"))
    })
}

/// Captures what either end sends, and has tcpdump judge its UDP checksums.
fn checksums(ends: &mut Ends) -> anyhow::Result<String> {
    let carriers = [
        (Carrier::Udp4, "[no cksum]"),
        (Carrier::Udp4Csum, "[udp sum ok]"),
        (Carrier::Udp6, "[udp sum ok]"),
        // tcpdump holds 0 to be a mistake over IPv6.
        (Carrier::Udp6NoCsum, "[bad udp cksum 0x0000 "),
    ];
    for (carrier, right) in carriers {
        let form = Form::plain(209, carrier);
        let shown = with_session(ends, &form, |_| {
            let (port, address) = (form.tunnel.port(End::Ours), form.ipv4(End::Kernel));
            let capture = format!("timeout 5 tcpdump -l -nvv -c 10 -i any udp port {port} 2>/dev/null");
            ours::sh(&format!("{capture} & sleep 0.5; ping -q -c 10 -i 0.02 {address} >/dev/null; wait"))
        })?;
        let judged = shown.matches("cksum").count() + shown.matches("udp sum").count();
        ensure!(judged >= 10, "{carrier:?}: our end needs \"tcpdump\"; it showed {shown:?}");
        ensure!(shown.matches(right).count() == judged, "{carrier:?}: not all are {right}: {shown}");
    }
    Ok(String::new())
}

/// The kernel sends no checksums, we want them: ours drops all in UDP, before L2TP counts. The other way all arrives.
fn missing_checksums(ends: &mut Ends) -> anyhow::Result<String> {
    let form = Form::plain(202, Carrier::Udp6);
    ends.make(&form.tunnel, std::slice::from_ref(&form), ["", "udp6_csum_tx off"])?;
    ping_in_vain(ends, &form)?;
    std::thread::sleep(Duration::from_millis(200));
    let ours: Counters = ends.ours.stats(&form)?.into();
    let kernel = ends.kernel.counters(&form)?;
    ends.remove(&form.tunnel)?;
    ensure!(kernel.tx_packets > 0 && ours.rx_packets + ours.rx_errors == 0, "we took packets: {ours}");
    ensure!(ours.tx_packets == kernel.rx_packets, "the other way is shut too: {kernel}");
    Ok(format!(", {} of theirs", kernel.tx_packets))
}

/// We send no checksums, the kernel wants them: it drops single packets in UDP. What we send as a train has checksums all
/// the same, because the host's kernel sends no trains without.
fn missing_checksums_to_kernel(ends: &mut Ends) -> anyhow::Result<String> {
    let form = Form::plain(203, Carrier::Udp6);
    ends.make(&form.tunnel, std::slice::from_ref(&form), ["udp6_csum_tx off", ""])?;
    ping_in_vain(ends, &form)?;
    let (ours, kernel) = settle(ends, &form, |_, _| true)?;
    ends.remove(&form.tunnel)?;
    let refused = ours.tx_packets.saturating_sub(kernel.rx_packets);
    ensure!(refused >= 3, "the kernel took {} of {} packets", kernel.rx_packets, ours.tx_packets);
    Ok(format!(", {refused} of ours"))
}

fn ping_in_vain(ends: &mut Ends, form: &Form) -> anyhow::Result<()> {
    let line = |end: End| {
        let address = form.ipv4(end.other());
        format!(
            "ping -q -c 3 -i 0.01 -W 0.1 {address} >/dev/null && {{ echo a ping was answered; exit 1; }}; true"
        )
    };
    ours::sh(&line(End::Ours))?;
    ends.kernel.sh(&line(End::Kernel)).map(drop)
}

/// Does `work` while the kernel's end treats what it sends to us as netem is told; returns the packets that it dropped.
fn with_netem(
    ends: &mut Ends,
    netem: &str,
    work: impl FnOnce(&mut Ends) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let address = ends.underlay.address(End::Ours, false);
    let find = format!("dev=$(ip -o route get {address} | sed 's/.* dev \\([^ ]*\\) .*/\\1/')");
    ends.kernel
        .sh(&format!("{find}; tc qdisc add dev $dev root netem {netem}"))
        .context("the kernel's end needs \"tc\" and CONFIG_NET_SCH_NETEM")?;
    let result = work(ends);
    let shown = ends.kernel.sh(&format!("{find}; tc -s qdisc show dev $dev; tc qdisc del dev $dev root"))?;
    result?;
    let dropped = shown.split_once("(dropped ").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    dropped.with_context(|| format!("no dropped packets in {shown:?}"))
}

/// Pings from the kernel's end and returns how many got no answer.
fn flood(kernel: &mut Kernel, form: &Form, count: u64) -> anyhow::Result<u64> {
    let address = form.ipv4(End::Ours);
    let text = kernel.sh(&format!("ping -q -c {count} -i 0.003 -W 3 {address} || true"))?;
    let received = text.split_once(" transmitted, ").and_then(|(_, rest)| rest.split(' ').next());
    let received: u64 = received.and_then(|word| word.parse().ok()).with_context(|| text.clone())?;
    Ok(count - received)
}

fn lost_packets(ends: &mut Ends) -> anyhow::Result<String> {
    let form = Form { seq: Seq::Both, ..Form::plain(204, Carrier::Udp4) };
    with_session(ends, &form, |ends| {
        let dropped = with_netem(ends, "loss 5%", |ends| flood(&mut ends.kernel, &form, 400).map(drop))?;
        let kernel = ends.kernel.counters(&form)?;
        let ours = ends.ours.stats(&form)?;
        let arrived = ours.rx_packets + ours.rx_errors;
        let sent = kernel.tx_packets;
        ensure!(
            arrived <= sent && arrived + dropped >= sent,
            "{sent} sent, {dropped} lost, {arrived} arrived"
        );
        ensure!(ours.rx_seq_discards > 0, "a gap was not noticed");
        Ok(format!(
            ", {sent} sent, {dropped} lost, {} taken, {} discarded",
            ours.rx_packets, ours.rx_seq_discards
        ))
    })
}

fn lost_packets_with_timeout(ends: &mut Ends) -> anyhow::Result<String> {
    let form = Form { seq: Seq::Both, ..Form::plain(205, Carrier::Udp4) };
    with_session(ends, &form, |ends| {
        set(&ends.ours, &form, "reorder_timeout 50")?;
        let dropped = with_netem(ends, "loss 5%", |ends| flood(&mut ends.kernel, &form, 400).map(drop))?;
        let kernel = ends.kernel.counters(&form)?;
        let ours = ends.ours.stats(&form)?;
        let (sent, taken, given_up) = (kernel.tx_packets, ours.rx_packets, ours.rx_seq_discards);
        ensure!(dropped > 0 && taken < sent, "netem dropped nothing");
        ensure!(given_up <= dropped && given_up == ours.rx_errors, "{ours:?}");
        ensure!(taken + given_up + dropped >= sent, "{sent} sent, {dropped} lost, {ours:?}");
        Ok(format!(", {sent} sent, {dropped} lost, {taken} taken, {given_up} given up"))
    })
}

fn reordered_packets(ends: &mut Ends) -> anyhow::Result<String> {
    let form = Form { seq: Seq::Both, ..Form::plain(206, Carrier::Ip4) };
    with_session(ends, &form, |ends| {
        set(&ends.ours, &form, "reorder_timeout 200")?;
        let mut unanswered = 0;
        with_netem(ends, "delay 10ms reorder 30%", |ends| {
            unanswered = flood(&mut ends.kernel, &form, 300)?;
            stream::echo(&mut ends.kernel, form.ipv4(End::Ours).into(), 1 << 20).context("TCP")
        })?;
        let ours = ends.ours.stats(&form)?;
        ensure!(unanswered == 0, "{unanswered} pings got no answer");
        ensure!(ours.rx_oos_packets > 0, "netem reordered nothing");
        ensure!(ours.rx_errors == 0, "{} packets refused", ours.rx_errors);
        Ok(format!(", {} of {} out of order", ours.rx_oos_packets, ours.rx_packets))
    })
}

fn set(ours: &Ours, form: &Form, words: &str) -> anyhow::Result<()> {
    let ids = (form.tunnel.id(End::Ours), form.session_id(End::Ours));
    ours.l2tp(&format!("set session tunnel_id {} session_id {} {words}", ids.0, ids.1)).map(drop)
}

fn kernel_follows(ends: &mut Ends) -> anyhow::Result<String> {
    let form = Form::plain(207, Carrier::Udp4);
    with_session(ends, &form, |ends| {
        for seq in ["send", "none", "send"] {
            set(&ends.ours, &form, &format!("lns_mode on seq {seq}"))?;
            // A request may meet a kernel that does not number its answers yet.
            ours::sh(&format!("ping -q -c 3 -i 0.05 -W 1 {} || true", form.ipv4(End::Kernel)))?;
            let sends = ends.kernel.sends_numbers(&form)?;
            ensure!(sends == (seq == "send"), "we set {seq}; the kernel numbers what it sends: {sends}");
        }
        Ok(String::new())
    })
}

fn changes_under_traffic(ends: &mut Ends) -> anyhow::Result<String> {
    let form = Form { seq: Seq::Both, ..Form::plain(208, Carrier::Udp4) };
    with_session(ends, &form, |ends| {
        let (our_end, kernel) = (&ends.ours, &mut ends.kernel);
        let (unanswered, changes) = std::thread::scope(|scope| {
            let traffic = scope.spawn(|| flood(kernel, &form, 1000));
            let mut changes = 0;
            let mut words = ["reorder_timeout 100", "lns_mode on", "reorder_timeout 0", "lns_mode off"]
                .into_iter()
                .cycle();
            while let (false, Some(words)) = (traffic.is_finished(), words.next()) {
                changes += u32::from(set(our_end, &form, words).is_ok());
            }
            (traffic.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), changes)
        });
        let unanswered = unanswered?;
        let (ours, kernel) = settle(ends, &form, Counters::arrived_at)?;
        ensure!(unanswered == 0, "{unanswered} pings got no answer; ours {ours}, the kernel's {kernel}");
        Ok(format!(", {changes} changes, {} frames in, {} out", ours.rx_packets, kernel.rx_packets))
    })
}

/// One stream at a time: straight over the network between the ends, then through tunnels.
fn rates(ends: &mut Ends) -> anyhow::Result<String> {
    let mut notes =
        format!("\n  {:<32} {:>12} {:>12}", "Gbit/s, one stream, best of 3", "to kernel", "from kernel");
    let underlay = ends.underlay.address(End::Ours, false);
    notes += &rate_row(ends, "no tunnel", underlay)?;
    let forms = [
        ("UDP/IPv4", Form::plain(210, Carrier::Udp4)),
        ("UDP/IPv4, checksums", Form::plain(211, Carrier::Udp4Csum)),
        ("UDP/IPv4, numbered", Form { seq: Seq::Both, ..Form::plain(212, Carrier::Udp4) }),
        ("UDP/IPv6", Form::plain(213, Carrier::Udp6)),
        ("IP/IPv4", Form::plain(214, Carrier::Ip4)),
    ];
    for (name, form) in forms {
        let address = form.ipv4(End::Ours).into();
        notes += &with_session(ends, &form, |ends| rate_row(ends, name, address)).context(name)?;
    }
    Ok(notes)
}

fn rate_row(ends: &mut Ends, name: &str, address: IpAddr) -> anyhow::Result<String> {
    let (mut out, mut into) = (0_f64, 0_f64);
    for _ in 0..3 {
        out = out.max(stream::rate_out(&mut ends.kernel, address, RATE_BYTES)?);
        into = into.max(stream::rate_in(&mut ends.kernel, address, RATE_BYTES)?);
    }
    Ok(format!("\n  {name:<32} {:>12.2} {:>12.2}", out / 1e9, into / 1e9))
}

fn end(ends: &mut Ends) -> anyhow::Result<String> {
    let devices = || anyhow::Ok(ours::sh("ip -o link show")?.matches(": fwi").count());
    let before = devices()?;
    ensure!(ends.ours.end(), "it did not end within 5 seconds of SIGTERM");
    let after = devices()?;
    ensure!(after == 0, "{after} devices of {before} are left");
    Ok(format!(", {before} devices before"))
}
