//! Traffic that goes on until it is dropped, and what of it has arrived.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often a thread that waits looks whether it is to end.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// What receivers count, and what tells all threads to end.
#[derive(Default)]
pub(super) struct Account {
    ended: AtomicBool,
    bytes: AtomicU64,
    packets: AtomicU64,
}

impl Account {
    /// Counts what has arrived.
    pub(super) fn add(&self, packets: usize, bytes: usize) {
        self.packets.fetch_add(u64::try_from(packets).unwrap_or_default(), Ordering::Relaxed);
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Whether the threads are to go on.
    pub(super) fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }
}

/// What had arrived at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// Senders and receivers.
#[derive(Default)]
pub(super) struct Load {
    account: Arc<Account>,
    threads: Vec<JoinHandle<()>>,
    /// Streams whose ends may wait for each other.
    streams: Vec<TcpStream>,
}

impl Load {
    /// Starts a thread that works until the account says otherwise.
    pub(super) fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce(&Account) + Send + 'static,
    ) -> std::io::Result<()> {
        let account = Arc::clone(&self.account);
        self.threads.push(Builder::new().name(name.into()).spawn(move || work(&account))?);
        Ok(())
    }

    /// Has a stream shut down at the end.
    pub(super) fn ends_with(&mut self, stream: &TcpStream) -> std::io::Result<()> {
        self.streams.push(stream.try_clone()?);
        Ok(())
    }

    pub(super) fn arrived(&self) -> Arrived {
        let Account { packets, bytes, .. } = &*self.account;
        Arrived { packets: packets.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.account.ended.store(true, Ordering::Relaxed);
        for stream in &self.streams {
            // It may be closed already.
            let _: std::io::Result<()> = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}
