//! Request numbers, and how a number says the size and the direction of its argument (`_IOC`).

/// The letter of all of PPP's requests.
const LETTER: u32 = b't' as u32;
const NONE: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 2;
/// Bytes of an `int`.
const INT: u32 = 4;
/// Bytes of `struct sock_fprog` and `struct ppp_option_data`.
const POINTER_STRUCT: u32 = 16;

const fn ioc(direction: u32, number: u32, size: u32) -> u32 {
    direction << 30 | size << 16 | LETTER << 8 | number
}

/// Bytes of the argument that a request points at.
#[must_use]
pub const fn argument_size(cmd: u32) -> u32 {
    cmd >> 16 & 0x3fff
}

/// Whether the program's argument is read.
#[must_use]
pub const fn takes(cmd: u32) -> bool {
    cmd >> 30 & WRITE != 0
}

/// Whether the program's argument is written.
#[must_use]
pub const fn gives(cmd: u32) -> bool {
    cmd >> 30 & READ != 0
}

/// Channel: ends a bridge.
pub const PPPIOCUNBRIDGECHAN: u32 = ioc(NONE, 52, 0);
/// Channel: hands every frame to another channel, whose index is given, and takes all of its.
pub const PPPIOCBRIDGECHAN: u32 = ioc(WRITE, 53, INT);
/// PPPoL2TP socket: counters ([`super::L2tpStats`]).
pub const PPPIOCGL2TPSTATS: u32 = ioc(READ, 54, 72);
/// PPPoL2TP socket: index of its channel.
pub const PPPIOCGCHAN: u32 = ioc(READ, 55, INT);
/// Fresh: becomes the file of a channel.
pub const PPPIOCATTCHAN: u32 = ioc(WRITE, 56, INT);
/// Channel: leaves its unit.
pub const PPPIOCDISCONN: u32 = ioc(NONE, 57, 0);
/// Channel: joins a unit.
pub const PPPIOCCONNECT: u32 = ioc(WRITE, 58, INT);
/// Unit: largest frame of a bundle.
pub const PPPIOCSMRRU: u32 = ioc(WRITE, 59, INT);
/// Unit and channel: obsolete.
pub const PPPIOCDETACH: u32 = ioc(WRITE, 60, INT);
/// Fresh: becomes another file of a unit.
pub const PPPIOCATTACH: u32 = ioc(WRITE, 61, INT);
/// Fresh: makes a unit; -1: with the lowest free number.
pub const PPPIOCNEWUNIT: u32 = ioc(READ | WRITE, 62, INT);
/// Unit: seconds since the last frames ([`super::IdleTimes`]), of 64 bits.
pub const PPPIOCGIDLE: u32 = ioc(READ, 63, 16);
/// The same, of 32 bits.
pub const PPPIOCGIDLE32: u32 = ioc(READ, 63, 8);
/// Unit: sets a number without a meaning.
pub const PPPIOCSDEBUG: u32 = ioc(WRITE, 64, INT);
/// Unit: reads it.
pub const PPPIOCGDEBUG: u32 = ioc(READ, 65, INT);
/// Unit: a filter of the frames that count as activity.
pub const PPPIOCSACTIVE: u32 = ioc(WRITE, 70, POINTER_STRUCT);
/// Unit: a filter of the frames that pass.
pub const PPPIOCSPASS: u32 = ioc(WRITE, 71, POINTER_STRUCT);
/// Unit: what happens to frames of a protocol ([`super::NpModeRequest`]).
pub const PPPIOCSNPMODE: u32 = ioc(WRITE, 75, 8);
/// Unit: reads it.
pub const PPPIOCGNPMODE: u32 = ioc(READ | WRITE, 76, 8);
/// Unit: compression of frames.
pub const PPPIOCSCOMPRESS: u32 = ioc(WRITE, 77, POINTER_STRUCT);
/// Unit: compression of TCP headers (VJ).
pub const PPPIOCSMAXCID: u32 = ioc(WRITE, 81, INT);
/// Unit and PPPoL2TP socket: largest frame to receive.
pub const PPPIOCSMRU: u32 = ioc(WRITE, 82, INT);
/// PPPoL2TP socket: reads it.
pub const PPPIOCGMRU: u32 = ioc(READ, 83, INT);
/// Unit: its number.
pub const PPPIOCGUNIT: u32 = ioc(READ, 86, INT);
/// Unit and PPPoL2TP socket: flags `SC_*`.
pub const PPPIOCSFLAGS: u32 = ioc(WRITE, 89, INT);
/// Unit and PPPoL2TP socket: reads them.
pub const PPPIOCGFLAGS: u32 = ioc(READ, 90, INT);

/// Any socket, of a device `pppN` in a `struct ifreq`: counters ([`super::UnitStats`]).
pub const SIOCGPPPSTATS: u32 = 0x89f0;
/// The same: the version of the driver, as text.
pub const SIOCGPPPVER: u32 = 0x89f1;
/// The same: counters of compression.
pub const SIOCGPPPCSTATS: u32 = 0x89f2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_kernel() {
        for (cmd, number) in [
            (PPPIOCGL2TPSTATS, 0x8048_7436),
            (PPPIOCGCHAN, 0x8004_7437),
            (PPPIOCATTCHAN, 0x4004_7438),
            (PPPIOCCONNECT, 0x4004_743a),
            (PPPIOCDISCONN, 0x7439),
            (PPPIOCNEWUNIT, 0xc004_743e),
            (PPPIOCATTACH, 0x4004_743d),
            (PPPIOCBRIDGECHAN, 0x4004_7435),
            (PPPIOCUNBRIDGECHAN, 0x7434),
            (PPPIOCGUNIT, 0x8004_7456),
            (PPPIOCSMRU, 0x4004_7452),
            (PPPIOCGMRU, 0x8004_7453),
            (PPPIOCSFLAGS, 0x4004_7459),
            (PPPIOCGFLAGS, 0x8004_745a),
            (PPPIOCSNPMODE, 0x4008_744b),
            (PPPIOCGNPMODE, 0xc008_744c),
            (PPPIOCSPASS, 0x4010_7447),
            (PPPIOCSACTIVE, 0x4010_7446),
            (PPPIOCSDEBUG, 0x4004_7440),
            (PPPIOCSCOMPRESS, 0x4010_744d),
            (PPPIOCSMAXCID, 0x4004_7451),
            (PPPIOCGIDLE, 0x8010_743f),
            (PPPIOCSMRRU, 0x4004_743b),
            (PPPIOCGDEBUG, 0x8004_7441),
        ] {
            assert_eq!(cmd, number);
        }
        assert_eq!(argument_size(PPPIOCGL2TPSTATS), 72);
        assert!(takes(PPPIOCNEWUNIT) && gives(PPPIOCNEWUNIT) && !takes(PPPIOCGUNIT) && !gives(PPPIOCDISCONN));
    }
}
