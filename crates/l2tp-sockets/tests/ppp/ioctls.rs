//! Every request in every state.

use crate::lab::{Lab, int};
use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::*;
use l2tp_abi::ppp::{NpMode, NpModeRequest, SC_FLAG_BITS};
use l2tp_core::Instant;

/// States of a file: fresh; of a channel that is alone, in unit 0, dead; of unit 0, and of a unit that is dead.
const STATES: [&str; 6] = ["fresh", "channel", "joined", "dead channel", "unit", "dead unit"];

/// The answer in each state: nothing, or the errno.
type Row = (u32, Vec<u8>, [Option<Errno>; 6]);

const OK: Option<Errno> = None;
const ENOTTY: Option<Errno> = Some(Errno::ENOTTY);
const EINVAL: Option<Errno> = Some(Errno::EINVAL);
const EFAULT: Option<Errno> = Some(Errno::EFAULT);
const ENXIO: Option<Errno> = Some(Errno::ENXIO);

/// Answers of requests that only units know.
const fn unit_only(answer: Option<Errno>) -> [Option<Errno>; 6] {
    [ENOTTY, ENOTTY, ENOTTY, ENOTTY, answer, answer]
}

fn np(protocol: i32, mode: i32) -> Vec<u8> {
    NpModeRequest { protocol, mode: NpMode::from_number(mode) }.emit()
}

/// `struct ppp_option_data` with an option of so many bytes.
fn option(length: u32) -> Vec<u8> {
    [&[0; 8][..], &length.to_ne_bytes(), &[0; 4]].concat()
}

fn table() -> Vec<Row> {
    let (enotconn, already) = (Some(Errno::ENOTCONN), Some(Errno::EALREADY));
    vec![
        (PPPIOCNEWUNIT, int(-1).into(), [OK, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCNEWUNIT, int(5).into(), [OK, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCNEWUNIT, int(0).into(), [Some(Errno::EEXIST), ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCNEWUNIT, vec![], [EFAULT, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCATTACH, int(0).into(), [OK, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCATTACH, int(9).into(), [ENXIO, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCATTACH, int(-1).into(), [ENXIO, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        // The other channel, number 4.
        (PPPIOCATTCHAN, int(4).into(), [OK, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCATTCHAN, int(99).into(), [ENXIO, ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY]),
        (PPPIOCCONNECT, int(0).into(), [ENOTTY, OK, EINVAL, enotconn, ENOTTY, ENOTTY]),
        (PPPIOCCONNECT, int(9).into(), [ENOTTY, ENXIO, ENXIO, ENXIO, ENOTTY, ENOTTY]),
        (PPPIOCCONNECT, vec![0; 3], [ENOTTY, EFAULT, EFAULT, EFAULT, ENOTTY, ENOTTY]),
        (PPPIOCDISCONN, vec![], [ENOTTY, EINVAL, OK, EINVAL, ENOTTY, ENOTTY]),
        (PPPIOCBRIDGECHAN, int(4).into(), [ENOTTY, OK, already, enotconn, ENOTTY, ENOTTY]),
        (PPPIOCBRIDGECHAN, int(99).into(), [ENOTTY, ENXIO, ENXIO, ENXIO, ENOTTY, ENOTTY]),
        (PPPIOCUNBRIDGECHAN, vec![], [ENOTTY, EINVAL, EINVAL, EINVAL, ENOTTY, ENOTTY]),
        (PPPIOCDETACH, int(0).into(), [ENOTTY, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL]),
        (PPPIOCSMRU, int(1400).into(), unit_only(OK)),
        (PPPIOCSMRU, vec![], unit_only(EFAULT)),
        (PPPIOCGMRU, int(0).into(), unit_only(ENOTTY)),
        (PPPIOCSFLAGS, int(0).into(), unit_only(OK)),
        (PPPIOCGFLAGS, vec![], unit_only(OK)),
        (PPPIOCGUNIT, vec![], unit_only(OK)),
        (PPPIOCSDEBUG, int(7).into(), unit_only(OK)),
        (PPPIOCGDEBUG, vec![], unit_only(OK)),
        (PPPIOCGIDLE, vec![], unit_only(OK)),
        (PPPIOCGIDLE32, vec![], unit_only(OK)),
        (PPPIOCSNPMODE, np(0x21, 3), unit_only(OK)),
        (PPPIOCSNPMODE, np(0x80fd, 0), unit_only(EINVAL)),
        (PPPIOCSNPMODE, np(-1, 0), unit_only(EINVAL)),
        (PPPIOCSNPMODE, vec![0; 7], unit_only(EFAULT)),
        (PPPIOCGNPMODE, np(0x57, 0), unit_only(OK)),
        (PPPIOCGNPMODE, np(0x22, 0), unit_only(EINVAL)),
        (PPPIOCSPASS, vec![0; 16], unit_only(OK)),
        (PPPIOCSACTIVE, vec![0; 16], unit_only(OK)),
        (PPPIOCSPASS, vec![0; 15], unit_only(EFAULT)),
        (PPPIOCSCOMPRESS, option(4), unit_only(EINVAL)),
        (PPPIOCSCOMPRESS, option(33), unit_only(EFAULT)),
        (PPPIOCSCOMPRESS, vec![], unit_only(EFAULT)),
        (PPPIOCSMAXCID, int(15).into(), unit_only(EINVAL)),
        (PPPIOCSMRRU, int(1500).into(), unit_only(ENOTTY)),
        (PPPIOCGCHAN, int(0).into(), unit_only(ENOTTY)),
        (PPPIOCGL2TPSTATS, vec![0; 72], unit_only(ENOTTY)),
        (0x5421, vec![], unit_only(ENOTTY)),
        (0, vec![], unit_only(ENOTTY)),
    ]
}

/// A lab where unit 0 lives, channel 4 is free, and one file is in `state`.
fn file_in(state: &str) -> (Lab, l2tp_sockets::ppp::FileKey) {
    let mut lab = Lab::default();
    let unit = lab.unit(0);
    let (_, alone) = lab.channel(1);
    let (_, joined) = lab.channel(2);
    lab.ask(joined, PPPIOCCONNECT, 0).unwrap();
    let (gone, dead) = lab.channel(3);
    lab.ppp.unregister_channel(gone);
    let (other, _) = lab.channel(4);
    assert_eq!(lab.index(other), 4);
    let owner = lab.unit(8);
    let orphan = lab.attached(8);
    lab.close(owner);
    let file = match state {
        "fresh" => lab.open(),
        "channel" => alone,
        "joined" => joined,
        "dead channel" => dead,
        "unit" => unit,
        _ => orphan,
    };
    (lab, file)
}

#[test]
fn every_request_in_every_state() {
    for (cmd, argument, answers) in table() {
        for (state, want) in STATES.iter().zip(answers) {
            let (mut lab, file) = file_in(state);
            let answer = lab.ioctl(file, cmd, &argument);
            assert_eq!(
                answer.as_ref().err().copied(),
                want,
                "{cmd:#x} {argument:?} on a file that is {state}"
            );
            if let Ok(bytes) = answer {
                let size = usize::try_from(argument_size(cmd)).unwrap();
                assert_eq!(bytes.len(), if gives(cmd) { size } else { 0 }, "{cmd:#x} {state}");
            }
        }
    }
}

#[test]
fn a_closed_file_is_none() {
    let mut lab = Lab::default();
    let file = lab.open();
    lab.close(file);
    assert_eq!(lab.ask(file, PPPIOCNEWUNIT, -1), Err(Errno::EBADF));
    assert_eq!(lab.read(file), Err(Errno::EBADF));
}

#[test]
fn what_is_set_is_read() {
    let mut lab = Lab::default();
    let unit = lab.unit(3);
    assert_eq!(lab.ask(unit, PPPIOCGUNIT, 0), Ok(3));
    assert_eq!(lab.ask(unit, PPPIOCGDEBUG, 0), Ok(0));
    lab.ask(unit, PPPIOCSDEBUG, -5).unwrap();
    assert_eq!(lab.ask(unit, PPPIOCGDEBUG, 0), Ok(-5));
    assert_eq!(lab.ask(unit, PPPIOCGFLAGS, 0), Ok(0));
    lab.ask(unit, PPPIOCSFLAGS, -1).unwrap();
    // What the kernel keeps of all bits.
    assert_eq!(lab.ask(unit, PPPIOCGFLAGS, 0), Ok(0x0040_4eec));
    assert_eq!(SC_FLAG_BITS, 0x0040_4eec);
    for (protocol, mode) in [(0x21, 1), (0x57, 2), (0x2b, 3), (0x29, 0), (0x281, 77), (0x283, -1)] {
        assert_eq!(
            lab.ioctl(unit, PPPIOCGNPMODE, &np(protocol, 9)),
            Ok(np(protocol, 0)),
            "they pass at first"
        );
        assert_eq!(lab.ioctl(unit, PPPIOCSNPMODE, &np(protocol, mode)), Ok(vec![]));
        assert_eq!(lab.ioctl(unit, PPPIOCGNPMODE, &np(protocol, 9)), Ok(np(protocol, mode)));
    }
}

#[test]
fn idle_times_count_from_the_last_frames_of_a_network() {
    let mut lab = Lab::default();
    let at = |seconds: u64| Instant(seconds * 1_000_000_000);
    lab.now = at(100);
    let (channel, _, unit) = lab.link();
    let idle = |lab: &mut Lab| {
        let bytes = lab.ioctl(unit, PPPIOCGIDLE, &[]).unwrap();
        let short = lab.ioctl(unit, PPPIOCGIDLE32, &[]).unwrap();
        let long: Vec<_> = bytes.chunks(8).map(|b| i64::from_ne_bytes(b.try_into().unwrap())).collect();
        let narrow: Vec<_> =
            short.chunks(4).map(|b| i32::from_ne_bytes(b.try_into().unwrap()).into()).collect();
        assert_eq!(long, narrow);
        (long[0], long[1])
    };
    lab.now = at(105);
    assert_eq!(idle(&mut lab), (5, 5));
    lab.ppp.receive(channel, &[0, 0x21, 1], at(103));
    assert_eq!(idle(&mut lab), (5, 2));
    let key = lab.unit_key();
    lab.ppp.transmit(key, 0x57, &[1], at(104));
    assert_eq!(idle(&mut lab), (1, 2));
    // Control is no traffic, wherever it comes from.
    lab.ppp.receive(channel, &[0x80, 0x21, 1, 2], at(105));
    lab.ppp.write(unit, &[0x80, 0x21, 1, 2], at(105)).unwrap();
    assert_eq!(idle(&mut lab), (1, 2));
    lab.ppp.write(unit, &[0, 0x21, 1, 2], at(105)).unwrap();
    assert_eq!(idle(&mut lab), (0, 2));
}
