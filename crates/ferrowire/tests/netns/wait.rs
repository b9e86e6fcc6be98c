//! Waiting for what comes in its own time.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `is_so`, and fails with `what` when it does not come about.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    if !within(PATIENCE, &mut is_so) {
        panic!("still not so after {PATIENCE:?}: {what}");
    }
}

/// Whether it comes about in time.
pub(crate) fn within(time: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + time;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A receive with a timeout, which a signal for any thread of this process may end (signal(7)): taken up again then.
pub(crate) fn undisturbed<T>(mut receive: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match receive() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
