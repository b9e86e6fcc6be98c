//! One thing that was looked at.

use serde::Serialize;

/// What is thought of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// There, and it works.
    Ok,
    /// Not there; tunnels are carried without it.
    Note,
    /// Not there, and needed.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) detail: String,
    /// The one command or setting that mends it.
    pub(super) fix: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), fix: None }
    }

    pub(super) fn note(name: &'static str, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::ok(name, detail) }
    }

    pub(super) fn missing(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Missing, ..Self::ok(name, detail) }.with_fix(fix)
    }

    pub(super) fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}
