//! The supervisor's loop: trapped calls in, answers out, until the last process under the filter has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use l2tp_io::linger::Linger;
use l2tp_io::poller::{Events, Interest, Poller};

use crate::daemon::Starter;
use crate::defer::Waiting;
use crate::endpoint::{Endpoints, Kind};
use crate::family::{Ids, outward};
use crate::filter::Syscall;
use crate::genl::Sockets;
use crate::namespace::{Identity, Namespaces};
use crate::notify::{Answer, Call, Listener};
use crate::ppp::is_about_a_unit;
use crate::remote::Memory;
use crate::task::Tasks;
use crate::transfer::Use;
use crate::window::Window;

/// How often it is looked whether a namespace is still in use.
const SWEEP: Duration = Duration::from_secs(1);
/// How often callers that wait, and sockets without room, are looked at.
const TICK: Duration = Duration::from_millis(10);
/// Events taken at once.
const EVENTS: usize = 16;

/// Address families, as socket(2) takes them.
const NETLINK: u32 = libc::AF_NETLINK.cast_unsigned();
const PPPOX: u32 = libc::AF_PPPOX.cast_unsigned();

const LISTENER: u64 = 0;
const PROGRAM: u64 = 1;
/// What somebody waits for: notifications, a socket to be readable. Which of them does not matter.
pub(crate) const AWAITED: u64 = 2;

/// What woke the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The program that was launched has ended.
    ProgramEnded,
    /// No process is under the filter any more.
    AllEnded,
}

/// Everything that the supervisor has.
pub(crate) struct Supervisor {
    pub(crate) listener: Listener,
    pub(crate) window: Window,
    pub(crate) tasks: Tasks,
    pub(crate) sockets: Sockets,
    pub(crate) endpoints: Endpoints,
    pub(crate) namespaces: Namespaces,
    pub(crate) starter: Starter,
    /// The ids that programs see.
    pub(crate) seen: Ids,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) poller: Poller,
    linger: Linger,
    /// The namespace that we are in.
    home: Identity,
    /// A socket may have no room for what is there for it.
    pub(crate) is_backed_up: bool,
    last_tick: Instant,
    next_sweep: Option<Instant>,
    verbose: bool,
}

impl Supervisor {
    pub(crate) fn new(
        listener: Listener,
        window: Window,
        seen: Ids,
        starter: Starter,
        verbose: bool,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        let starter_home = starter.home()?;
        poller.add(&listener, LISTENER, Interest::Read)?;
        Ok(Self {
            listener,
            window,
            tasks: Tasks::default(),
            sockets: Sockets::new()?,
            endpoints: Endpoints::new()?,
            namespaces: Namespaces::default(),
            starter,
            seen,
            waiting: Vec::new(),
            poller,
            linger: Linger::default(),
            home: starter_home,
            is_backed_up: false,
            last_tick: Instant::now(),
            next_sweep: None,
            verbose,
        })
    }

    /// Watches for the end of the launched program.
    pub(crate) fn watch_program(&self, pidfd: &OwnedFd) -> io::Result<()> {
        self.poller.add(pidfd, PROGRAM, Interest::Read)
    }

    /// Its end has been seen.
    pub(crate) fn forget_program(&self, pidfd: &OwnedFd) -> io::Result<()> {
        self.poller.remove(pidfd)
    }

    /// Serves until something ends.
    pub(crate) fn run(&mut self) -> io::Result<Woken> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.poller.wait_awake(&mut events, self.patience(), &mut self.linger)?;
            for event in events.iter() {
                match event.token {
                    LISTENER if event.closed => return Ok(Woken::AllEnded),
                    LISTENER => self.serve(),
                    PROGRAM => return Ok(Woken::ProgramEnded),
                    _ => self.hear(),
                }
            }
            self.tick();
        }
    }

    /// Whether all processes under the filter have ended by now.
    pub(crate) fn is_over(&self) -> io::Result<bool> {
        let mut events = Events::with_capacity(EVENTS);
        self.poller.wait(&mut events, Some(Duration::ZERO))?;
        Ok(events.iter().any(|event| event.token == LISTENER && event.closed))
    }

    /// Looks again soon which namespaces are in use.
    pub(crate) fn sweep_soon(&mut self) {
        self.next_sweep.get_or_insert_with(|| Instant::now() + SWEEP);
    }

    /// Hears the group "l2tp" of a namespace, if a program there listens and there is a daemon.
    pub(crate) fn listen_in(&mut self, identity: Identity) {
        if !self.sockets.any_in(identity, true) {
            return;
        }
        let Some(namespace) = self.namespaces.get_mut(identity) else { return };
        if let Ok(Some(ear)) = namespace.listen() {
            // It has just been opened: it can be watched.
            let _: io::Result<()> = self.poller.add(ear, AWAITED, Interest::Read);
        }
    }

    fn serve(&mut self) {
        // An error means that the caller died.
        let Ok(Some(call)) = self.listener.receive() else { return };
        let answer = self.handle(&call);
        if self.verbose {
            crate::tell(&format!("{} {:?} -> {answer:?}", call.thread.as_raw_nonzero(), call.syscall));
        }
        if let Answer::Wait(deadline) = answer {
            self.wait(call, deadline);
        }
        self.listener.answer(&call, &answer);
    }

    /// What becomes of a call. Whatever goes wrong with us, the call goes on as if it had not been trapped.
    pub(crate) fn handle(&mut self, call: &Call) -> Answer {
        let handled = catch_unwind(AssertUnwindSafe(|| match call.syscall {
            Syscall::Socket if call.word(0) == NETLINK => self.open_generic_netlink(call),
            Syscall::Socket if call.word(0) == PPPOX => self.open_pppol2tp(call),
            Syscall::Socket => self.open_l2tpip(call),
            Syscall::Open | Syscall::Openat => self.open_path(call),
            _ if is_about_a_unit(call) => self.tell_unit(call),
            // Most calls outside of the window are on what is not ours.
            _ if !self.window.contains(call.word(0)) && !self.endpoints.any_anywhere() => {
                Ok(Answer::Continue)
            }
            _ => self.handle_use(call),
        }));
        match handled {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                if self.verbose {
                    crate::tell(&format!("{:?}: {error}", call.syscall));
                }
                Answer::Continue
            }
            Err(_) => Answer::Continue,
        }
    }

    /// A call on a descriptor.
    fn handle_use(&mut self, call: &Call) -> io::Result<Answer> {
        let process = self.tasks.process(call.thread)?;
        let socket = process.descriptor(call.int(0))?;
        let cookie = rustix::net::sockopt::socket_cookie(&socket)?;
        let at = Use { call, process, memory: Memory::of(call.thread), socket, cookie };
        if let Some(endpoint) = self.endpoints.get(cookie) {
            return match endpoint.kind {
                Kind::L2tpip(_) => self.use_l2tpip(&at, endpoint),
                Kind::Pppol2tp | Kind::DevPpp => self.use_ppp(&at, endpoint),
            };
        }
        let Some(known) = self.sockets.get_mut(cookie) else { return Ok(Answer::Continue) };
        known.used_by(call.thread);
        match call.syscall {
            Syscall::Sendto | Syscall::Sendmsg | Syscall::Sendmmsg | Syscall::Write | Syscall::Writev => {
                self.send(&at)
            }
            Syscall::Setsockopt => self.set_option(&at),
            Syscall::Connect => self.connect(&at),
            Syscall::Dup | Syscall::Fcntl => self.duplicate(&at, self.window.netlink()),
            Syscall::Recvfrom | Syscall::Recvmsg | Syscall::Recvmmsg | Syscall::Read | Syscall::Readv => {
                self.receive(&at)
            }
            _ => Ok(Answer::Continue),
        }
    }

    /// Gives notifications to those who listen.
    fn hear(&mut self) {
        for (identity, namespace) in self.namespaces.iter_mut() {
            for mut datagram in namespace.hear() {
                outward(&mut datagram, &[], namespace.ids, self.seen);
                let members = self.sockets.iter_mut().filter(|socket| socket.is_member);
                for socket in members.filter(|socket| socket.namespace == identity) {
                    socket.notify(namespace.injector(), &datagram);
                }
            }
        }
        self.look_at_waiting();
    }

    /// How long to sleep at most.
    fn patience(&self) -> Option<Duration> {
        let tick = (self.is_backed_up || !self.waiting.is_empty()).then_some(TICK);
        let sweep = self.next_sweep.map(|at| at.saturating_duration_since(Instant::now()));
        tick.into_iter().chain(sweep).min()
    }

    /// What is to be done from time to time.
    fn tick(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.last_tick) >= TICK {
            self.last_tick = now;
            self.push_on();
            self.look_at_waiting();
        }
        if self.next_sweep.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
    }

    /// Tries again to give sockets what they had no room for.
    fn push_on(&mut self) {
        if !std::mem::take(&mut self.is_backed_up) {
            return;
        }
        for socket in self.sockets.iter_mut().filter(|socket| socket.is_waiting()) {
            if let Some(namespace) = self.namespaces.get(socket.namespace) {
                socket.pump(namespace.injector());
            }
            self.is_backed_up |= socket.is_waiting();
        }
    }

    /// Lets go of namespaces in which no program has a socket any more, so that they can end.
    fn sweep(&mut self, now: Instant) {
        self.next_sweep = None;
        // What cannot be found out is kept.
        if self.sockets.forget_closed().and_then(|()| self.endpoints.forget_closed()).is_err() {
            return;
        }
        let (sockets, endpoints, home) = (&self.sockets, &self.endpoints, self.home);
        let is_used = |identity| sockets.any_in(identity, false) || endpoints.any_in(identity);
        // Our own namespace lives for as long as we do.
        self.namespaces.retain(|identity| identity == home || is_used(identity));
        if self.namespaces.any_besides(home) {
            self.next_sweep = Some(now + SWEEP);
        }
    }
}
