//! Where the demo plays and the bench measures: two network namespaces with a veth between them.
//!
//! A [`host`] is one of them; [`ping`] tells whether a link is up, and how long a round trip takes.

pub(crate) mod host;
mod icmp;
pub(crate) mod interruption;
pub(crate) mod ping;
pub(crate) mod progress;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, anyhow};
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;
use l2tp_io::tap::Tap;

use crate::doctor;
use crate::l2tp::os_error_text;
use host::{Daemon, Host};

/// MTU of the veth: an ordinary Ethernet.
pub(crate) const MTU: u32 = 1500;
/// The veth's name on both hosts.
pub(crate) const DEVICE: &str = "wire";

/// Two hosts and a wire. Nothing of it has a name outside of this process, so it goes when the process goes.
pub(crate) struct Stage {
    pub(crate) near: Host,
    pub(crate) far: Host,
    /// Made by a user without privileges, in a user namespace.
    pub(crate) rootless: bool,
}

impl Stage {
    /// Makes the hosts. The calling thread is left in one of them; a process without privileges enters a user
    /// namespace, which it can do only while it has one thread.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let (near, rootless) = first_namespace()?;
        probe_tap()?;
        let far = NetNs::unshare().context("cannot make a second network namespace")?;
        let stage =
            Self { near: Host { name: "A", netns: near }, far: Host { name: "B", netns: far }, rootless };
        stage.wire()?;
        Ok(stage)
    }

    /// Starts the two daemons with these options. They end with the calling thread, whatever ends it.
    pub(crate) fn start_daemons(&self, options: &[&str]) -> anyhow::Result<[Daemon; 2]> {
        let mut daemons = [self.near.start_daemon(options)?, self.far.start_daemon(options)?];
        daemons.iter_mut().try_for_each(Daemon::await_ready)?;
        Ok(daemons)
    }

    fn wire(&self) -> anyhow::Result<()> {
        let veth = || Rtnl::open()?.create_veth(DEVICE, DEVICE, Some(&self.far.netns));
        self.near.netns.within(veth)?.context("cannot make a veth: modprobe veth")?;
        for (host, number) in [(&self.near, 1), (&self.far, 2)] {
            let addresses = [(underlay(false, number), 24), (underlay(true, number), 64)];
            host.configure(DEVICE, &addresses)?;
        }
        Ok(())
    }
}

/// Address of a host on the wire: 192.0.2.H or 2001:db8::H.
pub(crate) fn underlay(v6: bool, host: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()).into()
    } else {
        Ipv4Addr::new(192, 0, 2, host).into()
    }
}

/// The calling process's new namespace, and whether it took a user namespace to have it.
fn first_namespace() -> anyhow::Result<(NetNs, bool)> {
    match NetNs::unshare() {
        Ok(netns) => Ok((netns, false)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let netns = NetNs::unshare_user().map_err(|error| {
                let (error, remedy) = (os_error_text(&error), doctor::user_namespace_remedy());
                anyhow!("cannot make a user and network namespace: {error}; to mend it: {remedy}")
            })?;
            Ok((netns, true))
        }
        Err(error) => Err(error).context("cannot make a network namespace"),
    }
}

/// Every session needs a TAP: better found out at once.
fn probe_tap() -> anyhow::Result<()> {
    let advice = |error: io::Error| {
        let (error, remedy) = (os_error_text(&error), doctor::tap_remedy(&error));
        anyhow!("cannot make a TAP device: {error}; to mend it: {remedy}")
    };
    Tap::create("probe").map(drop).map_err(advice)
}
