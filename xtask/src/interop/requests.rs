//! `cargo xtask interop requests`: the same random requests to Ferrowire's daemon and to a kernel's own L2TP, and every answer
//! compared byte by byte. docs/interop.md says what is left out and what came of it.

mod form;
mod play;
mod random;
mod told;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;

use super::lab::{HOST, Lab};
use super::{binary, say, start_lab};
use play::{Side, Way};

/// Longer than a chunk of cases takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// Cases that one process plays.
const CHUNK: u64 = 25;
/// Differing cases that are shown in full.
const SHOWN: usize = 5;

/// The same random requests to Ferrowire's daemon and to a kernel's own L2TP
#[derive(clap::Parser)]
#[command(name = "cargo xtask interop requests")]
struct RequestsArgs {
    /// Folder with uml/linux, user-mode-linux with L2TP [default: $FERROWIRE_LAB, or /var/cache/l2tp-lab]
    #[arg(long, value_name = "DIR")]
    lab: Option<PathBuf>,
    /// The binary to test, instead of the release build of this workspace
    #[arg(long, value_name = "PATH")]
    ferrowire: Option<PathBuf>,
    /// The first seed; a case is made of its seed alone
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// How many cases of each kind
    #[arg(long, value_name = "N", default_value_t = 200)]
    cases: u64,
}

/// Plays cases on both sides and fails if an answer differs. As [`super::kernel()`], it has to be called on the main thread.
///
/// # Errors
/// When a side cannot be set up, or an answer differs.
pub(crate) fn requests(words: &[&str]) -> anyhow::Result<()> {
    let name = "cargo xtask interop requests";
    let args = RequestsArgs::try_parse_from([&[name], words].concat()).unwrap_or_else(|usage| usage.exit());
    let binary = binary(args.ferrowire.as_deref())?;
    let mut lab = start_lab(args.lab.as_ref())?;
    say(&format!("kernel's end: {}", lab.sh("uname -sr", PATIENCE)?.1.trim()));
    let mut tally = Tally::default();
    for way in [Way::Commands, Way::Forms] {
        for first in (args.seed..args.seed + args.cases).step_by(usize::try_from(CHUNK)?) {
            let count = CHUNK.min(args.seed + args.cases - first);
            let ours = play_here(&binary, way, first, count)?;
            let theirs = play_there(&mut lab, way, first, count)?;
            tally.compare(&ours, &theirs);
        }
    }
    say(&format!("{} cases, {} answers compared, {} cases differ", tally.cases, tally.answers, tally.differ));
    ensure!(tally.cases == 2 * args.cases && tally.answers > tally.cases, "too little was compared");
    ensure!(tally.differ == 0, "{} cases differ", tally.differ);
    Ok(())
}

/// The process that plays one side: this program, `play SIDE WAY FIRST COUNT`, each case in a namespace of its own.
///
/// # Errors
/// When a namespace, a socket or an answer is missing.
pub(crate) fn play(words: &[&str]) -> anyhow::Result<()> {
    let [side, way, first, count] = words else { anyhow::bail!("play SIDE WAY FIRST COUNT") };
    let side = match side.strip_prefix("door:") {
        Some(binary) => Side::Door(binary.into()),
        None => Side::Kernel,
    };
    let way = if *way == "commands" { Way::Commands } else { Way::Forms };
    let first: u64 = first.parse()?;
    for seed in first..first + count.parse::<u64>()? {
        say(&format!("case {way:?} {seed}"));
        play::case(&side, way, seed, &mut |line| say(line)).with_context(|| format!("{way:?} {seed}"))?;
    }
    Ok(())
}

fn words(side: &str, way: Way, first: u64, count: u64) -> [String; 5] {
    let way = if way == Way::Commands { "commands" } else { "forms" };
    ["play".into(), side.into(), way.into(), first.to_string(), count.to_string()]
}

fn play_here(binary: &Path, way: Way, first: u64, count: u64) -> anyhow::Result<String> {
    let side = format!("door:{}", binary.display());
    let output = Command::new(std::env::current_exe()?).args(words(&side, way, first, count)).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "our side: {}{}", text, String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

fn play_there(lab: &mut Lab, way: Way, first: u64, count: u64) -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let line = format!("{HOST}{} {}", program.display(), words("kernel", way, first, count).join(" "));
    let (status, output) = lab.sh(&line, PATIENCE)?;
    ensure!(status == 0, "the kernel's side: {output}");
    Ok(output)
}

#[derive(Default)]
struct Tally {
    cases: u64,
    answers: u64,
    differ: usize,
}

impl Tally {
    fn compare(&mut self, ours: &str, theirs: &str) {
        let cases = |text: &str| text.split("case ").skip(1).map(str::to_owned).collect::<Vec<_>>();
        let (ours, theirs) = (cases(ours), cases(theirs));
        if ours.len() != theirs.len() {
            self.differ += 1;
            say(&format!("{} cases here, {} there", ours.len(), theirs.len()));
        }
        for (ours, theirs) in ours.iter().zip(&theirs) {
            self.cases += 1;
            self.answers += ours.lines().filter(|line| line.starts_with("answer")).count() as u64;
            if ours != theirs {
                self.differ += 1;
                self.show(ours, theirs);
            }
        }
    }

    /// Shows where two cases part.
    fn show(&self, ours: &str, theirs: &str) {
        if self.differ > SHOWN {
            return;
        }
        let at = ours.lines().zip(theirs.lines()).take_while(|(ours, theirs)| ours == theirs).count();
        say(&format!("case {}", ours.lines().next().unwrap_or_default()));
        ours.lines().take(at).skip(at.saturating_sub(4).max(1)).for_each(|line| say(&format!("  {line}")));
        say(&format!("  here:  {}", ours.lines().nth(at).unwrap_or("(ended)")));
        say(&format!("  there: {}", theirs.lines().nth(at).unwrap_or("(ended)")));
    }
}
