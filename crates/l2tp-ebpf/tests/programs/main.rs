//! The programs in the kernel: two namespaces joined by a veth, a program at each end, and no daemon.

mod crafted;
mod form;
mod frames;
mod host;
mod packet;
mod refusals;
mod require;
mod tcp;
mod tunnel;

mod streams;
