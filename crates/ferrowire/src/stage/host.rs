//! One of the two hosts: a network namespace, and a daemon that serves it.

use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use l2tp_client::{Connection, Error, Request, SessionKey, SessionMessage};
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

/// How long a daemon may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who serves L2TP on a host: [`Connection::door`] or [`Connection::kernel`].
pub(crate) type Connect = fn() -> Result<Connection, Error>;

/// A host, seen from outside.
pub(crate) struct Host {
    pub(crate) name: &'static str,
    pub(crate) netns: NetNs,
}

impl Host {
    /// Starts the host's daemon, with these options. The calling thread is left in the host's namespace; the daemon ends when it
    /// ends.
    pub(crate) fn start_daemon(&self, options: &[&str]) -> anyhow::Result<Daemon> {
        self.netns.enter().with_context(|| format!("cannot enter host {}", self.name))?;
        let program =
            std::env::current_exe().context("cannot find the ferrowire program: is /proc mounted?")?;
        let child = Command::new(&program)
            .args(["daemon", "--die-with-parent"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is for us, who then end the daemons.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Daemon { child, host: self.name })
    }

    /// Has whoever is connected to, the daemon or the kernel, carry out requests that change something.
    pub(crate) fn apply(&self, connect: Connect, requests: &[Request]) -> anyhow::Result<()> {
        self.netns
            .within(|| {
                let mut connection = connect()?;
                requests.iter().try_for_each(|request| connection.carry_out(request))
            })?
            .map_err(|error| self.failed(error))
    }

    /// What is said there of a session.
    pub(crate) fn session(
        &self,
        connect: Connect,
        conn_id: u32,
        session_id: u32,
    ) -> anyhow::Result<SessionMessage> {
        let key = SessionKey::Ids { conn_id, session_id };
        self.netns
            .within(|| connect()?.session(&key))?
            .map_err(|error| self.failed(error))
            .with_context(|| format!("what has become of session {session_id}?"))
    }

    /// Gives a device its addresses, brings it up, and returns its MTU.
    pub(crate) fn configure(&self, device: &str, addresses: &[(IpAddr, u8)]) -> anyhow::Result<u32> {
        self.netns.within(|| bring_up(device, addresses))?.with_context(|| {
            format!("cannot give device {device} of host {} its addresses and bring it up", self.name)
        })
    }

    fn failed(&self, error: Error) -> anyhow::Error {
        match error {
            Error::Refused { errno, message, .. } => {
                let why = message.map(|text| format!(": {text}")).unwrap_or_default();
                anyhow!("host {} refused: {errno}{why}", self.name)
            }
            Error::Io(error) => anyhow!("host {} does not answer: {error}", self.name),
        }
    }
}

/// Ends daemons, all at the same time.
pub(crate) fn end_all<'a>(daemons: impl IntoIterator<Item = &'a mut Daemon>) -> anyhow::Result<()> {
    let mut daemons: Vec<&mut Daemon> = daemons.into_iter().collect();
    daemons.iter().try_for_each(|daemon| daemon.terminate())?;
    daemons.iter_mut().try_for_each(|daemon| daemon.await_end())
}

fn bring_up(device: &str, addresses: &[(IpAddr, u8)]) -> anyhow::Result<u32> {
    let mut rtnl = Rtnl::open()?;
    let index = rtnl.index_of(device)?;
    for (address, prefix_len) in addresses {
        rtnl.add_address(index, *address, *prefix_len).map_err(|error| with_ipv6_advice(error, *address))?;
    }
    rtnl.set_up(index, true)?;
    Ok(rtnl.link(index)?.mtu)
}

fn with_ipv6_advice(error: io::Error, address: IpAddr) -> anyhow::Error {
    let error = anyhow::Error::new(error).context(format!("address {address}"));
    match address {
        IpAddr::V4(_) => error,
        IpAddr::V6(_) => error.context("IPv6 must be on: sysctl -w net.ipv6.conf.default.disable_ipv6=0"),
    }
}

/// The process that serves a host. Dropped, it is killed.
pub(crate) struct Daemon {
    child: Child,
    host: &'static str,
}

impl Daemon {
    /// Waits for the daemon's first line: it is ready.
    pub(crate) fn await_ready(&mut self) -> anyhow::Result<()> {
        let stdout = self.child.stdout.as_mut().context("the daemon has no stdout")?;
        let patience = Timespec::try_from(PATIENCE)?;
        let ready = poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&patience))?;
        if ready == 0 {
            bail!("the daemon of host {} was not ready within {} s", self.host, PATIENCE.as_secs());
        }
        let mut line = String::new();
        BufReader::new(stdout.by_ref()).read_line(&mut line)?;
        if line.is_empty() {
            bail!("the daemon of host {} ended before it was ready; see what it says on stderr", self.host);
        }
        Ok(())
    }

    /// Asks the daemon to end.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("the daemon has no process number")?;
        kill_process(pid, Signal::TERM)
            .with_context(|| format!("cannot end the daemon of host {}", self.host))
    }

    /// Waits until it has ended of its own accord; kills it where it does not.
    pub(crate) fn await_end(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the daemon of host {} ended with {status}", self.host),
                None if Instant::now() > deadline => {
                    bail!("the daemon of host {} did not end within {} s", self.host, PATIENCE.as_secs())
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only for a process that has ended and was waited for.
        let _: io::Result<()> = self.child.kill();
        let _: io::Result<_> = self.child.wait();
    }
}
