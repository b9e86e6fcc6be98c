//! Several queues of one device, each for another thread to read, and every flow in one of them.
//!
//! By itself the tun driver divides frames by a hash of theirs until one comes the other way, and from then on by the queue on
//! which that was written, for some seconds (drivers/net/tun.c `tun_automq_select_queue`, `tun_flow_update`): a flow goes from
//! queue to queue, and its frames overtake each other. A program of ours looks at nothing but the frame, so that a flow stays
//! where it is whatever is written where.

use crate::bpf::assembler::{
    AND64_IMM, Assembler, EXIT, JA, JEQ_IMM, JNE_IMM, JSET_IMM, LD_ABS_B, LD_ABS_H, LD_ABS_W, LD_IND_W,
    LDX_W, LSH64_IMM, MOV32_REG, MOV64_IMM, MOV64_REG, MUL32_IMM, RSH32_IMM, XOR32_REG,
};
use crate::bpf::{Instruction, load_socket_filter};
use crate::offload::Link;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How devices divide what they send.
pub struct Spread {
    queues: usize,
    ethernet: OwnedFd,
    ip: OwnedFd,
}

impl Spread {
    /// Devices are to have so many queues, at least one. The kernel allows 256.
    ///
    /// # Errors
    /// `EPERM` without CAP_BPF, unless anybody may load such programs (`kernel.unprivileged_bpf_disabled`).
    pub fn load(queues: usize) -> io::Result<Self> {
        let load = |link| load_socket_filter(&program(link).ok_or(Errno::INVAL)?);
        Ok(Self { queues: queues.max(1), ethernet: load(Link::Ethernet)?, ip: load(Link::Ip)? })
    }

    /// How many queues.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.queues
    }

    /// The program that chooses for devices of this link type.
    pub(crate) fn program(&self, link: Link) -> BorrowedFd<'_> {
        match link {
            Link::Ethernet => self.ethernet.as_fd(),
            Link::Ip => self.ip.as_fd(),
        }
    }
}

/// Offset of `protocol` in struct __sk_buff: the EtherType, in network byte order. A tag of a VLAN stands elsewhere.
const PROTOCOL: i16 = 16;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERNET_HEADER: i32 = 14;
/// Offsets in an IPv4 header (RFC 791 section 3.1): bits that say that it is not a whole packet, protocol, addresses.
const IPV4_FRAGMENT: i32 = 6;
const MORE_OR_OFFSET: i32 = 0x3fff;
const IPV4_PROTOCOL: i32 = 9;
const IPV4_ADDRESSES: [i32; 2] = [12, 16];
/// The same of IPv6 (RFC 8200 section 3).
const IPV6_NEXT_HEADER: i32 = 6;
const IPV6_ADDRESSES: [i32; 8] = [8, 12, 16, 20, 24, 28, 32, 36];
const IPV6_HEADER: i32 = 40;
/// Protocols whose headers begin with two ports.
const TCP: i32 = 6;
const UDP: i32 = 17;
/// Multipliers that spread bits: the golden ratio, and those of MurmurHash3's last steps.
const GOLDEN: u32 = 0x9e37_79b9;
const FIRST: u32 = 0x85eb_ca6b;
const SECOND: u32 = 0xc2b2_ae35;

/// The place that a jump leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Ipv6,
    Transport,
    Ports,
    Finish,
    First,
}

/// The hash of a frame's flow: addresses, and the ports of TCP and UDP packets that are whole. What is not IP is one flow; so is
/// a frame that ends early, for which the kernel ends the program with 0. r6 is the frame, r7 the hash, r8 where the ports are.
fn program(link: Link) -> Option<Vec<Instruction>> {
    let start = if link == Link::Ethernet { ETHERNET_HEADER } else { 0 };
    let mut code = Assembler::new();
    code.put(MOV64_REG, 6, 1, 0, 0);
    code.put(MOV64_IMM, 7, 0, 0, 0);
    code.put(LDX_W, 2, 6, PROTOCOL, 0);
    code.jump(JEQ_IMM, 2, 0, ETHERTYPE_IPV6.to_be().into(), Label::Ipv6);
    code.jump(JNE_IMM, 2, 0, ETHERTYPE_IPV4.to_be().into(), Label::First);

    mix_words(&mut code, start, &IPV4_ADDRESSES);
    // The length of the header, in words.
    code.put(LD_ABS_B, 0, 0, 0, start);
    code.put(MOV64_REG, 8, 0, 0, 0);
    code.put(AND64_IMM, 8, 0, 0, 0x0f);
    code.put(LSH64_IMM, 8, 0, 0, 2);
    code.put(LD_ABS_H, 0, 0, 0, start + IPV4_FRAGMENT);
    code.jump(JSET_IMM, 0, 0, MORE_OR_OFFSET, Label::Finish);
    code.put(LD_ABS_B, 0, 0, 0, start + IPV4_PROTOCOL);
    code.jump(JA, 0, 0, 0, Label::Transport);

    code.label(Label::Ipv6);
    mix_words(&mut code, start, &IPV6_ADDRESSES);
    code.put(MOV64_IMM, 8, 0, 0, IPV6_HEADER);
    code.put(LD_ABS_B, 0, 0, 0, start + IPV6_NEXT_HEADER);

    code.label(Label::Transport);
    code.jump(JEQ_IMM, 0, 0, TCP, Label::Ports);
    code.jump(JNE_IMM, 0, 0, UDP, Label::Finish);
    code.label(Label::Ports);
    code.put(LD_IND_W, 0, 8, 0, start);
    mix(&mut code);

    code.label(Label::Finish);
    stir(&mut code);
    code.put(MOV32_REG, 0, 7, 0, 0);
    code.put(EXIT, 0, 0, 0, 0);
    code.label(Label::First);
    code.put(MOV64_IMM, 0, 0, 0, 0);
    code.put(EXIT, 0, 0, 0, 0);
    code.finish()
}

/// Reads 32-bit words of the frame into the hash.
fn mix_words(code: &mut Assembler<Label>, start: i32, offsets: &[i32]) {
    for offset in offsets {
        code.put(LD_ABS_W, 0, 0, 0, start + offset);
        mix(code);
    }
}

/// Takes r0 into the hash.
fn mix(code: &mut Assembler<Label>) {
    code.put(XOR32_REG, 7, 0, 0, 0);
    code.put(MUL32_IMM, 7, 0, 0, GOLDEN.cast_signed());
}

/// Makes every bit of the hash depend on all: the kernel takes the lowest, and programs choose their ports from even numbers.
fn stir(code: &mut Assembler<Label>) {
    for (shift, factor) in [(16, Some(FIRST)), (13, Some(SECOND)), (16, None)] {
        code.put(MOV32_REG, 1, 7, 0, 0);
        code.put(RSH32_IMM, 1, 0, 0, shift);
        code.put(XOR32_REG, 7, 1, 0, 0);
        if let Some(factor) = factor {
            code.put(MUL32_IMM, 7, 0, 0, factor.cast_signed());
        }
    }
}

#[cfg(test)]
mod tests;
