//! `ferrowire doctor`: what the host has and lacks, and for each lack the one command that mends it.
//!
//! Every check is a `Check`; text and JSON are made of the same values. What can be tried is tried, in a namespace
//! that is gone at once; nothing of the host is changed, and no kernel module is asked for but `tun`, by opening
//! /dev/net/tun.

mod bpf;
mod check;
mod kernel;
mod network;
mod privilege;
mod procfs;
mod report;
mod seccomp;
mod tap;

pub(crate) use privilege::user_namespace_remedy;
pub(crate) use tap::remedy as tap_remedy;

use std::io::{self, Write};
use std::process::ExitCode;

use privilege::Inside;
use report::{Reach, Report};

/// What the doctor is told.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    /// Report as one JSON object
    #[arg(long)]
    json: bool,
    /// Try what a user namespace allows, and tell it to the doctor
    #[arg(long, hide = true)]
    probe_user_namespace: bool,
}

/// Looks at the host: 0 when a tunnel can be carried, 1 when not.
pub(crate) fn run(args: &DoctorArgs) -> ExitCode {
    if args.probe_user_namespace {
        return print(&Inside::probe());
    }
    let report = examine();
    let printed = print(&if args.json { report.json() } else { report.text() });
    if report.can_carry() { printed } else { ExitCode::FAILURE }
}

fn examine() -> Report {
    let inside = Inside::find_out();
    let tap_here = tap::attempt();
    let here = tap_here.is_ok() && privilege::may_administer().unwrap_or(false);
    let reach = match (here, inside.suffices()) {
        (true, _) => Reach::Here,
        (false, true) => Reach::OwnNamespace,
        (false, false) => Reach::Nowhere,
    };
    let checks = vec![
        kernel::release(),
        tap::check(&tap_here, &inside.tap),
        privilege::net_admin(),
        privilege::net_raw(),
        privilege::user_namespaces(&inside),
        network::udp_offload(),
        network::ipv6(),
        network::socket_buffers(),
        network::open_files(),
        network::daemon(),
        kernel::own_l2tp(),
        bpf::check(),
        seccomp::check(),
    ];
    Report::new(reach, l2tp_datapath::why_no_bpf(), checks)
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
