//! The far end of the traffic: a process of its own, as on another host it would be. This program, `bench-far KIND ADDRESS`.
//!
//! It says at which port it receives, then for each line that it reads how many packets and bytes have arrived by now, and ends
//! with its input: it does not outlive the bench.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use clap::ValueEnum;

use super::site::Site;
use super::{echo, flood, tcp};

/// What the far end does with what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Counts the bytes of streams
    Tcp,
    /// Counts datagrams
    Udp,
    /// Sends datagrams back
    Echo,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Echo => "echo",
        }
    }
}

/// What had arrived at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// The process, seen from the bench. It is ended when this value is dropped.
pub(super) struct Far {
    child: Child,
    /// Its input; `None` once it is to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Where it receives.
    pub(super) address: SocketAddr,
}

impl Far {
    /// Starts it on the far host of a site, in whose namespace the calling thread is left.
    pub(super) fn start(site: &Site, kind: Kind) -> anyhow::Result<Self> {
        site.stage.far.netns.enter().context("cannot enter the far host")?;
        let program =
            std::env::current_exe().context("cannot find the ferrowire program: is /proc mounted?")?;
        let mut child = Command::new(program)
            .args(["bench-far", kind.name(), &site.target.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the far end")?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the far end has no pipes");
        };
        let address = SocketAddr::new(site.target, 0);
        let mut far = Self { child, questions: Some(questions), answers: BufReader::new(answers), address };
        let port = far.read()?.trim().parse().context("the far end is not ready")?;
        far.address.set_port(port);
        Ok(far)
    }

    /// What has arrived.
    pub(super) fn arrived(&mut self) -> anyhow::Result<Arrived> {
        self.questions.as_mut().context("the far end has ended")?.write_all(b"\n")?;
        let line = self.read()?;
        let (packets, bytes) = line.trim().split_once(' ').context("the far end has ended")?;
        Ok(Arrived { packets: packets.parse()?, bytes: bytes.parse()? })
    }

    fn read(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.questions = None;
        // It fails only for a process that was waited for.
        let _: io::Result<_> = self.child.wait();
    }
}

/// What the process is told.
#[derive(clap::Args)]
pub(crate) struct FarArgs {
    #[arg(value_enum)]
    kind: Kind,
    address: IpAddr,
}

/// What the process counts.
#[derive(Default)]
pub(super) struct Account {
    bytes: AtomicU64,
    packets: AtomicU64,
}

impl Account {
    /// Counts what has arrived.
    pub(super) fn add(&self, packets: usize, bytes: usize) {
        self.packets.fetch_add(u64::try_from(packets).unwrap_or_default(), Ordering::Relaxed);
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or_default(), Ordering::Relaxed);
    }
}

/// The process: receives on threads that end with it, and answers on this one.
pub(crate) fn run(args: &FarArgs) -> anyhow::Result<()> {
    let account = Arc::new(Account::default());
    let address = SocketAddr::new(args.address, 0);
    let counted = Arc::clone(&account);
    let port = match args.kind {
        Kind::Tcp => {
            let listener = TcpListener::bind(address).context("cannot listen")?;
            let port = listener.local_addr()?.port();
            spawn(move || tcp::receive_all(&listener, &counted))?;
            port
        }
        Kind::Udp => {
            let socket = flood::open_receiver(address).context("cannot receive datagrams")?;
            let port = socket.local_addr()?.port();
            spawn(move || flood::receive(&socket, &counted))?;
            port
        }
        Kind::Echo => {
            let socket = UdpSocket::bind(address).context("cannot receive requests")?;
            let port = socket.local_addr()?.port();
            spawn(move || echo::answer(&socket))?;
            port
        }
    };
    tell(&format!("{port}\n"))?;
    for line in io::stdin().lock().lines() {
        line?;
        let Account { packets, bytes } = &*account;
        tell(&format!("{} {}\n", packets.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed)))?;
    }
    Ok(())
}

/// Starts a thread that ends with the process.
pub(super) fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().spawn(work).map(drop)
}

fn tell(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Nobody asks any more.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
