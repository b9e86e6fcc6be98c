//! Frames sent as they are (packet(7)).

use std::os::fd::{AsRawFd, OwnedFd};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, bind, send, socket};

use crate::host::Host;

/// A socket of a device that sends whole Ethernet frames.
pub(crate) struct PacketSocket {
    descriptor: OwnedFd,
}

impl PacketSocket {
    pub(crate) fn open(host: &Host, device: &str) -> Self {
        host.here(|| {
            let descriptor =
                socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
            bind(descriptor.as_raw_fd(), &link_address(device)).unwrap();
            Self { descriptor }
        })
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let sent = send(self.descriptor.as_raw_fd(), frame, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()), "{} bytes", frame.len());
    }
}

fn link_address(device: &str) -> LinkAddr {
    let mut addresses = getifaddrs().unwrap().filter(|entry| entry.interface_name == device);
    addresses.find_map(|entry| entry.address?.as_link_addr().copied()).unwrap()
}
