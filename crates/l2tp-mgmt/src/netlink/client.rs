//! One netlink socket of a program, as the server sees it.

use super::ctrl::Family;
use super::dump::{self, Dump};
use alloc::collections::BTreeSet;
use l2tp_abi::Errno;
use l2tp_abi::nl::{
    AckOptions, NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_DROP_MEMBERSHIP, NETLINK_EXT_ACK,
    NETLINK_GET_STRICT_CHK,
};
use l2tp_core::host::Caller;

/// Bytes that the kernel puts into one datagram of a dump at least (`NLMSG_GOODSIZE` of a machine with 4 KiB pages); every
/// program that reads dumps has room for it.
pub const DUMP_PAGE: usize = 3776;

/// A program's netlink socket.
#[derive(Debug)]
pub struct Client {
    pub(super) port: u32,
    /// The port at first, whomever it asks for just now.
    connection: u32,
    user: u32,
    pub(super) privileged: bool,
    /// What [`Self::act`] cannot go beyond.
    owner_privileged: bool,
    pub(super) options: AckOptions,
    pub(super) page: usize,
    pub(super) dump: Option<Dump>,
    groups: BTreeSet<u32>,
}

impl Client {
    /// A socket bound to port id `port`, whose owner is `privileged`: has `CAP_NET_ADMIN` in the user namespace that owns
    /// the network namespace.
    #[must_use]
    pub const fn new(port: u32, privileged: bool) -> Self {
        Self {
            port,
            connection: port,
            user: 0,
            privileged,
            owner_privileged: privileged,
            options: AckOptions { cap_ack: false, ext_ack: false },
            page: DUMP_PAGE,
            dump: None,
            groups: BTreeSet::new(),
        }
    }

    /// The same, of the user `user`: what one user without privilege can have is bounded.
    #[must_use]
    pub fn of_user(self, user: u32) -> Self {
        Self { user, ..self }
    }

    /// Who asks, for calls on sockets.
    pub(super) const fn caller(&self) -> Caller {
        Caller { connection: self.connection, user: self.user, privileged: self.privileged, port: self.port }
    }

    /// `nl_pid` of the socket.
    #[must_use]
    pub const fn port(&self) -> u32 {
        self.port
    }

    /// `setsockopt` at level `SOL_NETLINK` with an integer: joins and leaves groups, chooses the form of errors.
    ///
    /// # Errors
    /// `EINVAL` for a group that does not exist, `ENOPROTOOPT` for an option that is not known.
    pub fn set_option(&mut self, option: i32, value: u32) -> Result<(), Errno> {
        match option {
            NETLINK_ADD_MEMBERSHIP => return self.join(value),
            NETLINK_DROP_MEMBERSHIP => return self.leave(value),
            NETLINK_CAP_ACK => self.options.cap_ack = value != 0,
            NETLINK_EXT_ACK => self.options.ext_ack = value != 0,
            NETLINK_GET_STRICT_CHK => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// Whether the program that connected has privilege, whomever it asks for just now.
    pub(super) const fn may_act(&self) -> bool {
        self.owner_privileged
    }

    /// Asks for another program from here on: by its port id, its privilege (not more than our own) and its options.
    pub(super) fn act(&mut self, port: Option<u32>, privileged: Option<bool>, options: Option<AckOptions>) {
        self.port = port.unwrap_or(self.port);
        self.privileged = privileged.map_or(self.privileged, |wanted| wanted && self.owner_privileged);
        self.options = options.unwrap_or(self.options);
    }

    /// Whether the socket hears what is sent to `group`.
    #[must_use]
    pub fn hears(&self, group: u32) -> bool {
        self.groups.contains(&group)
    }

    /// Sets how many bytes a datagram of a dump may have, from what the program has room for; the kernel takes the
    /// largest buffer that the program ever gave to `recv`. The value is held between [`DUMP_PAGE`] and 32 KiB.
    pub fn set_page(&mut self, bytes: usize) {
        self.page = bytes.clamp(DUMP_PAGE, dump::PAGE_MAX);
    }

    /// Whether a dump is under way: [`super::Server::continue_dump`] has something to send.
    #[must_use]
    pub const fn is_dumping(&self) -> bool {
        self.dump.is_some()
    }

    fn join(&mut self, group: u32) -> Result<(), Errno> {
        check_group(group)?;
        self.groups.insert(group);
        Ok(())
    }

    fn leave(&mut self, group: u32) -> Result<(), Errno> {
        check_group(group)?;
        self.groups.remove(&group);
        Ok(())
    }
}

fn check_group(group: u32) -> Result<(), Errno> {
    if Family::ALL.iter().any(|family| family.group().1 == group) { Ok(()) } else { Err(Errno::EINVAL) }
}

#[cfg(test)]
mod tests {
    use super::super::{DEATHS_GROUP_ID, L2TP_GROUP_ID};
    use super::*;

    #[test]
    fn options_and_groups() {
        let mut client = Client::new(1, true);
        assert!(!client.hears(L2TP_GROUP_ID));
        assert_eq!(client.set_option(NETLINK_ADD_MEMBERSHIP, L2TP_GROUP_ID), Ok(()));
        assert!(client.hears(L2TP_GROUP_ID));
        assert_eq!(client.set_option(NETLINK_DROP_MEMBERSHIP, L2TP_GROUP_ID), Ok(()));
        assert!(!client.hears(L2TP_GROUP_ID));
        assert_eq!(client.set_option(NETLINK_ADD_MEMBERSHIP, DEATHS_GROUP_ID), Ok(()));
        assert!(client.hears(DEATHS_GROUP_ID) && !client.hears(L2TP_GROUP_ID));
        assert_eq!(client.set_option(NETLINK_ADD_MEMBERSHIP, 0), Err(Errno::EINVAL));
        assert_eq!(client.set_option(99, 1), Err(Errno::ENOPROTOOPT));
        client.set_option(NETLINK_EXT_ACK, 1).unwrap();
        assert_eq!(client.options, AckOptions { cap_ack: false, ext_ack: true });
    }

    #[test]
    fn pages_are_bounded() {
        let mut client = Client::new(1, true);
        client.set_page(1);
        assert_eq!(client.page, DUMP_PAGE);
        client.set_page(usize::MAX);
        assert_eq!(client.page, dump::PAGE_MAX);
    }
}
