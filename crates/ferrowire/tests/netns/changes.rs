//! Changes of path in the middle of any test: with `FERROWIRE_TEST_PATH=changing`, every host has all its sessions on BPF and on the workers by turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use l2tp_client::{Connection, Path, PathRequest};

/// How long a path is left as it is.
const PERIOD: Duration = Duration::from_millis(10);

/// Whether paths are to change.
pub(crate) fn are_wanted() -> bool {
    std::env::var_os("FERROWIRE_TEST_PATH").is_some_and(|path| path == "changing")
}

/// Ends with this value, or with the daemon.
pub(crate) struct Changes {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Changes {
    /// Starts them for the daemon of the calling thread's namespace, if that was asked for.
    pub(crate) fn start() -> Option<Self> {
        if !are_wanted() {
            return None;
        }
        let mut connection = Connection::door().unwrap();
        // The first has the programs loaded: what the daemon has open does not grow in the middle of a test. There may be none.
        let _ = connection.set_path(PathRequest { session: None, path: Path::Bpf });
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            for path in [Path::User, Path::Bpf].into_iter().cycle() {
                let changed = connection.set_path(PathRequest { session: None, path });
                if changed.is_err() || is_over.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(PERIOD);
            }
        });
        Some(Self { over, thread: Some(thread) })
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
