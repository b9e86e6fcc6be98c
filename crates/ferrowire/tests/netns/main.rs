//! The built binary at work: daemons in network namespaces, real programs and real traffic between them.
//!
//! Every test makes namespaces of its own, and they go with it. The tests run at the same time as each
//! other and share nothing. They need root, or a user namespace (`unshare --map-root-user --net`), and the programs
//! that [`require`] names; what is missing is told as `SKIP`, or is a failure with `FERROWIRE_REQUIRE_ALL=1`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop, and says why it did not run"
)]

mod capture;
mod changes;
mod checksum;
mod client;
mod control;
mod crafted;
mod cutter;
mod daemon;
mod descriptors;
mod device;
mod door;
mod door_abuse;
mod ethernet;
mod exec;
mod form;
mod host;
mod hostile;
mod l2tpip;
mod l2tpip_socket;
mod l2tpip_tunnel;
mod lifetime;
mod lone;
mod managed;
mod matrix;
mod named;
mod namespaces;
mod oracle;
mod packet_socket;
mod pair;
mod path;
mod ppp;
mod ppp_bpf;
mod ppp_call;
mod ppp_ends;
mod ppp_frames;
mod ppp_races;
mod queues;
mod races;
mod recorded;
mod reorder;
mod require;
mod seqnum;
mod sequence;
mod tcp;
mod trace;
mod variant;
mod vlan;
mod wait;
