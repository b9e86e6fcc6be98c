//! A service on a thread of its own, in its namespace.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use l2tp_io::netns::NetNs;
use l2tp_io::poller::Waker;

use super::exchange::{Exchange, Mailbox};
use super::service::{Service, Settings};

/// A service that answers requests.
pub(super) struct Running {
    mailbox: Arc<Mailbox>,
    exchange: Arc<Exchange>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Starts a service in a namespace, and waits until its door is open. It rings the bell if it ends without being told.
    pub(super) fn start(
        netns: NetNs,
        settings: Settings,
        exchange: &Arc<Exchange>,
        bell: Arc<Waker>,
    ) -> anyhow::Result<Self> {
        let mailbox = exchange.add().context("cannot make an eventfd")?;
        let (opened, outcome) = sync_channel(1);
        let (exchange, letters) = (Arc::clone(exchange), Arc::clone(&mailbox));
        let open = {
            let exchange = Arc::clone(&exchange);
            move || {
                netns.enter().context("cannot enter the network namespace")?;
                Service::open(&settings, exchange, letters)
            }
        };
        let thread = std::thread::Builder::new().name("l2tp-service".into());
        let thread = thread.spawn(move || serve(open, &opened, Bell { waker: bell, silent: false }))?;
        let running = Self { mailbox, exchange, thread };
        match outcome.recv() {
            Ok(()) => Ok(running),
            Err(_) => Err(running.join().err().unwrap_or_else(|| anyhow!("a service ended at once"))),
        }
    }

    /// Tells it to end, without waiting for it.
    pub(super) fn end(&self) {
        self.exchange.remove(&self.mailbox);
        self.mailbox.end();
    }

    /// Waits until it has ended, and everything that it had is let go.
    pub(super) fn join(self) -> anyhow::Result<()> {
        self.exchange.remove(&self.mailbox);
        self.thread.join().unwrap_or_else(|_| Err(anyhow!("a service broke off")))
    }
}

/// The thread: `opened` hears when requests are answered, and is closed without a word if they never are.
fn serve(
    open: impl FnOnce() -> anyhow::Result<Service>,
    opened: &SyncSender<()>,
    mut bell: Bell,
) -> anyhow::Result<()> {
    bell.silent = true;
    let mut service = open()?;
    bell.silent = false;
    // The one who started it waits for this.
    let _: Result<(), _> = opened.send(());
    let result = service.run();
    service.close();
    bell.silent = result.is_ok();
    result
}

/// Rings when a thread ends that should not have ended, by a panic too.
struct Bell {
    waker: Arc<Waker>,
    silent: bool,
}

impl Drop for Bell {
    fn drop(&mut self) {
        if !self.silent {
            // Waking fails only without a counter to set, which the waker has.
            let _: io::Result<()> = self.waker.wake();
        }
    }
}
