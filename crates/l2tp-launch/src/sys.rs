//! System calls that rustix does not have: seccomp's, those on another process's memory, fork. One operation each; what
//! they are for stands in the files that call them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;

/// Installs `program` in the calling thread, with a listener to which its traps go. Once a call has been told to the
/// listener, only a fatal signal ends it (`WAIT_KILLABLE_RECV`, 5.19): it would run twice otherwise.
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN and without `no_new_privs`; `EBUSY` when another filter above has a listener; `EINVAL`
/// on kernels before 5.19, and where seccomp is missing.
pub(crate) fn install_filter(program: &mut [libc::sock_filter]) -> io::Result<OwnedFd> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `program` points to `len` instructions, which the kernel copies.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    match i32::try_from(fd) {
        // SAFETY: seccomp has just returned this descriptor, and nothing else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes the next trapped call from the listener; waits where there is none.
pub(crate) fn receive_notification(listener: BorrowedFd<'_>) -> io::Result<libc::seccomp_notif> {
    let data = libc::seccomp_data { nr: 0, arch: 0, instruction_pointer: 0, args: [0; 6] };
    let mut notification = libc::seccomp_notif { id: 0, pid: 0, flags: 0, data };
    let (fd, request) = (listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV);
    // SAFETY: the kernel writes one seccomp_notif, and wants it zeroed before.
    let status = unsafe { libc::ioctl(fd, request, &raw mut notification) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(notification) }
}

/// Answers a trapped call.
pub(crate) fn send_response(listener: BorrowedFd<'_>, response: libc::seccomp_notif_resp) -> io::Result<()> {
    // SAFETY: the kernel reads one seccomp_notif_resp.
    let status =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const response) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether a trapped call still waits for its answer.
pub(crate) fn is_notification_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one u64.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Puts a descriptor into the table of a trapped caller; returns its number there.
pub(crate) fn add_descriptor(
    listener: BorrowedFd<'_>,
    request: libc::seccomp_notif_addfd,
) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads one seccomp_notif_addfd.
    let fd =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const request) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

/// Reads another process's memory at `address`; returns how many bytes could be read.
pub(crate) fn read_memory(process: Pid, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = remote_part(address, buffer.len())?;
    let pid = process.as_raw_nonzero().get();
    // SAFETY: `local` is writable memory of ours; the kernel checks that `remote` is memory of the process.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Writes to another process's memory at `address`; returns how many bytes could be written.
pub(crate) fn write_memory(process: Pid, address: u64, bytes: &[u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = remote_part(address, bytes.len())?;
    let pid = process.as_raw_nonzero().get();
    // SAFETY: `local` is memory of ours, which is only read; the kernel checks that `remote` is memory of the process.
    let written = unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

fn remote_part(address: u64, len: usize) -> io::Result<libc::iovec> {
    let address = usize::try_from(address).map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: len })
}

/// Whether `thread` is one of the process `process` (tgkill(2) with signal 0).
pub(crate) fn is_thread_of(process: Pid, thread: Pid) -> bool {
    let (process, thread) = (process.as_raw_nonzero().get(), thread.as_raw_nonzero().get());
    // SAFETY: signal 0 is not sent; only whether there is such a thread is found out.
    let status = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, 0) };
    status == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Which side of a fork one is on.
pub(crate) enum Side {
    /// The process that forked; the child's number.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Splits this process in two. It must have one thread.
pub(crate) fn fork() -> io::Result<Side> {
    // SAFETY: there is no other thread whose locks the child could find taken.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => Ok(Side::Child),
        pid => Pid::from_raw(pid).filter(|_| pid > 0).map(Side::Parent).ok_or_else(io::Error::last_os_error),
    }
}

/// A set of these signals.
fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the line above.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: `set` is initialised; a number that is no signal is refused.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// The signals that are blocked in a thread.
#[derive(Clone, Copy)]
pub(crate) struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// Blocks `signals` in the calling thread; returns what was blocked before.
    pub(crate) fn block(signals: &[libc::c_int]) -> Self {
        let mut before = signal_set(&[]);
        let set = signal_set(signals);
        // SAFETY: both sets are initialised. SIG_BLOCK with a valid set cannot fail.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before) };
        Self(before)
    }

    /// Blocks these signals and no others. Safe between fork and exec.
    pub(crate) fn restore(&self) {
        // SAFETY: the set is initialised, and the old mask is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// Waits for one of `signals`, which are blocked; its number, and whether a process sent it (and not the kernel, as for a
/// key of the terminal).
pub(crate) fn wait_for_signal(signals: &[libc::c_int]) -> io::Result<(libc::c_int, bool)> {
    let set = signal_set(signals);
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `set` is initialised, and `info` is writable.
    let signal = unsafe { libc::sigwaitinfo(&raw const set, info.as_mut_ptr()) };
    if signal < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every bit pattern is a valid siginfo_t, and it was zeroed.
    let info = unsafe { info.assume_init() };
    Ok((signal, info.si_code <= 0))
}

/// Ends this process by `signal`, as another was ended, without a core file of its own.
pub(crate) fn die_by(signal: libc::c_int) {
    let limit = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Without it there is a core file too many.
    let _: Result<(), _> = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
    // SAFETY: the default action is always valid.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    SignalMask(signal_set(&[])).restore();
    // SAFETY: raise has no preconditions.
    unsafe { libc::raise(signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_process_is_read_and_written() {
        let own = rustix::process::getpid();
        let mut place = *b"before";
        let address = u64::try_from(place.as_ptr().expose_provenance()).unwrap();
        let mut buffer = [0; 6];
        assert_eq!(read_memory(own, address, &mut buffer).unwrap(), 6);
        assert_eq!(&buffer, b"before");
        assert_eq!(write_memory(own, address, b"after!").unwrap(), 6);
        std::hint::black_box(&mut place);
        assert_eq!(&place, b"after!");
        assert_eq!(read_memory(own, 8, &mut buffer).unwrap_err().raw_os_error(), Some(libc::EFAULT));
    }

    #[test]
    fn threads_belong_to_their_process() {
        let own = rustix::process::getpid();
        let thread = std::thread::spawn(rustix::thread::gettid).join().unwrap();
        assert!(is_thread_of(own, rustix::thread::gettid()));
        let child = std::process::Command::new("sleep").arg("9").spawn().map(|mut child| {
            let is_ours = is_thread_of(own, Pid::from_child(&child));
            child.kill().unwrap();
            child.wait().unwrap();
            is_ours
        });
        assert!(!child.unwrap());
        // A thread that has ended goes a moment after it was joined.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while is_thread_of(own, thread) {
            assert!(std::time::Instant::now() < deadline);
        }
    }

    #[test]
    fn a_signal_and_who_sent_it() {
        std::thread::spawn(|| {
            let mask = SignalMask::block(&[libc::SIGUSR2]);
            // SAFETY: the signal is blocked in this thread, which it is directed to.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR2) }, 0);
            assert_eq!(wait_for_signal(&[libc::SIGUSR2]).unwrap(), (libc::SIGUSR2, true));
            mask.restore();
        })
        .join()
        .unwrap();
    }
}
