//! What was measured on, and when.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// The machine, the kernel and the date.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Machine {
    /// System and release: "Linux 6.12.0".
    pub(super) kernel: String,
    pub(super) processors: u32,
    /// What the processor calls itself; empty where it does not say.
    pub(super) model: String,
    /// UTC, as ISO 8601 has it.
    pub(super) date: String,
    /// Version of Ferrowire.
    pub(super) ferrowire: &'static str,
    /// Built without optimisation: its figures say little.
    pub(super) unoptimised: bool,
}

impl Machine {
    /// This one, now.
    pub(super) fn here() -> Self {
        let name = rustix::system::uname();
        let [system, release] = [name.sysname(), name.release()].map(|text| text.to_string_lossy());
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            kernel: format!("{system} {release}"),
            processors: u32::try_from(processors).unwrap_or(u32::MAX),
            model: model.trim_start_matches([' ', '\t', ':']).to_owned(),
            date: date(now.as_secs()),
            ferrowire: env!("CARGO_PKG_VERSION"),
            unoptimised: cfg!(debug_assertions),
        }
    }
}

/// A time in seconds since 1970 as a date of the Gregorian calendar (H. Hinnant, chrono-Compatible Low-Level Date Algorithms).
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so that the leap day comes last.
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::{Machine, date};

    #[test]
    fn dates_are_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(date(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_767_225_599), "2025-12-31T23:59:59Z");
        assert_eq!(date(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn this_machine_has_a_kernel_and_a_processor() {
        let machine = Machine::here();
        assert!(machine.kernel.starts_with("Linux ") && machine.processors > 0, "{machine:?}");
    }
}
