//! Threads that work until they are dropped.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often a thread that waits looks whether it is to end.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Tells a thread whether to go on.
#[derive(Clone, Default)]
pub(super) struct Going(Arc<AtomicBool>);

impl Going {
    /// Whether to go on.
    pub(super) fn on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// Some threads, ended when this value is dropped.
#[derive(Default)]
pub(super) struct Threads {
    going: Going,
    threads: Vec<JoinHandle<()>>,
    /// What a thread may wait for at the end.
    streams: Vec<TcpStream>,
}

impl Threads {
    /// Starts a thread that is told when to end.
    pub(super) fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce(&Going) + Send + 'static,
    ) -> std::io::Result<()> {
        let going = self.going.clone();
        self.threads.push(Builder::new().name(name.into()).spawn(move || work(&going))?);
        Ok(())
    }

    /// Has a stream shut down at the end.
    pub(super) fn end_with(&mut self, stream: &TcpStream) -> std::io::Result<()> {
        self.streams.push(stream.try_clone()?);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.going.0.store(true, Ordering::Relaxed);
        for stream in &self.streams {
            // It may be closed already.
            let _: std::io::Result<()> = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}
