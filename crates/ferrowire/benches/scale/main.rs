//! Many tunnels and sessions in one daemon: `cargo bench -p ferrowire --bench scale [-- set-up|burst|look-up]`. As root.
//!
//! Two hosts in network namespaces of their own, on one link; a daemon in the first. 10,000 tunnels over UDP and 50,000
//! sessions: as many of Ethernet as its descriptors allow (5,000), the rest of PPP, which have no device. Then what the
//! network has to say when many sessions listen, and what a packet costs among few and among many sessions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark may stop and speaks"
)]

mod burst;
mod host;
mod look_up;
mod set_up;

use host::Hosts;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let parts: [(&str, fn()); 3] =
        [("set-up", set_up::measure), ("burst", burst::measure), ("look-up", look_up::measure)];
    let named = |word: &String| parts.iter().any(|(name, _)| word == name);
    for (name, measure) in parts {
        if !words.iter().any(named) || words.iter().any(|word| word == name) {
            println!("{name}");
            measure();
        }
    }
}
