//! A file of `tests/vectors/kernel/shows`.

use crate::end::End;
use crate::setup::Setup;
use std::fs;
use std::path::Path;

const SHOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/kernel/shows");

pub(crate) struct Recording {
    pub(crate) name: String,
    text: String,
}

impl Recording {
    pub(crate) fn all() -> Vec<Self> {
        let mut all: Vec<_> =
            fs::read_dir(SHOWS).unwrap().map(|file| Self::read(&file.unwrap().path())).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(crate) fn open(name: &str) -> Self {
        Self::read(&Path::new(SHOWS).join(name).with_extension("txt"))
    }

    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Self { name, text: fs::read_to_string(path).unwrap() }
    }

    /// The commands that made side a; none where a program made it.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().skip_while(|line| *line != "## side a").skip(1);
        lines.map_while(|line| line.strip_prefix("ip l2tp add "))
    }

    /// What debugfs told.
    pub(crate) fn debugfs(&self) -> Option<String> {
        self.output_of("/sys/kernel/debug/l2tp/tunnels")
    }

    /// What `/proc/net/pppol2tp` told.
    pub(crate) fn pppol2tp(&self) -> Option<String> {
        self.output_of("cat /proc/net/pppol2tp")
    }

    /// What the command wrote that ends in `command`, or goes on with a note in brackets.
    fn output_of(&self, command: &str) -> Option<String> {
        let is_it = |line: &str| {
            let line = line.split(" (").next().unwrap_or_default();
            line.starts_with("$ ") && line.ends_with(command)
        };
        let lines = self.text.lines().skip_while(|line| !is_it(line)).skip(1);
        let output: Vec<_> = lines.take_while(|line| !line.starts_with("$ ")).collect();
        let text = output.join("\n");
        (!output.is_empty()).then(|| text.trim_end().to_owned() + "\n")
    }

    /// Both ends, made anew, after the traffic that this end's tunnel counted; this end.
    pub(crate) fn replay(&self, setup: &Setup) -> End {
        let (mut a, mut b) = (End::new(setup), End::new(&setup.mirrored()));
        let [sent, received] = self.traffic();
        a.send(sent.0, sent.1, &mut b);
        b.send(received.0, received.1, &mut a);
        a
    }

    /// Packets and bytes that the tunnel sent and received: of its line of counters, which begins with the debug mask.
    fn traffic(&self) -> [(usize, usize); 2] {
        let line = self.text.lines().find_map(|line| line.strip_prefix(" 00000000 ")).unwrap();
        let mut counts = line.split(' ').filter(|word| word.contains('/')).map(|word| {
            let mut numbers = word.split('/').map(|number| number.parse().unwrap());
            (numbers.next().unwrap(), numbers.next().unwrap())
        });
        [counts.next().unwrap(), counts.next().unwrap()]
    }
}
