//! A small assembler for classic BPF (Documentation/networking/filter.rst): jumps to labels further down.

/// One instruction, as `struct sock_filter`.
pub(crate) type Instruction = libc::sock_filter;

/// A place to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Socket,
    Openat,
    Open,
    Fcntl,
    Ioctl,
    Connect,
    Bind,
    Setsockopt,
    Getsockopt,
    Descriptor,
    L2tpip,
    Internet,
    Notify,
    Allow,
}

/// Which way of a conditional jump leads to the label.
#[derive(Clone, Copy)]
enum Way {
    WhenTrue,
    WhenFalse,
}

/// A program in the making.
#[derive(Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Way, Label)>,
    places: Vec<(Label, usize)>,
}

impl Assembler {
    /// Loads the 32-bit word at `offset` of `struct seccomp_data`.
    pub(super) fn load(&mut self, offset: u32) {
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    }

    /// Keeps the bits of `mask`.
    pub(super) fn mask(&mut self, mask: u32) {
        self.push(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask);
    }

    pub(super) fn jump_if_equal(&mut self, value: u32, to: Label) {
        self.jump(libc::BPF_JEQ, value, Way::WhenTrue, to);
    }

    pub(super) fn jump_unless_equal(&mut self, value: u32, to: Label) {
        self.jump(libc::BPF_JEQ, value, Way::WhenFalse, to);
    }

    pub(super) fn jump_if_at_least(&mut self, value: u32, to: Label) {
        self.jump(libc::BPF_JGE, value, Way::WhenTrue, to);
    }

    pub(super) fn jump_unless_at_least(&mut self, value: u32, to: Label) {
        self.jump(libc::BPF_JGE, value, Way::WhenFalse, to);
    }

    /// Goes on there in any case.
    pub(super) fn jump_to(&mut self, to: Label) {
        self.jump_if_at_least(0, to);
    }

    /// Ends: the call runs.
    pub(super) fn allow(&mut self) {
        self.push(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    }

    /// Ends: the supervisor is asked.
    pub(super) fn notify(&mut self) {
        self.push(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF);
    }

    /// The next instruction is where jumps to `label` lead.
    pub(super) fn place(&mut self, label: Label) {
        self.places.push((label, self.code.len()));
    }

    /// The program. A jump that cannot be made (its label is missing or too far away) would let the call run; the tests
    /// show that there is none.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (at, way, label) in self.jumps {
            let place = self.places.iter().find(|(placed, _)| *placed == label).map(|(_, place)| *place);
            let distance =
                place.and_then(|place| place.checked_sub(at + 1)).and_then(|d| u8::try_from(d).ok());
            if let (Some(distance), Some(jump)) = (distance, self.code.get_mut(at)) {
                match way {
                    Way::WhenTrue => jump.jt = distance,
                    Way::WhenFalse => jump.jf = distance,
                }
            }
        }
        self.code
    }

    fn jump(&mut self, condition: u32, value: u32, way: Way, to: Label) {
        self.jumps.push((self.code.len(), way, to));
        self.push(libc::BPF_JMP | condition | libc::BPF_K, value);
    }

    fn push(&mut self, code: u32, k: u32) {
        // Every code of classic BPF fits.
        let code = u16::try_from(code).unwrap_or_default();
        self.code.push(Instruction { code, jt: 0, jf: 0, k });
    }
}
