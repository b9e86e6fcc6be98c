//! The programs in the kernel: two namespaces joined by a veth, a program at each end, and no daemon.

mod form;
mod host;
mod packet;
mod require;
mod tcp;
mod tunnel;

mod streams;
