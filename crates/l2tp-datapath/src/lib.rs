//! Workers that carry frames between tunnel sockets and network devices: the glue of `l2tp-core` (what a packet is) and
//! `l2tp-io` (where it comes from and goes to).
//!
//! | room | what |
//! |---|---|
//! | [`Datapath`] | starts and stops the workers of a namespace |
//! | [`host`] | [`SystemHost`]: the sockets and devices that the engine asks for |
//! | [`socket`], [`device`] | a tunnel's socket; a session's TAP, or a PPP unit's TUN |
//! | `worker` | the loop of a thread: wait, then `ingress` or `egress` |
//! | `ingress` | datagrams in, frames to devices |
//! | `egress` | frames in, datagrams to sockets |
//! | `below`, `bpf` | the path below the workers: what BPF programs carry |
//! | `l2tpip` | L2TPIP sockets: calls, and control messages both ways |
//! | `managed` | tunnels on sockets of programs |
//! | `ppp` | PPP sessions: programs' sockets, `/dev/ppp`, units' devices |
//! | `names` | numbers for generated device names |
//! | `reaper` | removes devices, which takes the kernel milliseconds each |
//!
//! One lock a namespace guards the engine. A worker holds it while it reads headers, never across a system call of the
//! data path and never while it copies a payload.

#![forbid(unsafe_code)]

mod below;
mod bpf;
pub mod device;
mod egress;
mod held;
pub mod host;
mod ingress;
mod l2tpip;
mod loss;
mod managed;
mod names;
mod ppp;
mod reaper;
mod shared;
pub mod socket;
mod worker;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use bpf::why_no_bpf;
pub use device::Device;
pub use host::SystemHost;
pub use shared::NetEngine;
pub use socket::TunnelSocket;

pub use held::Held;
pub use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_core::SessionKey;
use l2tp_io::poller::Waker;
use l2tp_io::spread::Spread;
use shared::Shared;
use worker::Worker;

/// The running data path of the network namespace in which it was started.
pub struct Datapath {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Datapath {
    /// Starts `workers` threads (at least one) in the namespace of the calling thread.
    ///
    /// # Errors
    /// Those of making an epoll set, an eventfd or a thread.
    pub fn start(workers: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(workers.max(1))?);
        let mut datapath = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        for index in 0..shared.stations.len() {
            let worker = Worker::new(Arc::clone(&shared), index);
            let thread = std::thread::Builder::new().name(format!("l2tp-{index}"));
            datapath.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(datapath)
    }

    /// The engine, locked: the workers stand still while it is held.
    pub fn engine(&self) -> Held<'_> {
        self.shared.engine_after_packets()
    }

    /// The longest time for which [`Self::engine`] was held.
    #[must_use]
    pub fn longest_hold(&self) -> Duration {
        self.shared.longest.read()
    }

    /// A host whose sockets and devices these workers serve, and what BPF programs carry below them: by `path`, sessions of which
    /// nothing else is said. With [`Path::User`] there are none of these programs. With `spread` each device has its queues, which
    /// are given to as many workers, or to all of them in turn.
    ///
    /// # Errors
    /// Those of starting the thread that removes devices; with [`Path::Bpf`], why there is no such path.
    pub fn host(&self, path: Path, spread: Option<Spread>) -> io::Result<SystemHost> {
        SystemHost::new(Arc::clone(&self.shared), path, spread)
    }

    /// Becomes readable when [`Self::take_lost_devices`] has something to tell.
    #[must_use]
    pub fn alarm(&self) -> &Waker {
        &self.shared.alarm
    }

    /// The sessions whose device somebody else deleted (`ip link del`, or the namespace that it was moved to is gone),
    /// which the kernel's own devices do not allow. Each is told once; the engine still has them.
    #[must_use]
    pub fn take_lost_devices(&self) -> Vec<SessionKey> {
        self.shared.take_lost()
    }

    /// What was lost at the edges, where the engine does not see it.
    #[must_use]
    pub fn losses(&self) -> Vec<(&'static str, u64)> {
        self.shared.losses.read()
    }
}

impl Drop for Datapath {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so already.
            let _: Result<(), _> = thread.join();
        }
    }
}
