//! Programs, instruction by instruction.

use super::Instruction;

/// Instruction codes (include/uapi/linux/bpf.h, bpf_common.h).
pub(crate) const LD_ABS_W: u8 = 0x20;
pub(crate) const LD_ABS_H: u8 = 0x28;
pub(crate) const LD_ABS_B: u8 = 0x30;
pub(crate) const LD_IND_W: u8 = 0x40;
pub(crate) const LD_IND_H: u8 = 0x48;
pub(crate) const LD_IMM64: u8 = 0x18;
pub(crate) const LDX_W: u8 = 0x61;
pub(crate) const STX_W: u8 = 0x63;
pub(crate) const ST_W: u8 = 0x62;
pub(crate) const STX_DW: u8 = 0x7b;
pub(crate) const MOV64_REG: u8 = 0xbf;
pub(crate) const MOV64_IMM: u8 = 0xb7;
pub(crate) const ADD64_IMM: u8 = 0x07;
pub(crate) const AND64_IMM: u8 = 0x57;
pub(crate) const LSH64_IMM: u8 = 0x67;
pub(crate) const MUL32_IMM: u8 = 0x24;
pub(crate) const RSH32_IMM: u8 = 0x74;
pub(crate) const XOR32_REG: u8 = 0xac;
pub(crate) const MOV32_REG: u8 = 0xbc;
pub(crate) const JA: u8 = 0x05;
pub(crate) const JEQ_IMM: u8 = 0x15;
pub(crate) const JNE_IMM: u8 = 0x55;
pub(crate) const JNE_REG: u8 = 0x5d;
pub(crate) const JLT_IMM: u8 = 0xa5;
pub(crate) const JLT_REG: u8 = 0xad;
pub(crate) const JSET_IMM: u8 = 0x45;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const EXIT: u8 = 0x95;

/// Instructions, and jumps whose lengths are filled in when all labels are known.
pub(crate) struct Assembler<L> {
    instructions: Vec<Instruction>,
    jumps: Vec<(usize, L)>,
    labels: Vec<(L, usize)>,
}

impl<L: Copy + PartialEq> Assembler<L> {
    /// Without an instruction; `L` is what names a place.
    pub(crate) const fn new() -> Self {
        Self { instructions: Vec::new(), jumps: Vec::new(), labels: Vec::new() }
    }

    /// Appends an instruction.
    pub(crate) fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { code, registers: from << 4 | to, offset, immediate });
    }

    /// Appends a jump to a label, which may come later.
    pub(crate) fn jump(&mut self, code: u8, to: u8, from: u8, immediate: i32, label: L) {
        self.jumps.push((self.instructions.len(), label));
        self.put(code, to, from, 0, immediate);
    }

    /// Names the place of the next instruction.
    pub(crate) fn label(&mut self, label: L) {
        self.labels.push((label, self.instructions.len()));
    }

    /// The program; `None` where a label is missing or too far away.
    pub(crate) fn finish(mut self) -> Option<Vec<Instruction>> {
        for (from, label) in self.jumps {
            let (_, to) = self.labels.iter().find(|(known, _)| *known == label)?;
            self.instructions.get_mut(from)?.offset = i16::try_from(to.checked_sub(from + 1)?).ok()?;
        }
        Some(self.instructions)
    }
}
