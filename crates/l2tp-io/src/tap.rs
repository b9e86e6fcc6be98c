//! The network device of a pseudowire: a TAP, or for PPP a TUN, with super-frames (drivers/net/tun.c, include/uapi/linux/if_tun.h).

use crate::netns::NetNs;
use crate::offload::Link;
use crate::rtnl::Rtnl;
use crate::spread::Spread;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Bytes of the `virtio_net_hdr` before every frame read or written.
pub const VNET_HEADER_BYTES: usize = 10;

/// Room for the largest read: the vnet header, an Ethernet header with two VLAN tags, a packet of 64 KiB.
pub const READ_BYTES: usize = VNET_HEADER_BYTES + 22 + 65_536;

const DEVICE: &str = "/dev/net/tun";

/// A TAP device, or a TUN device of link type PPP. It lives as long as this value, wherever it is renamed or moved to.
pub struct Tap {
    queue: Queue,
    more: Vec<Queue>,
    name: String,
    index: u32,
    link: Link,
    udp_trains: bool,
}

/// One of the queues in which frames that a device sends wait to be read.
pub struct Queue {
    descriptor: OwnedFd,
}

impl Tap {
    /// Makes a TAP device in the namespace of the calling thread: down, with a random MAC address, one queue, taking
    /// and giving super-frames. In `name`, `%d` stands for the lowest free number.
    ///
    /// # Errors
    /// `EEXIST` when a device of that name exists, `EINVAL` for a name that is empty, too long or not allowed,
    /// `ENOENT` without /dev/net/tun (load the module `tun`, or `mknod /dev/net/tun c 10 200`), `EACCES` without
    /// permission to open it, `EPERM` without CAP_NET_ADMIN.
    pub fn create(name: &str) -> io::Result<Self> {
        Self::create_spread(name, None)
    }

    /// The same, what it sends divided among the queues of `spread`.
    ///
    /// # Errors
    /// As [`Self::create`]; `EBUSY` when it was renamed before it had all its queues.
    pub fn create_spread(name: &str, spread: Option<&Spread>) -> io::Result<Self> {
        Self::create_kind(name, Link::Ethernet, spread)
    }

    /// Makes a TUN device in the namespace of the calling thread that looks as the kernel's pppN does: down, point to point,
    /// MTU 1500, of link type PPP; what is read and written are IP packets. The rest is as [`Self::create_spread`] says.
    ///
    /// # Errors
    /// As [`Self::create_spread`].
    pub fn create_ppp(name: &str, spread: Option<&Spread>) -> io::Result<Self> {
        let tun = Self::create_kind(name, Link::Ip, spread)?;
        // SAFETY: TUNSETLINK takes the link type by value.
        let status = unsafe {
            libc::ioctl(tun.as_fd().as_raw_fd(), libc::TUNSETLINK, libc::c_ulong::from(libc::ARPHRD_PPP))
        };
        if status < 0 { Err(io::Error::last_os_error()) } else { Ok(tun) }
    }

    fn create_kind(name: &str, link: Link, spread: Option<&Spread>) -> io::Result<Self> {
        let kind = if link == Link::Ethernet { libc::IFF_TAP } else { libc::IFF_TUN };
        let many = if spread.is_some() { libc::IFF_MULTI_QUEUE } else { 0 };
        let flags = kind | libc::IFF_NO_PI | libc::IFF_VNET_HDR | many;
        let (queue, name) = Queue::open(name, flags | libc::IFF_TUN_EXCL)?;
        let udp_trains = offer_offloads(&queue.descriptor)?;
        let index = Rtnl::open()?.index_of(&name)?;
        let mut tap = Self { queue, more: Vec::new(), name, index, link, udp_trains };
        if let Some(spread) = spread {
            tap.divide(flags, spread)?;
        }
        Ok(tap)
    }

    /// Opens the other queues, and has the kernel choose among them as `spread` does.
    fn divide(&mut self, flags: libc::c_int, spread: &Spread) -> io::Result<()> {
        for _ in 1..spread.queues() {
            self.more.push(Queue::open(&self.name, flags)?.0);
        }
        // A queue is added by name: it may be that of another device by now, made for the occasion.
        if self.current_name()? != self.name {
            return Err(Errno::BUSY.into());
        }
        // The frames wait here; before, there would be 256 queues for them. On a kernel that cannot do without, there are.
        let _: io::Result<()> = Rtnl::open()?.set_noqueue(self.index);
        let program = spread.program(self.link).as_raw_fd();
        // SAFETY: TUNSETSTEERINGEBPF reads one int, the program's descriptor.
        let status =
            unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::TUNSETSTEERINGEBPF, &raw const program) };
        if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Its queues: one, or those of its [`Spread`].
    pub fn queues(&self) -> impl Iterator<Item = &Queue> {
        std::iter::once(&self.queue).chain(&self.more)
    }

    /// One of its queues, from 0 on.
    #[must_use]
    pub fn queue(&self, index: usize) -> Option<&Queue> {
        self.queues().nth(index)
    }

    /// Whether several may read from it at the same time.
    #[must_use]
    pub fn is_spread(&self) -> bool {
        !self.more.is_empty()
    }

    /// The device's name at creation, `%d` filled in.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its frames begin with.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link
    }

    /// Whether trains of UDP datagrams may be read and written as one frame: Linux 6.2.
    #[must_use]
    pub fn has_udp_trains(&self) -> bool {
        self.udp_trains
    }

    /// The device's name now.
    ///
    /// # Errors
    /// `EBADFD` when the device was deleted.
    pub fn current_name(&self) -> io::Result<String> {
        let mut request = interface_request("?")?;
        ioctl(&self.queue.descriptor, libc::TUNGETIFF, &mut request)?;
        Ok(request_name(&request))
    }

    /// The device's index at creation. It stays through a rename; a move to another namespace may change it.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The namespace that the device is in now.
    ///
    /// # Errors
    /// `EBADFD` when the device was deleted, `EPERM` without CAP_NET_ADMIN in the namespace that it was moved to.
    pub fn netns(&self) -> io::Result<NetNs> {
        // SAFETY: TUNGETDEVNETNS takes no argument and returns a new descriptor, or -1.
        let fd = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::TUNGETDEVNETNS) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the ioctl has just returned this descriptor, and nothing else owns it.
        Ok(NetNs::from(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sets the device's MTU, wherever it is and whatever it is called by now.
    ///
    /// # Errors
    /// `EINVAL` outside of 68 to 65,521, the limits of a TAP; `EBADFD` when the device was deleted.
    pub fn set_mtu(&self, mtu: u32) -> io::Result<()> {
        let name = self.current_name()?;
        self.netns()?.within(|| {
            let mut rtnl = Rtnl::open()?;
            let index = rtnl.index_of(&name)?;
            rtnl.set_mtu(index, mtu)
        })?
    }

    /// Reads one frame from the first queue; see [`Queue::read`].
    ///
    /// # Errors
    /// As [`Queue::read`].
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.queue.read(buffer)
    }

    /// Gives one frame to the stack as received by the device: the vnet header and the frame, in pieces.
    ///
    /// # Errors
    /// `EIO` while the device is down, `EINVAL` for a header that does not fit the frame, `EBADFD` when it was deleted.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::writev(&self.queue.descriptor, parts)?)
    }
}

impl Queue {
    /// Makes the device of that name, or adds a queue to it; returns its name, too.
    fn open(name: &str, flags: libc::c_int) -> io::Result<(Self, String)> {
        let mut request = interface_request(name)?;
        request.ifr_ifru.ifru_flags = u16::try_from(flags).unwrap_or_default().cast_signed();
        let descriptor = open(DEVICE, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
        // The tun driver says EBUSY for a name in use, where the kernel's L2TP says EEXIST.
        ioctl(&descriptor, libc::TUNSETIFF, &mut request).map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY) => Errno::EXIST.into(),
            _ => error,
        })?;
        Ok((Self { descriptor }, request_name(&request)))
    }

    /// Reads one frame, the vnet header first, and returns the bytes read; [`READ_BYTES`] hold any. What has no room
    /// is lost.
    ///
    /// # Errors
    /// `WouldBlock` when no frame waits; `EIO` while the device is down; `EBADFD` when it was deleted.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.descriptor, buffer)?)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The first queue.
impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// Says which unfinished frames may be handed to us: checksums left open, TCP and UDP super-frames. Returns whether the
/// kernel knows the latter.
fn offer_offloads(tap: &OwnedFd) -> io::Result<bool> {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
    if set_offload(tap, tcp | udp).is_ok() {
        return Ok(true);
    }
    set_offload(tap, tcp).map(|()| false)
}

fn set_offload(tap: &OwnedFd, offloads: libc::c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its flags by value.
    let status = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offloads)) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn ioctl(tap: &OwnedFd, operation: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: TUNSETIFF and TUNGETIFF, the callers' operations, read and write one ifreq.
    let status = unsafe { libc::ioctl(tap.as_raw_fd(), operation, std::ptr::from_mut(request)) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: zeroes are valid for a structure of bytes and integers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        return Err(Errno::INVAL.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(request)
}

fn request_name(request: &libc::ifreq) -> String {
    let name: Vec<u8> =
        request.ifr_name.iter().flat_map(|byte| byte.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&name).into_owned()
}

#[cfg(test)]
mod tests;
