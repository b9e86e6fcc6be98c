//! A link that does to packets what networks do.

use std::collections::BTreeMap;
use std::time::Duration;

use l2tp_core::Instant;

/// What the link does. Chances are out of 256.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// Chance that a packet is lost.
    pub loss: u8,
    /// Chance that a packet arrives twice.
    pub duplicate: u8,
    /// Chance that a packet is overtaken: delayed by up to `jitter` more.
    pub reorder: u8,
    /// Time that every packet takes.
    pub delay: Duration,
    /// Most time that an overtaken packet takes more.
    pub jitter: Duration,
    /// Longest packet in bytes.
    pub mtu: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        let delay = Duration::from_millis(1);
        Self { loss: 0, duplicate: 0, reorder: 0, delay, jitter: Duration::from_millis(5), mtu: 65535 }
    }
}

/// One direction of a link: packets under way, by arrival.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    random: u64,
    serial: u64,
    under_way: BTreeMap<(Instant, u64), Vec<u8>>,
    /// Packets that it lost, or cut off for their length.
    pub lost: u64,
    /// Packets that it doubled.
    pub doubled: u64,
}

impl Link {
    /// An empty link; the same seed gives the same fate to the same packets.
    #[must_use]
    pub fn new(config: LinkConfig, seed: u64) -> Self {
        Self { config, random: seed | 1, serial: 0, under_way: BTreeMap::new(), lost: 0, doubled: 0 }
    }

    /// Sends a packet.
    pub fn send(&mut self, now: Instant, packet: &[u8]) {
        if packet.len() > self.config.mtu || self.chance(self.config.loss) {
            self.lost += 1;
            return;
        }
        let copies = if self.chance(self.config.duplicate) { 2 } else { 1 };
        self.doubled += copies - 1;
        for _ in 0..copies {
            let late = if self.chance(self.config.reorder) { self.jitter() } else { Duration::ZERO };
            self.serial += 1;
            self.under_way.insert((now.after(self.config.delay + late), self.serial), packet.to_vec());
        }
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((when, _), _)| *when)
    }

    /// Takes out a packet that has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        (self.next_arrival()? <= now).then(|| self.under_way.pop_first()).flatten().map(|(_, packet)| packet)
    }

    fn chance(&mut self, out_of_256: u8) -> bool {
        self.next() % 256 < u64::from(out_of_256)
    }

    fn jitter(&mut self) -> Duration {
        let most = u64::try_from(self.config.jitter.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.next() % most)
    }

    /// xorshift64*: plain, and the same everywhere.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }
}
