//! The window: the descriptor numbers that emulated sockets get, so that the filter knows them by their number.

use rustix::process::{Resource, getrlimit};

/// select(2) knows no descriptor from here on, and programs use it.
const SELECT_MAX: u32 = 1024;
/// Numbers that a window has at most.
const WIDTH_MAX: u32 = 256;

/// A range of descriptor numbers, `end` not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Window {
    /// The window below this process's limit of open files, which the program inherits.
    pub(crate) fn below_the_limit() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::below(u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// The upper quarter of what is below `limit` and below the reach of select(2).
    fn below(limit: u32) -> Self {
        let end = limit.min(SELECT_MAX);
        Self { start: end - (end / 4).min(WIDTH_MAX), end }
    }

    /// The numbers, from `least` on where that is given.
    pub(crate) fn numbers_from(self, least: u32) -> std::ops::Range<u32> {
        self.start.max(least)..self.end
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn leaves_three_quarters_to_the_program_and_stays_below_select() {
        assert_eq!(Window::below(1024), Window { start: 768, end: 1024 });
        assert_eq!(Window::below(u32::MAX), Window { start: 768, end: 1024 });
        assert_eq!(Window::below(256), Window { start: 192, end: 256 });
        assert_eq!(Window::below(20), Window { start: 15, end: 20 });
        assert_eq!(Window::below(0), Window { start: 0, end: 0 });
    }
}
