//! The programs of the BPF fast path: `l2tp_tx` puts L2TP headers in front of frames, `l2tp_rx` takes them off.
//!
//! A program that cannot or must not carry a frame returns `TC_ACT_UNSPEC` with the frame as it was, and the user path gets it. So these programs know
//! what is plain and nothing else: no error is counted here, and nothing is dropped but what the kernel has no memory for.
//!
//! No program writes to a packet by a pointer: that would make the kernel copy the head of every cloned packet which comes by, ours or not.
#![no_std]
#![no_main]

mod layout;
mod passthru;
mod rx;
mod skb;
mod tcp;
mod tx;

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, TC_ACT_UNSPEC};
use aya_ebpf::macros::{classifier, map};
use aya_ebpf::maps::{HashMap, PerCpuHashMap};
use aya_ebpf::programs::TcContext;

use layout::{CpuCounters, RxKey, RxSession, SESSIONS_MAX, TxSession};
use skb::Skb;

/// Sessions by the device of their frames.
#[map]
static TX: HashMap<u32, TxSession> = HashMap::with_max_entries(SESSIONS_MAX, BPF_F_NO_PREALLOC);

/// Sessions by what messages say.
#[map]
static RX: HashMap<RxKey, RxSession> = HashMap::with_max_entries(SESSIONS_MAX, BPF_F_NO_PREALLOC);

/// What has been carried, by handle. Twice the sessions, for those that end are counted a little longer.
#[map]
static COUNTERS: PerCpuHashMap<u32, CpuCounters> =
    PerCpuHashMap::with_max_entries(2 * SESSIONS_MAX, BPF_F_NO_PREALLOC);

/// Frames on their way out, at the device where they come by.
#[classifier]
pub fn l2tp_tx(context: TcContext) -> i32 {
    tx::carry(Skb::new(&context)).unwrap_or(TC_ACT_UNSPEC)
}

/// Pieces of super-frames, where they come out of the device that cuts them.
#[classifier]
pub fn l2tp_cut(context: TcContext) -> i32 {
    tx::carry_piece(Skb::new(&context))
}

/// Packets that arrive at a device of the underlay.
#[classifier]
pub fn l2tp_rx(context: TcContext) -> i32 {
    rx::carry(Skb::new(&context)).unwrap_or(TC_ACT_UNSPEC)
}

/// Frames that arrive at the TAP below a macvlan.
#[classifier]
pub fn l2tp_below(context: TcContext) -> i32 {
    passthru::below(Skb::new(&context))
}

/// Frames that arrive at that macvlan.
#[classifier]
pub fn l2tp_above(context: TcContext) -> i32 {
    passthru::above(Skb::new(&context))
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The helpers that redirect ask for none in particular; programs of the network stack that look at its tracing do.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
