//! All that was found, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::check::{Check, Verdict};

/// Where a tunnel can be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reach {
    /// In this network namespace.
    Here,
    /// In a user and network namespace of its own only.
    OwnNamespace,
    /// Nowhere.
    Nowhere,
}

/// What carries the frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Datapath {
    pub(super) chosen: Option<&'static str>,
    pub(super) why: String,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) reach: Reach,
    pub(super) datapath: Datapath,
    pub(super) checks: Vec<Check>,
}

impl Report {
    /// `no_bpf` says why BPF cannot carry sessions, where it cannot.
    pub(super) fn new(reach: Reach, no_bpf: Option<String>, checks: Vec<Check>) -> Self {
        let (chosen, why) = match (reach, no_bpf) {
            (Reach::Nowhere, _) => (None, "no datapath works without TAP devices".to_owned()),
            (Reach::Here, None) => {
                (Some("bpf"), "what BPF programs cannot carry takes the user path: ferrowire path".to_owned())
            }
            (_, None) => (Some("user"), "TAP devices and sockets".to_owned()),
            (_, Some(why)) => (Some("user"), format!("TAP devices and sockets; {why}")),
        };
        let datapath = Datapath { chosen, why };
        Self { reach, datapath, checks }
    }

    /// Whether a tunnel can be carried at all.
    pub(super) fn can_carry(&self) -> bool {
        self.reach != Reach::Nowhere
    }

    /// One JSON object, on lines of its own.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A line a check, with a second one for what mends it; then the datapath and the verdict.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for check in &self.checks {
            _ = writeln!(out, "{:<7}  {:<17}  {}", word(check.verdict), check.name, check.detail);
            if let Some(fix) = &check.fix {
                _ = writeln!(out, "{:<28}-> {fix}", "");
            }
        }
        _ = writeln!(out, "\nDatapath: {} ({})", self.datapath.chosen.unwrap_or("none"), self.datapath.why);
        out.push_str(match self.reach {
            Reach::Here => "Verdict: tunnels can be carried here.\n",
            Reach::OwnNamespace => {
                "Verdict: tunnels can be carried in a namespace of their own (as \"ferrowire demo\" does), \
                 but not here.\n"
            }
            Reach::Nowhere => "Verdict: no tunnel can be carried until what is missing is mended.\n",
        });
        out
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Note => "note",
        Verdict::Missing => "MISSING",
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Reach, Report};

    fn checks() -> Vec<Check> {
        vec![
            Check::ok("Linux", "6.12.1 x86_64"),
            Check::note("daemon", "none here").with_fix("ferrowire daemon"),
            Check::missing("TAP device", "Permission denied", "chmod 0666 /dev/net/tun"),
        ]
    }

    #[test]
    fn a_report_as_text() {
        let expected = "\
ok       Linux              6.12.1 x86_64
note     daemon             none here
                            -> ferrowire daemon
MISSING  TAP device         Permission denied
                            -> chmod 0666 /dev/net/tun

Datapath: none (no datapath works without TAP devices)
Verdict: no tunnel can be carried until what is missing is mended.
";
        assert_eq!(Report::new(Reach::Nowhere, None, checks()).text(), expected);
    }

    #[test]
    fn the_reach_decides() {
        for (reach, can, word) in [
            (Reach::Here, true, "carried here."),
            (Reach::OwnNamespace, true, "but not here."),
            (Reach::Nowhere, false, "no tunnel"),
        ] {
            let report = Report::new(reach, Some("no BPF".to_owned()), checks());
            assert_eq!(report.can_carry(), can);
            assert!(report.text().contains(word));
        }
    }

    #[test]
    fn the_same_as_json() {
        let report = Report::new(Reach::OwnNamespace, None, checks());
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["reach"], "own-namespace");
        assert_eq!(json["datapath"]["chosen"], "user");
        let report = Report::new(Reach::Here, None, checks());
        assert_eq!(report.datapath.chosen, Some("bpf"));
        assert_eq!(json["checks"][2]["verdict"], "missing");
        assert_eq!(json["checks"][2]["fix"], "chmod 0666 /dev/net/tun");
        assert!(json["checks"][0]["fix"].is_null());
    }
}
