//! The filters, instruction by instruction. They see a packet from its UDP header on: the L2TP header is at 8.

use super::{NO_TUNNEL, UDP_HEADER};
use crate::bpf::Instruction;
use crate::bpf::assembler::{
    ADD64_IMM, AND64_IMM, Assembler, CALL, EXIT, JA, JEQ_IMM, JLT_IMM, JLT_REG, JNE_REG, JSET_IMM, LD_ABS_H,
    LD_ABS_W, LD_IMM64, LD_IND_H, LDX_W, MOV64_IMM, MOV64_REG, ST_W, STX_DW, STX_W,
};
use std::os::fd::RawFd;

/// Offset of the L2TP header.
const L2TP: i32 = 8;
/// Shorter packets are the program's (`L2TP_HDR_SIZE_MAX`).
const SHORTEST: i32 = L2TP + 14;
/// Bits of the first 16 of the L2TP header (RFC 2661 section 3.1, RFC 3931 section 4.1.2.1).
const T: i32 = 0x8000;
const L: i32 = 0x4000;
const VERSION: i32 = 0x000f;

/// Source register of an LD_IMM64 that loads a map by its descriptor.
const PSEUDO_MAP_FD: u8 = 1;
/// Helper functions.
const MAP_LOOKUP_ELEM: i32 = 1;
const GET_SOCKET_COOKIE: i32 = 46;

/// The place that a jump leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Version2,
    LongHeader,
    Ids2,
    Lookup,
    Pass,
}

/// Appends the call that looks up the key at `offset` of the stack; r0 is where the value is.
fn look_up(code: &mut Assembler<Label>, map: RawFd, offset: i32) {
    code.put(LD_IMM64, 1, PSEUDO_MAP_FD, 0, map);
    code.put(0, 0, 0, 0, 0);
    code.put(MOV64_REG, 2, 10, 0, 0);
    code.put(ADD64_IMM, 2, 0, 0, offset);
    code.put(CALL, 0, 0, 0, MAP_LOOKUP_ELEM);
}

/// The exact filter. r6 is the packet, r7 its length, r8 its flags and version; the stack holds the cookie at -8 and the
/// session's key at -24.
pub(super) fn filter(groups: RawFd, sessions: RawFd) -> Option<Vec<Instruction>> {
    let mut code = Assembler::new();
    code.put(MOV64_REG, 6, 1, 0, 0);
    // len, the first field of struct __sk_buff.
    code.put(LDX_W, 7, 6, 0, 0);
    code.jump(JLT_IMM, 7, 0, SHORTEST, Label::Pass);
    code.put(LD_ABS_H, 0, 0, 0, L2TP);
    code.put(MOV64_REG, 8, 0, 0, 0);
    code.jump(JSET_IMM, 8, 0, T, Label::Pass);

    code.put(MOV64_REG, 1, 6, 0, 0);
    code.put(CALL, 0, 0, 0, GET_SOCKET_COOKIE);
    code.put(STX_DW, 10, 0, -8, 0);
    look_up(&mut code, groups, -8);
    code.jump(JEQ_IMM, 0, 0, 0, Label::Pass);
    code.put(LDX_W, 1, 0, 0, 0);
    code.put(STX_W, 10, 1, -24, 0);

    code.put(MOV64_REG, 9, 8, 0, 0);
    code.put(AND64_IMM, 9, 0, 0, VERSION);
    code.jump(JEQ_IMM, 9, 0, 2, Label::Version2);
    code.put(ST_W, 10, 0, -20, i32::try_from(NO_TUNNEL).ok()?);
    code.put(LD_ABS_W, 0, 0, 0, L2TP + 4);
    code.put(STX_W, 10, 0, -16, 0);
    code.jump(JA, 0, 0, 0, Label::Lookup);

    code.label(Label::Version2);
    code.jump(JSET_IMM, 8, 0, L, Label::LongHeader);
    code.put(MOV64_IMM, 8, 0, 0, L2TP + 2);
    code.jump(JA, 0, 0, 0, Label::Ids2);
    code.label(Label::LongHeader);
    code.put(MOV64_IMM, 8, 0, 0, L2TP + 4);
    code.label(Label::Ids2);
    code.put(LD_IND_H, 0, 8, 0, 0);
    code.put(STX_W, 10, 0, -20, 0);
    code.put(LD_IND_H, 0, 8, 0, 2);
    code.put(STX_W, 10, 0, -16, 0);

    code.label(Label::Lookup);
    look_up(&mut code, sessions, -24);
    code.jump(JEQ_IMM, 0, 0, 0, Label::Pass);
    code.put(LDX_W, 1, 0, 0, 0);
    code.jump(JNE_REG, 1, 9, 0, Label::Pass);
    code.put(LDX_W, 1, 0, 4, 0);
    code.jump(JLT_REG, 7, 1, 0, Label::Pass);
    code.put(MOV64_IMM, 0, 0, 0, 0);
    code.put(EXIT, 0, 0, 0, 0);

    code.label(Label::Pass);
    code.put(MOV64_IMM, 0, 0, 0, i32::MAX);
    code.put(EXIT, 0, 0, 0, 0);
    code.finish()
}

/// The classic filter: control messages and short packets pass.
pub(super) const CLASSIC: [libc::sock_filter; 6] = [
    // BPF_LD | BPF_W | BPF_LEN
    libc::sock_filter { code: 0x80, jt: 0, jf: 0, k: 0 },
    // BPF_JMP | BPF_JGE | BPF_K
    libc::sock_filter { code: 0x35, jt: 0, jf: 3, k: UDP_HEADER + 14 },
    // BPF_LD | BPF_B | BPF_ABS
    libc::sock_filter { code: 0x30, jt: 0, jf: 0, k: UDP_HEADER },
    // BPF_JMP | BPF_JSET | BPF_K
    libc::sock_filter { code: 0x45, jt: 1, jf: 0, k: 0x80 },
    // BPF_RET | BPF_K
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 },
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: u32::MAX },
];
