//! The window: the descriptor numbers that emulated sockets get, so that the filter knows them by their number.

use std::ops::Range;

use rustix::process::{Resource, getrlimit};

/// select(2) knows no descriptor from here on, and programs use it.
const SELECT_MAX: u32 = 1024;

/// A range of descriptor numbers, from `start` to before `end`: up to `middle` those of netlink sockets, from there on
/// those of L2TPIP sockets, of which more calls are trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start: u32,
    pub(crate) middle: u32,
    pub(crate) end: u32,
}

impl Window {
    /// The window below this process's limit of open files, which the program inherits.
    pub(crate) fn below_the_limit() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::below(u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// The upper half of what is below `limit` and below the reach of select(2); a quarter of it for netlink.
    fn below(limit: u32) -> Self {
        let end = limit.min(SELECT_MAX);
        let start = end - end / 2;
        Self { start, middle: start + (end - start) / 4, end }
    }

    /// Whether a descriptor is in it.
    pub(crate) fn contains(self, number: u32) -> bool {
        (self.start..self.end).contains(&number)
    }

    /// The numbers of netlink sockets: the others' too, when their own are taken. There, calls are trapped that go on.
    pub(crate) const fn netlink(self) -> Range<u32> {
        self.start..self.end
    }

    /// The numbers of L2TPIP sockets.
    pub(crate) const fn l2tpip(self) -> Range<u32> {
        self.middle..self.end
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn leaves_half_to_the_program_and_stays_below_select() {
        let window = |start, middle, end| Window { start, middle, end };
        assert_eq!(Window::below(1024), window(512, 640, 1024));
        assert_eq!(Window::below(u32::MAX), window(512, 640, 1024));
        assert_eq!(Window::below(256), window(128, 160, 256));
        assert_eq!(Window::below(20), window(10, 12, 20));
        assert_eq!(Window::below(0), window(0, 0, 0));
    }
}
