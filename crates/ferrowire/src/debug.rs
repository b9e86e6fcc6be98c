//! `ferrowire debug`: the kernel's debug texts, character for character.

use l2tp_client::Connection;

use crate::stats::{explain, write_out};

/// Which text.
#[derive(Clone, Copy, clap::Subcommand)]
pub(crate) enum View {
    /// What the kernel shows in debugfs l2tp/tunnels
    Tunnels,
    /// What the kernel shows in /proc/net/pppol2tp
    Pppol2tp,
}

/// Writes the text to stdout.
pub(crate) fn run(view: View) -> anyhow::Result<()> {
    let text = match view {
        View::Tunnels => Connection::door().and_then(|mut daemon| daemon.debug_tunnels()),
        View::Pppol2tp => Connection::door().and_then(|mut daemon| daemon.debug_pppol2tp()),
    };
    write_out(&text.map_err(explain)?)
}
