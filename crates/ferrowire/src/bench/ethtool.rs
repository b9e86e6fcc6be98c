//! Turning a device's offloads on and off, by the program that everybody has for it.

use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use anyhow::{anyhow, bail};

use crate::stage::host::Host;

/// `ethtool -K DEVICE FEATURE on|off …` on a host.
pub(super) fn set(host: &Host, device: &str, features: &[&str]) -> anyhow::Result<()> {
    let Output { status, stderr, .. } = host.netns.within(|| {
        let mut command = Command::new("ethtool");
        command.args(["-K", device]).args(features).stdin(Stdio::null()).output().map_err(|error| match error
            .kind()
        {
            ErrorKind::NotFound => anyhow!("\"ethtool\" is not installed: apt install ethtool"),
            _ => anyhow!(error).context("cannot run \"ethtool\""),
        })
    })??;
    if !status.success() {
        let words = String::from_utf8_lossy(&stderr);
        bail!("ethtool -K {device} {}: {}", features.join(" "), words.trim());
    }
    Ok(())
}
