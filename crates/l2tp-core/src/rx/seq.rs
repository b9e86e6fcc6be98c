//! Which sequence numbers a session takes (`l2tp_recv_data_seq`).

use crate::drop_reason::DropReason;

/// After this many packets in a row that follow one another, a receiver that does not reorder starts anew with the next.
const RESYNC_LIMIT: u32 = 4;

/// What a session expects of its peer's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxSeq {
    /// The number expected next.
    pub nr: u32,
    /// The last number that came out of order.
    nr_oos: u32,
    /// How many in a row followed `nr_oos`.
    nr_oos_count: u32,
    /// Whatever number comes next is the expected one. Set at first, and when a gap is given up.
    pub(crate) resync: bool,
}

impl Default for RxSeq {
    fn default() -> Self {
        Self { nr: 0, nr_oos: 0, nr_oos_count: 0, resync: true }
    }
}

impl RxSeq {
    /// How far `ns` lies ahead of the expected number, modulo the number space.
    #[must_use]
    pub fn distance(&self, ns: u32, ns_max: u32) -> u32 {
        ns.wrapping_sub(self.nr) & ns_max
    }

    /// Whether `ns` lies in the half of the number space that is ahead.
    pub(crate) fn check_window(&self, ns: u32, ns_max: u32) -> Result<(), DropReason> {
        if self.distance(ns, ns_max) < ns_max / 2 { Ok(()) } else { Err(DropReason::SeqOutsideWindow) }
    }

    /// Without reordering only the expected number is taken; a run of numbers that follow one another means that the
    /// peer is ahead for good.
    pub(crate) fn check_in_order(&mut self, ns: u32, ns_max: u32) -> Result<(), DropReason> {
        if ns == self.nr {
            return Ok(());
        }
        let follows = ns == self.nr_oos.wrapping_add(1) & ns_max;
        self.nr_oos_count = if follows { self.nr_oos_count + 1 } else { 0 };
        self.nr_oos = ns;
        if self.nr_oos_count > RESYNC_LIMIT {
            self.resync = true;
        }
        if self.resync { Ok(()) } else { Err(DropReason::SeqGap) }
    }

    /// Whether a packet with `ns` is the next to be delivered. A pending resynchronisation makes it so.
    pub(crate) fn is_next(&mut self, ns: u32) -> bool {
        if self.resync {
            self.resync = false;
            self.nr = ns;
        }
        ns == self.nr
    }

    /// Goes on to the number after `ns`.
    pub(crate) fn advance(&mut self, ns: u32, ns_max: u32) {
        self.nr = ns.wrapping_add(1) & ns_max;
    }

    /// Gives up what is missing before `ns`, and `ns` with it; the next packet, whatever its number, starts anew.
    pub(crate) fn give_up(&mut self, ns: u32, ns_max: u32) {
        self.advance(ns, ns_max);
        self.resync = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_space_is_ahead() {
        let seq = RxSeq::default();
        for (ns_max, last) in [(0xffff, 32766), (0x00ff_ffff, 8_388_606)] {
            assert_eq!(seq.check_window(0, ns_max), Ok(()));
            assert_eq!(seq.check_window(last, ns_max), Ok(()));
            assert_eq!(seq.check_window(last + 1, ns_max), Err(DropReason::SeqOutsideWindow));
            assert_eq!(seq.check_window(ns_max, ns_max), Err(DropReason::SeqOutsideWindow));
        }
    }

    #[test]
    fn the_sixth_in_a_row_resynchronises() {
        let mut seq = RxSeq { nr: 3, resync: false, ..RxSeq::default() };
        let taken = [5, 6, 7, 8, 9, 10].map(|ns| seq.check_in_order(ns, 0xffff).is_ok());
        assert_eq!(taken, [false, false, false, false, false, true]);
    }

    #[test]
    fn numbers_wrap() {
        let mut seq = RxSeq::default();
        seq.advance(0xffff, 0xffff);
        assert_eq!((seq.nr, seq.distance(2, 0xffff)), (0, 2));
    }
}
