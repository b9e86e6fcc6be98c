//! Runs an unmodified program on Ferrowire: some of its system calls are trapped by a seccomp filter and answered by a
//! supervisor, which asks the daemon of the program's network namespace.
//!
//! ```text
//! launch::run ── fork ──▶ supervisor ── fork, filter, exec ──▶ PROGRAM and all that it starts
//!      │ waits                │ Listener::receive ◀── a trapped call
//!      │                      │ Supervisor::handle: genl, l2tpip, ppp, paths
//!      │                      │ Door::ask ──▶ the daemon "@ferrowire" of the caller's namespace
//!      ▼ exit status          ▼ Listener::answer
//! ```
//!
//! It is no sandbox: a program that wants to leave it can, and then has the kernel's own calls. What has to be guarded is
//! the supervisor, which may do more than the program: see `docs/guide/exec.md`.
#![allow(
    unsafe_code,
    reason = "seccomp, another process's memory, fork: system calls that rustix does not cover"
)]

mod daemon;
mod defer;
mod door;
mod endpoint;
mod family;
mod filter;
mod genl;
mod give;
mod l2tpip;
mod launch;
mod modprobe;
mod namespace;
mod notify;
mod paths;
mod ppp;
mod remote;
mod supervisor;
mod sys;
mod task;
mod transfer;
mod window;

pub use daemon::Subsystem;
pub use filter::Opens;
pub use launch::{Ending, Launch, Refusal, run};

/// Tells the user something, on stderr.
fn tell(text: &str) {
    use std::io::Write;
    // Nobody is left to be told when stderr is gone.
    let _: std::io::Result<()> = writeln!(std::io::stderr(), "ferrowire exec: {text}");
}
