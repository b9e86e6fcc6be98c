//! The programs in the kernel: two namespaces joined by a veth, a program at each end, and no daemon.

mod crafted;
mod cut;
mod decode;
mod form;
mod frames;
mod host;
mod hub;
mod life;
mod packet;
mod refusals;
mod require;
mod tcp;
mod tunnel;

mod streams;
