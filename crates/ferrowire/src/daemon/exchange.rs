//! Between the services of one daemon: a notification goes to listeners in every namespace.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use l2tp_io::poller::Waker;

use super::caller::Notification;

/// Bytes of notifications that may wait for a service. What comes then is lost to its listeners, who are told so.
const MAILBOX_BYTES: usize = 1 << 20;

/// The mailboxes of all services.
#[derive(Default)]
pub(super) struct Exchange {
    mailboxes: Mutex<Vec<Arc<Mailbox>>>,
}

/// What a service is to be told. It is readable when there is something.
pub(super) struct Mailbox {
    waker: Waker,
    letters: Mutex<Letters>,
}

/// What was in a mailbox.
#[derive(Default)]
pub(super) struct Letters {
    /// What happened in other namespaces.
    pub(super) notifications: Vec<Notification>,
    bytes: usize,
    /// Groups of which there was more.
    pub(super) lost: BTreeSet<u32>,
    /// The service shall end.
    pub(super) end: bool,
}

impl Exchange {
    /// A mailbox for a new service.
    pub(super) fn add(&self) -> io::Result<Arc<Mailbox>> {
        let mailbox = Arc::new(Mailbox { waker: Waker::new()?, letters: Mutex::default() });
        lock(&self.mailboxes).push(Arc::clone(&mailbox));
        Ok(mailbox)
    }

    /// Nothing is sent to this one any more.
    pub(super) fn remove(&self, mailbox: &Arc<Mailbox>) {
        lock(&self.mailboxes).retain(|other| !Arc::ptr_eq(other, mailbox));
    }

    /// Sends notifications to all services but the one with the mailbox `from`.
    pub(super) fn post(&self, from: &Arc<Mailbox>, heard: &[Notification]) {
        if heard.is_empty() {
            return;
        }
        for mailbox in lock(&self.mailboxes).iter().filter(|other| !Arc::ptr_eq(other, from)) {
            mailbox.put(|letters| heard.iter().for_each(|notification| letters.push(notification)));
        }
    }
}

impl Mailbox {
    /// Tells the service to end.
    pub(super) fn end(&self) {
        self.put(|letters| letters.end = true);
    }

    /// Empties it.
    pub(super) fn take(&self) -> Letters {
        // Before the letters: what is put in behind wakes again.
        let _: io::Result<bool> = self.waker.reset();
        std::mem::take(&mut lock(&self.letters))
    }

    fn put(&self, write: impl FnOnce(&mut Letters)) {
        write(&mut lock(&self.letters));
        // Waking fails only without a counter to set, which the mailbox has.
        let _: io::Result<()> = self.waker.wake();
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

impl Letters {
    fn push(&mut self, notification: &Notification) {
        if self.bytes + notification.datagram.len() > MAILBOX_BYTES {
            self.lost.insert(notification.group);
        } else {
            self.bytes += notification.datagram.len();
            self.notifications.push(notification.clone());
        }
    }
}

/// A lock whose holder panicked guards values that are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_posts_the_others_get() {
        let exchange = Exchange::default();
        let [a, b, c] = [(); 3].map(|()| exchange.add().unwrap());
        exchange.remove(&c);
        exchange.post(&a, &[Notification::new(7, b"one"), Notification::new(8, b"two")]);
        let letters = b.take();
        let texts: Vec<_> = letters.notifications.iter().map(|letter| letter.datagram.as_slice()).collect();
        assert_eq!((texts, letters.end), (vec![&b"one"[..], b"two"], false));
        for other in [a, b, c] {
            assert!(other.take().notifications.is_empty());
            other.end();
            assert!(other.take().end);
        }
    }

    #[test]
    fn a_mailbox_has_a_bound_and_says_what_was_lost() {
        let exchange = Exchange::default();
        let [a, b] = [(); 2].map(|()| exchange.add().unwrap());
        for _ in 0..100 {
            exchange.post(&a, &[Notification::new(7, &[0; 20_000])]);
        }
        let letters = b.take();
        assert!(letters.bytes <= MAILBOX_BYTES && letters.notifications.len() == MAILBOX_BYTES / 20_000);
        assert_eq!(letters.lost, BTreeSet::from([7]));
        assert!(b.take().lost.is_empty());
    }
}
