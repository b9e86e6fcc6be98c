//! How much processor time a test takes, wherever the kernel books it.
//!
//! Work for a packet is done by whoever is running: the sender's system call, a soft interrupt in the middle of any program, a
//! thread of the kernel. So nothing is added up process by process. What is counted is the time for which processors were not
//! idle (/proc/stat, proc_stat(5)), less what the programs of others took (/proc/PID/stat).

use std::fs;
use std::time::Instant;

use anyhow::Context;

/// Ticks a second of the files in /proc: USER_HZ, the same on every architecture that we run on.
const USER_HZ: f64 = 100.0;
/// `flags` of a thread of the kernel (include/linux/sched.h PF_KTHREAD).
const PF_KTHREAD: u64 = 0x0020_0000;

/// The clocks at one moment, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    at: Instant,
    /// What all processors had in all had nothing to do, or were taken away from this virtual machine.
    idle: f64,
    processors: f64,
    /// What programs that are not ours used, those included that have ended and were waited for.
    foreign: f64,
}

/// What passed between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Elapsed {
    pub(super) seconds: f64,
    /// Processor time of what is measured.
    pub(super) cpu_seconds: f64,
    /// Processor time that others took. It is not in `cpu_seconds`, but what has to share a processor is slower.
    pub(super) foreign_seconds: f64,
}

impl Reading {
    /// The clocks now.
    pub(super) fn take() -> anyhow::Result<Self> {
        // On a thread that goes before all others: to look at every process takes a while, and they must not run on meanwhile.
        std::thread::scope(|scope| scope.spawn(Self::take_first).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// What is said of the machine is the mean of before and after the look at the processes, so that it is of the same moment.
    fn take_first() -> anyhow::Result<Self> {
        // None means this thread (setpriority(2), C library/kernel differences). Who may not waits longer.
        let _: rustix::io::Result<()> = rustix::process::setpriority_process(None, -20);
        let first = Self::machine()?;
        let foreign = foreign()?;
        let last = Self::machine()?;
        let at = first.at + last.at.duration_since(first.at) / 2;
        Ok(Self { at, idle: (first.idle + last.idle) / 2.0, foreign, ..last })
    }

    fn machine() -> anyhow::Result<Self> {
        let at = Instant::now();
        let text = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let idle = idle_ticks(&text).context("/proc/stat cannot be understood")? / USER_HZ;
        Ok(Self { at, idle, processors: processors(&text), foreign: 0.0 })
    }

    /// What has passed since an earlier reading.
    pub(super) fn since(&self, earlier: &Self) -> Elapsed {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        let busy = self.processors * seconds - (self.idle - earlier.idle);
        // A process that nobody waits for takes what it used with it.
        let foreign_seconds = (self.foreign - earlier.foreign).max(0.0);
        Elapsed { seconds, cpu_seconds: (busy - foreign_seconds).max(0.0), foreign_seconds }
    }
}

impl Elapsed {
    /// The same for a part, or a little more than the whole, of that time.
    pub(super) fn scaled_to(self, seconds: f64) -> Self {
        let factor = seconds / self.seconds;
        Self {
            seconds,
            cpu_seconds: self.cpu_seconds * factor,
            foreign_seconds: self.foreign_seconds * factor,
        }
    }
}

/// idle, iowait and steal of all processors together. These are exact to a tick, not sampled: a processor that goes to sleep
/// notes the time (kernel/time/tick-sched.c get_cpu_idle_time_us).
fn idle_ticks(stat: &str) -> Option<f64> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<f64> = all.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; the last came with Linux 2.6.11.
    Some(ticks.get(3)? + ticks.get(4)? + ticks.get(7).copied().unwrap_or_default())
}

fn processors(stat: &str) -> f64 {
    let lines = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    lines.map(|_| 1.0).sum()
}

/// Seconds that programs have used but for this one and those that it started.
fn foreign() -> anyhow::Result<f64> {
    let own = u64::from(std::process::id());
    let entries = fs::read_dir("/proc").context("cannot read /proc")?.flatten();
    let processes = entries.filter(|entry| is_process(entry.file_name().as_encoded_bytes()));
    // A process may end while we look.
    let texts = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    Ok(texts.filter_map(|text| foreign_ticks(&text, own)).sum::<f64>() / USER_HZ)
}

/// Whether an entry of /proc is a process. "thread-self" would show a thread of ours under a number of its own.
fn is_process(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_digit)
}

/// utime, stime, cutime and cstime of a process that is not ours and not of the kernel. With the last two, what a process has
/// used moves to its parent when it ends, and the sum over all stays.
fn foreign_ticks(stat: &str, own: u64) -> Option<f64> {
    let (pid, _) = stat.split_once(' ')?;
    // The name may have anything in it, also parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<u64> = rest
        .split_whitespace()
        .skip(1)
        .map_while(|word| word.parse::<i64>().ok()?.try_into().ok().or(Some(0)))
        .collect();
    let (parent, flags) = (*fields.first()?, *fields.get(5)?);
    let is_ours = pid.parse() == Ok(own) || parent == own;
    if is_ours || flags & PF_KTHREAD != 0 {
        return None;
    }
    let ticks: u64 = fields.get(10..14)?.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    Some(ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::{Reading, foreign_ticks, idle_ticks, is_process, processors};
    use rustix::time::{ClockId, clock_gettime};
    use std::time::{Duration, Instant};

    const STAT: &str = "\
cpu  10 1 20 1000 30 4 5 7 0 0
cpu0 5 1 10 500 15 2 2 3 0 0
cpu1 5 0 10 500 15 2 3 4 0 0
intr 12345 0
ctxt 99
";

    #[test]
    fn the_time_without_work_is_idle_iowait_and_steal() {
        assert_eq!(idle_ticks(STAT), Some(1037.0));
        assert_eq!(processors(STAT), 2.0);
        assert_eq!(idle_ticks("cpu0 1 2 3"), None);
    }

    #[test]
    fn only_others_programs_are_foreign() {
        let stat = |pid: u32, name: &str, parent: i32, flags: u32| {
            format!("{pid} ({name}) S {parent} 7 7 0 -1 {flags} 100 0 0 0 30 4 500 60 20 0 1 0 99 1 2\n")
        };
        assert_eq!(foreign_ticks(&stat(9, "cc", 3, 4_194_560), 7), Some(594.0));
        assert_eq!(foreign_ticks(&stat(9, "a) S 1 (b", 3, 0), 7), Some(594.0));
        assert_eq!(foreign_ticks(&stat(7, "ferrowire", 3, 0), 7), None);
        assert_eq!(foreign_ticks(&stat(9, "ferrowire", 7, 0), 7), None);
        assert_eq!(foreign_ticks(&stat(15, "ksoftirqd/0", 2, 69_238_848), 7), None);
        assert_eq!(foreign_ticks("9 (x) S", 7), None);
    }

    #[test]
    fn processes_are_numbers() {
        assert_eq!(
            ["1", "4711", "self", "thread-self", "stat"].map(|name| is_process(name.as_bytes())),
            [true, true, false, false, false]
        );
    }

    /// Of a thread that does nothing but compute, on a machine with other work.
    #[test]
    fn work_is_counted() {
        let before = Reading::take().unwrap();
        let start = Instant::now();
        let used = || clock_gettime(ClockId::ThreadCPUTime);
        let first = used();
        while start.elapsed() < Duration::from_millis(300) {}
        let used = Duration::try_from(used() - first).unwrap().as_secs_f64();
        let elapsed = Reading::take().unwrap().since(&before);
        assert!(elapsed.seconds >= 0.3, "{elapsed:?}");
        // Of a shared machine no more can be said: that it was busy for that long. Ticks are of 10 ms.
        assert!(elapsed.cpu_seconds + elapsed.foreign_seconds > used - 0.1, "{used}: {elapsed:?}");
        assert!(elapsed.cpu_seconds <= before.processors * elapsed.seconds + 0.1, "{elapsed:?}");
        let half = elapsed.scaled_to(elapsed.seconds / 2.0);
        assert!((half.cpu_seconds * 2.0 - elapsed.cpu_seconds).abs() < 1e-9, "{half:?}");
    }
}
