//! The path below the workers, which is there once there is a session: loading its programs takes some 100 ms, most of it the loader's
//! look at what the kernel says of its own types.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_io::poller::{Interest, Poller};

use crate::bpf::BpfPath;

/// What carries sessions below the workers, or why nothing does.
pub(crate) struct Below {
    state: State,
    /// What [`BpfPath::events`] tells, from when it is there.
    events: Poller,
}

enum State {
    /// To be loaded, for sessions of which nothing else was said to be carried by this.
    Due(Path),
    Loaded(Box<BpfPath>),
    Missing(String),
}

impl Below {
    /// What a daemon has that was started with `--path`.
    ///
    /// # Errors
    /// There is no loading what has to carry sessions, and why.
    pub(crate) fn new(path: Path) -> io::Result<Self> {
        let state = match path {
            Path::User => State::Missing("the daemon was started with --path user".to_owned()),
            Path::Auto | Path::Bpf => State::Due(path),
        };
        let mut below = Self { state, events: Poller::new()? };
        if path == Path::Bpf && below.load().is_none() {
            return Err(io::Error::other(below.missing().to_owned()));
        }
        Ok(below)
    }

    /// What is there so far.
    pub(crate) fn get(&mut self) -> Option<&mut BpfPath> {
        if let State::Loaded(bpf) = &mut self.state { Some(bpf) } else { None }
    }

    /// The same, loaded now if it was not before.
    pub(crate) fn load(&mut self) -> Option<&mut BpfPath> {
        if let State::Due(path) = self.state {
            let loaded = BpfPath::load(path).and_then(|bpf| {
                let added = self.events.add(bpf.events(), 0, Interest::Read);
                added.map(|()| bpf).map_err(|error| format!("cannot hear of changes on the network: {error}"))
            });
            self.state = loaded.map_or_else(State::Missing, |bpf| State::Loaded(Box::new(bpf)));
        }
        self.get()
    }

    /// The same without a change: what is there, or why nothing is.
    pub(crate) fn found(&self) -> Result<&BpfPath, &str> {
        match &self.state {
            State::Loaded(bpf) => Ok(bpf),
            State::Due(_) | State::Missing(_) => Err(self.missing()),
        }
    }

    /// Why there is none.
    fn missing(&self) -> &str {
        if let State::Missing(why) = &self.state { why } else { "" }
    }

    /// Becomes readable when the network has changed.
    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
