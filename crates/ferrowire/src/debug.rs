//! `ferrowire debug`: the kernel's debug texts, character for character.

use l2tp_abi::genl::ferrowire::{Request, parse_text};

use crate::stats::{dump, write_out};

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
    let request = match view {
        View::Tunnels => Request::DebugTunnels,
        View::Pppol2tp => Request::DebugPppol2tp,
    };
    let mut text = String::new();
    dump(request, |message| text.extend(parse_text(message)))?;
    write_out(&text)
}
