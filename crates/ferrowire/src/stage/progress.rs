//! The line on a terminal that says what is going on.

use std::io::{self, IsTerminal, Write};

/// The line; it goes when it is over.
pub(crate) struct Progress {
    terminal: bool,
}

const CLEAR_LINE: &str = "\r\x1b[K";

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal() }
    }

    pub(crate) fn show(&self, what: &str) {
        self.write(&format!("{CLEAR_LINE}{what} ..."));
    }

    fn write(&self, text: &str) {
        if self.terminal {
            // It is only decoration.
            let _: io::Result<()> = io::stderr().write_all(text.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.write(CLEAR_LINE);
    }
}
