//! The loop of a worker thread.

use std::sync::Arc;
use std::time::Duration;

use l2tp_core::Instant;
use l2tp_io::clock;
use l2tp_io::poller::Events;

use crate::egress::Egress;
use crate::ingress::Ingress;
use crate::shared::{Shared, Source, Station, WAKE};

/// Events taken from one wait. Level-triggered: what does not fit comes with the next.
const EVENTS: usize = 64;

/// A worker: its buffers, and the station that it serves.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    station: usize,
    ingress: Ingress,
    egress: Egress,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, station: usize) -> Self {
        Self { shared, station, ingress: Ingress::new(), egress: Egress::new() }
    }

    /// Serves until the data path stops.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(station) = shared.stations.get(self.station) else { return };
        let mut events = Events::with_capacity(EVENTS);
        while !shared.is_stopping() {
            let timeout = self.ingress.deadline().map(|when| when.since(now()));
            if station.poller.wait(&mut events, timeout).is_err() {
                // No descriptor of ours can cause it; do not spin if it happens.
                std::thread::sleep(Duration::from_millis(10));
            }
            for event in events.iter() {
                self.serve(station, event.token);
            }
            self.ingress.expire(&shared, now());
        }
    }

    fn serve(&mut self, station: &Station, token: u64) {
        if token == WAKE {
            // The wake has done its work: the loop looks whether to stop.
            let _: std::io::Result<bool> = station.waker.reset();
            return;
        }
        match station.source(token) {
            Some(Source::Udp(socket, tunnel)) => self.ingress.handle_udp(&self.shared, &socket, tunnel),
            Some(Source::Raw(socket)) => self.ingress.handle_raw(&self.shared, &socket),
            Some(Source::Managed(socket)) => self.ingress.handle_managed(&self.shared, &socket),
            Some(Source::Device(device, session, queue)) => {
                self.egress.handle_device(&self.shared, &device, session, queue);
            }
            Some(Source::Unit(device, unit, queue)) => {
                self.egress.handle_unit(&self.shared, &device, unit, queue);
            }
            None => {}
        }
    }
}

/// The time.
pub(crate) fn now() -> Instant {
    Instant(clock::now())
}
