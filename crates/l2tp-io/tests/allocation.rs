//! Sending and receiving in steady state asks the heap for nothing.
#![allow(unsafe_code, reason = "a counting allocator is an unsafe trait to implement")]

use l2tp_io::batch::{MAX_BATCH, Outgoing, RecvBatch};
use l2tp_io::udp::{UdpConfig, UdpSocket};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of alloc, which is the system's too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn batches_of_datagrams_and_trains_allocate_nothing() {
    let local = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let receiver = UdpSocket::open(&UdpConfig { local: local(0), ..UdpConfig::default() }).unwrap();
    let peer = Some(receiver.local_addr().unwrap());
    let sender = UdpSocket::open(&UdpConfig { local: local(0), peer, ..UdpConfig::default() }).unwrap();
    let mut batch = RecvBatch::new(MAX_BATCH, 65_535);
    let payload = [7; 1500];
    let parts = [IoSlice::new(&payload[..300]), IoSlice::new(&payload[300..])];
    let datagram = Outgoing { parts: &parts, segment: None };
    let messages = [datagram, Outgoing { segment: Some(500), ..datagram }, datagram];

    let before = ALLOCATIONS.get();
    let (mut sent, mut received) = (0, 0);
    for _ in 0..100 {
        sent += sender.send_batch(&messages).sent;
        while receiver.recv_batch(&mut batch).unwrap() > 0 {
            received += batch.iter().flat_map(|received| received.segments()).map(<[u8]>::len).sum::<usize>();
        }
    }
    let allocations = ALLOCATIONS.get() - before;

    assert_eq!((sent, received), (300, 300 * payload.len()));
    assert_eq!(allocations, 0);
    drop(Box::new(1_u8));
    assert!(ALLOCATIONS.get() > before, "the counter counts");
}
