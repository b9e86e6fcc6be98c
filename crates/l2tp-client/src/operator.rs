//! What Ferrowire's daemon tells beyond the kernel's API (family "ferrowire").

use l2tp_abi::genl::ferrowire::path::{PathReport, PathRequest};
use l2tp_abi::genl::ferrowire::{FERROWIRE_GENL_NAME, Request, parse_counter, parse_text};
use l2tp_abi::nl::Message;

use crate::answers::Answers;
use crate::connection::{Connection, find_family};
use crate::conversation::Transport;
use crate::error::Error;

impl<T: Transport> Connection<T> {
    /// Every counter of the network namespace, by name.
    ///
    /// # Errors
    /// `ENOENT`: it is a kernel that answers; it has none.
    pub fn counters(&mut self) -> Result<Vec<(String, u64)>, Error> {
        self.ask_ferrowire(Request::Stats, parse_counter)?.collect()
    }

    /// The text of debugfs `l2tp/tunnels`.
    ///
    /// # Errors
    /// `ENOENT`: it is a kernel that answers; it has the file.
    pub fn debug_tunnels(&mut self) -> Result<String, Error> {
        self.ask_ferrowire(Request::DebugTunnels, parse_text)?.collect()
    }

    /// The text of `/proc/net/pppol2tp`.
    ///
    /// # Errors
    /// `ENOENT`: it is a kernel that answers; it has the file.
    pub fn debug_pppol2tp(&mut self) -> Result<String, Error> {
        self.ask_ferrowire(Request::DebugPppol2tp, parse_text)?.collect()
    }

    /// What carries each session, and why, in the order of [`Self::sessions`].
    ///
    /// # Errors
    /// `ENOENT`: it is a kernel that answers; it has but one path.
    pub fn paths(&mut self) -> Result<Vec<PathReport>, Error> {
        self.ask_ferrowire(Request::Paths, PathReport::parse)?.collect()
    }

    /// Says what is to carry a session, or all and those to come. Whether it does, and if not why, [`Self::paths`] tells.
    ///
    /// # Errors
    /// `ENODEV`: there is no such session; `EOPNOTSUPP`: BPF is asked for, and the daemon runs without it; `EPERM`; `ENOENT` as
    /// in [`Self::paths`].
    pub fn set_path(&mut self, request: PathRequest) -> Result<(), Error> {
        let family = find_family(&mut self.conversation, FERROWIRE_GENL_NAME)?.id;
        self.conversation.ask(|seq| request.emit(family, seq), None)?;
        Answers::new(&mut self.conversation, |_| Some(())).finish()
    }

    pub(crate) fn ask_ferrowire<M>(
        &mut self,
        request: Request,
        read: fn(&Message<'_>) -> Option<M>,
    ) -> Result<Answers<'_, T, M>, Error> {
        let family = find_family(&mut self.conversation, FERROWIRE_GENL_NAME)?.id;
        self.conversation.ask(|seq| request.emit(family, seq), None)?;
        Ok(Answers::new(&mut self.conversation, read))
    }
}
