//! What a file of `/dev/ppp` is asked, in each of its states (`ppp_ioctl`).

use super::unit::Unit;
use super::{ChannelKey, Devices, File, FileKey, Ppp, UnitKey};
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::{
    PPPIOCATTACH, PPPIOCATTCHAN, PPPIOCBRIDGECHAN, PPPIOCCONNECT, PPPIOCDETACH, PPPIOCDISCONN, PPPIOCGDEBUG,
    PPPIOCGFLAGS, PPPIOCGIDLE, PPPIOCGIDLE32, PPPIOCGNPMODE, PPPIOCGUNIT, PPPIOCNEWUNIT, PPPIOCSACTIVE,
    PPPIOCSCOMPRESS, PPPIOCSDEBUG, PPPIOCSFLAGS, PPPIOCSMAXCID, PPPIOCSMRU, PPPIOCSNPMODE, PPPIOCSPASS,
    PPPIOCUNBRIDGECHAN,
};
use l2tp_abi::ppp::{NpMode, NpModeRequest, SC_FLAG_BITS};
use l2tp_core::Instant;

/// Bytes of the longest option of CCP (`CCP_MAX_OPTION_LENGTH`).
const CCP_OPTION_MAX: u32 = 32;
/// Bytes of `struct sock_fprog` and of `struct ppp_option_data`, and where the latter has its length.
const POINTER_STRUCT: usize = 16;
const OPTION_LENGTH_AT: usize = 8;

impl Ppp {
    /// Carries out request `cmd`, whose argument points at the bytes `argument`: what is to be written there.
    ///
    /// # Errors
    /// `ENOTTY` for what a file in its state does not know, `EFAULT` for an argument that is too short, and those of the request.
    pub fn ioctl(
        &mut self,
        devices: &mut impl Devices,
        file: FileKey,
        cmd: u32,
        argument: &[u8],
        now: Instant,
    ) -> Result<Vec<u8>, Errno> {
        match self.file(file)? {
            File::Fresh => self.ioctl_fresh(devices, file, cmd, argument, now),
            File::Channel(_) | File::Unit(_) if cmd == PPPIOCDETACH => Err(Errno::EINVAL),
            File::Channel(channel) => self.ioctl_channel(channel, cmd, argument).map(|()| Vec::new()),
            File::Unit(unit) => self.ioctl_unit(unit, cmd, argument, now),
        }
    }

    fn ioctl_fresh(
        &mut self,
        devices: &mut impl Devices,
        file: FileKey,
        cmd: u32,
        argument: &[u8],
        now: Instant,
    ) -> Result<Vec<u8>, Errno> {
        let named = || u32::try_from(int(argument)?).map_err(|_| Errno::ENXIO);
        match cmd {
            PPPIOCNEWUNIT => {
                // Every negative number means any.
                let wanted = u32::try_from(int(argument)?).ok();
                let number = self.new_unit(devices, file, wanted, now)?;
                return Ok(number.to_ne_bytes().to_vec());
            }
            PPPIOCATTACH => self.attach_unit(file, named()?)?,
            PPPIOCATTCHAN => self.attach_channel(file, named()?)?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(Vec::new())
    }

    fn ioctl_channel(&mut self, channel: ChannelKey, cmd: u32, argument: &[u8]) -> Result<(), Errno> {
        let named = || u32::try_from(int(argument)?).map_err(|_| Errno::ENXIO);
        match cmd {
            PPPIOCCONNECT => self.connect(channel, named()?),
            PPPIOCDISCONN => self.disconnect(channel),
            PPPIOCBRIDGECHAN => self.bridge(channel, named()?),
            PPPIOCUNBRIDGECHAN => self.unbridge(channel),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn ioctl_unit(
        &mut self,
        key: UnitKey,
        cmd: u32,
        argument: &[u8],
        now: Instant,
    ) -> Result<Vec<u8>, Errno> {
        if matches!(cmd, PPPIOCSFLAGS | PPPIOCSNPMODE) {
            self.note_unit(key);
        }
        let unit = self.units.get_mut(key.0).ok_or(Errno::ENXIO)?;
        let answer = |value: i32| Ok(value.to_ne_bytes().to_vec());
        match cmd {
            PPPIOCSMRU => unit.mru = int(argument)?,
            PPPIOCSFLAGS => unit.flags = int(argument)?.cast_unsigned() & SC_FLAG_BITS,
            PPPIOCGFLAGS => return answer(unit.flags.cast_signed()),
            PPPIOCGUNIT => return answer(unit.number.cast_signed()),
            PPPIOCSDEBUG => unit.debug = int(argument)?,
            PPPIOCGDEBUG => return answer(unit.debug),
            PPPIOCGIDLE => return Ok(unit.idle(now).emit()),
            PPPIOCGIDLE32 => return Ok(unit.idle(now).emit_32()),
            PPPIOCSNPMODE => unit.change_np_mode(argument)?,
            PPPIOCGNPMODE => return unit.show_np_mode(argument),
            PPPIOCSPASS | PPPIOCSACTIVE => check_filter(argument)?,
            PPPIOCSCOMPRESS => return Err(refuse_compression(argument)),
            PPPIOCSMAXCID => return int(argument).and(Err(Errno::EINVAL)),
            _ => return Err(Errno::ENOTTY),
        }
        Ok(Vec::new())
    }
}

impl Unit {
    fn change_np_mode(&mut self, argument: &[u8]) -> Result<(), Errno> {
        let NpModeRequest { protocol, mode } = NpModeRequest::parse(argument).ok_or(Errno::EFAULT)?;
        let protocol = u16::try_from(protocol).map_err(|_| Errno::EINVAL)?;
        self.set_np_mode(protocol, mode).ok_or(Errno::EINVAL)
    }

    fn show_np_mode(&self, argument: &[u8]) -> Result<Vec<u8>, Errno> {
        let NpModeRequest { protocol, .. } = NpModeRequest::parse(argument).ok_or(Errno::EFAULT)?;
        let mode = u16::try_from(protocol).ok().and_then(|protocol| self.np_mode(protocol));
        let mode: NpMode = mode.ok_or(Errno::EINVAL)?;
        Ok(NpModeRequest { protocol, mode }.emit())
    }
}

/// Filters are taken, and every frame passes.
fn check_filter(argument: &[u8]) -> Result<(), Errno> {
    if argument.len() < POINTER_STRUCT { Err(Errno::EFAULT) } else { Ok(()) }
}

/// There is no compressor.
fn refuse_compression(argument: &[u8]) -> Errno {
    let length = argument.get(OPTION_LENGTH_AT..POINTER_STRUCT).and_then(|rest| rest.first_chunk());
    match length.map(|bytes| u32::from_ne_bytes(*bytes)) {
        Some(0..=CCP_OPTION_MAX) => Errno::EINVAL,
        _ => Errno::EFAULT,
    }
}

fn int(argument: &[u8]) -> Result<i32, Errno> {
    argument.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)).ok_or(Errno::EFAULT)
}
