//! Attaches the program that a macvlan gets, on a thread of its own: the kernel takes some 20 ms for each.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use l2tp_ebpf::Above;

/// The thread, and the devices on their way to it.
pub(super) struct Attacher {
    devices: Option<Sender<u32>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Attacher {
    /// Starts the thread, in the namespace of the calling thread.
    pub(super) fn start(program: Above) -> io::Result<Self> {
        let (devices, queue) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopping);
        let thread = std::thread::Builder::new().name("l2tp-above".into());
        let thread = thread.spawn(move || attach(&program, &queue, &told))?;
        Ok(Self { devices: Some(devices), stopping, thread: Some(thread) })
    }

    /// Has the program attached soon.
    pub(super) fn take(&self, device: u32) {
        if let Some(devices) = &self.devices {
            // Only a thread that panicked does not listen, and it has said so.
            let _: Result<(), _> = devices.send(device);
        }
    }
}

fn attach(program: &Above, queue: &Receiver<u32>, stopping: &AtomicBool) {
    while let Ok(device) = queue.recv() {
        if stopping.load(Ordering::Acquire) {
            return;
        }
        // A device that is gone needs nothing; one that was moved away at once does without.
        let _: io::Result<()> = program.attach(device);
    }
}

impl Drop for Attacher {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.devices = None;
        if let Some(thread) = self.thread.take() {
            // As in `take`.
            let _: Result<(), _> = thread.join();
        }
    }
}
