//! The Linux kernel's L2TP subsystem in user space.

fn main() {}
