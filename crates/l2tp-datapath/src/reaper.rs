//! Removes devices. The kernel takes some 16 ms to unregister one, but little longer for a whole group, so devices that
//! die together are deleted together, on a thread of its own.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;

use crate::device::Device;
use crate::shared::lock;

/// The group into which devices are put to be deleted at once: "l2tp" in ASCII.
const GROUP: u32 = 0x6c32_7470;

/// Devices deleted in one go at most.
const BATCH: usize = 4096;

/// The thread and the devices on their way to it.
pub(crate) struct Reaper {
    devices: Sender<Arc<Device>>,
    pending: Arc<Pending>,
}

#[derive(Default)]
struct Pending {
    count: AtomicUsize,
    changed: Condvar,
    lock: Mutex<()>,
}

impl Reaper {
    /// Starts the thread, in the namespace of the calling thread. It ends when the reaper is dropped.
    pub(crate) fn start() -> io::Result<Self> {
        let (devices, queue) = channel();
        let pending = Arc::new(Pending::default());
        let shared = Arc::clone(&pending);
        std::thread::Builder::new().name("l2tp-reaper".into()).spawn(move || reap(&queue, &shared))?;
        Ok(Self { devices, pending })
    }

    /// Removes a device soon.
    pub(crate) fn take(&self, device: Arc<Device>) {
        self.pending.count.fetch_add(1, Ordering::AcqRel);
        if let Err(refused) = self.devices.send(device) {
            // Without the thread the device goes here and now.
            drop(refused);
            self.pending.done(1);
        }
    }

    /// How many devices wait to be removed.
    pub(crate) fn pending(&self) -> usize {
        self.pending.count.load(Ordering::Acquire)
    }

    /// Waits until all are gone.
    pub(crate) fn settle(&self) {
        let mut guard = lock(&self.pending.lock);
        while self.pending() > 0 {
            let waited = self.pending.changed.wait_timeout(guard, Duration::from_millis(100));
            guard = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
        }
    }
}

impl Pending {
    fn done(&self, count: usize) {
        self.count.fetch_sub(count, Ordering::AcqRel);
        let _guard = lock(&self.lock);
        self.changed.notify_all();
    }
}

fn reap(queue: &Receiver<Arc<Device>>, pending: &Pending) {
    let mut batch = Vec::new();
    while let Ok(first) = queue.recv() {
        batch.push(first);
        batch.extend(queue.try_iter().take(BATCH - 1));
        // A device that cannot be deleted here, because it was moved away, goes when its descriptor is closed.
        let _: io::Result<()> = delete_together(&batch);
        pending.done(batch.len());
        // A worker may still be in the middle of one: whoever lets go last closes the descriptor, which is cheap once the
        // device is gone. Nobody waits for the worker here: it may be waiting for the engine, whose holder waits for us.
        batch.clear();
    }
}

fn delete_together(devices: &[Arc<Device>]) -> io::Result<()> {
    let mut rtnl = Rtnl::open()?;
    let here = NetNs::current()?;
    let mut grouped = 0;
    for device in devices {
        if let Ok(index) = index_here(&mut rtnl, &here, device)
            && rtnl.set_group(index, GROUP).is_ok()
        {
            grouped += 1;
        }
    }
    if grouped > 0 { rtnl.delete_group(GROUP) } else { Ok(()) }
}

/// The index of a device, whatever it is called by now, if it is still in this namespace.
fn index_here(rtnl: &mut Rtnl, here: &NetNs, device: &Device) -> io::Result<u32> {
    if !device.tap.netns()?.same_as(here)? {
        return Err(io::ErrorKind::NotFound.into());
    }
    rtnl.index_of(&device.tap.current_name()?)
}
