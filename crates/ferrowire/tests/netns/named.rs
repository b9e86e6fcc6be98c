//! A network namespace with a name: `ip netns add`.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use l2tp_io::netns::NetNs;

use crate::host::Host;
use crate::require;

/// Deleted with this value, unless it was before.
pub(crate) struct Named(String);

impl Named {
    /// A new one with a name of its own, and `lo` up; says why, where that cannot be.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let named = Self(format!("fw-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let made = ip(&["netns", "add", named.name()]);
        if !made.status.success() {
            require::skip("permission for \"ip netns add\"");
            return None;
        }
        named.host().ip("link set lo up");
        Some(named)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// A handle, which keeps it alive.
    pub(crate) fn host(&self) -> Host {
        Host::from(NetNs::open_named(&self.0).unwrap())
    }

    /// `ip netns del`: what is inside lives on for as long as something uses it.
    pub(crate) fn delete(self) -> String {
        self.0.clone()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // Nothing more can be done about one that stays.
        ip(&["netns", "del", &self.0]);
    }
}

/// What `ip` says when it is called outside of all namespaces of the tests.
pub(crate) fn ip(words: &[&str]) -> Output {
    Command::new("ip").args(words).output().unwrap()
}
