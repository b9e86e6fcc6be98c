//! bpf(2): hash maps, socket filters.

pub(crate) mod assembler;

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An instruction (struct bpf_insn of include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    /// Destination register in the low four bits, source register in the high four.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

/// enum bpf_cmd.
const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_MAP_DELETE_ELEM: i32 = 3;
const BPF_PROG_LOAD: i32 = 5;
/// enum bpf_map_type, enum bpf_prog_type; flag of a map that takes memory as it fills.
const BPF_MAP_TYPE_HASH: u32 = 1;
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;
const BPF_F_NO_PREALLOC: u32 = 1;

/// union bpf_attr for BPF_MAP_CREATE.
#[derive(Clone, Copy)]
#[repr(C)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

/// union bpf_attr for the commands on elements.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// union bpf_attr for BPF_PROG_LOAD, up to what is needed.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// A hash map with keys of `K` bytes and values of `V` bytes.
pub(crate) struct Map<const K: usize, const V: usize> {
    descriptor: OwnedFd,
}

impl<const K: usize, const V: usize> Map<K, V> {
    pub(crate) fn new(max_entries: u32) -> io::Result<Self> {
        let attributes = MapCreate {
            kind: BPF_MAP_TYPE_HASH,
            key_size: u32::try_from(K).unwrap_or(u32::MAX),
            value_size: u32::try_from(V).unwrap_or(u32::MAX),
            max_entries,
            flags: BPF_F_NO_PREALLOC,
        };
        // SAFETY: MapCreate is a prefix of union bpf_attr without pointers.
        let fd = unsafe { bpf(BPF_MAP_CREATE, &attributes) }?;
        // SAFETY: the call has just returned this descriptor, and nothing else owns it.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    pub(crate) fn insert(&self, key: [u8; K], value: [u8; V]) -> io::Result<()> {
        let attributes = self.element(&key, Some(&value));
        // SAFETY: `key` and `value` live through the call and have the sizes that the map was made with.
        unsafe { bpf(BPF_MAP_UPDATE_ELEM, &attributes) }.map(|_| ())
    }

    /// Removes an element, if it is there.
    pub(crate) fn remove(&self, key: [u8; K]) {
        let attributes = self.element(&key, None);
        // SAFETY: `key` lives through the call and has the size that the map was made with.
        let _missing_is_no_error = unsafe { bpf(BPF_MAP_DELETE_ELEM, &attributes) };
    }

    fn element(&self, key: &[u8; K], value: Option<&[u8; V]>) -> Element {
        Element {
            map: u32::try_from(self.as_raw_fd()).unwrap_or(u32::MAX),
            padding: 0,
            key: address(key.as_ptr()),
            value: value.map_or(0, |value| address(value.as_ptr())),
            flags: 0,
        }
    }
}

/// Loads a socket filter that any process may have.
pub(crate) fn load_socket_filter(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"Dual MIT/GPL";
    let attributes = ProgramLoad {
        kind: BPF_PROG_TYPE_SOCKET_FILTER,
        instruction_count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        instructions: address(instructions.as_ptr()),
        license: address(license.as_ptr()),
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the instructions and the licence live through the call, and their number is given.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &attributes) }?;
    // SAFETY: the call has just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts a classic filter on a socket (SO_ATTACH_FILTER, socket(7)).
pub(crate) fn attach_classic(socket: impl AsFd, filter: &[libc::sock_filter]) -> io::Result<()> {
    // SAFETY: zeroes are valid for a count and a pointer.
    let mut program: libc::sock_fprog = unsafe { zeroed() };
    program.len = u16::try_from(filter.len()).unwrap_or_default();
    // The kernel only reads it.
    program.filter = filter.as_ptr().cast_mut();
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).unwrap_or_default();
    let raw = socket.as_fd().as_raw_fd();
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    // SAFETY: `program` is readable for its own size and points at `filter`, which lives through the call.
    let status = unsafe { libc::setsockopt(raw, level, option, (&raw const program).cast(), size) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A pointer as union bpf_attr holds it.
fn address<T>(pointer: *const T) -> u64 {
    // A pointer is never wider.
    u64::try_from(pointer.addr()).unwrap_or_default()
}

/// Calls bpf(2).
///
/// # Safety
/// `attributes` must be what union bpf_attr is for `command`, and what it points at must live through the call.
unsafe fn bpf<T>(command: i32, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: by this function's own contract.
    let status = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    RawFd::try_from(status).map_err(io::Error::other)
}
