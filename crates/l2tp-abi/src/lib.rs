//! Bytes between a program and the kernel: netlink, the l2tp family, errno.
