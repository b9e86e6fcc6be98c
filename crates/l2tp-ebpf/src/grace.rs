//! Waiting until the programs have finished what they are at.
#![expect(unsafe_code, reason = "membarrier, which rustix does not have")]

use std::thread::sleep;
use std::time::Duration;

/// `MEMBARRIER_CMD_GLOBAL`, include/uapi/linux/membarrier.h.
const CMD_GLOBAL: libc::c_int = 1;

/// Much longer than a program runs.
const LONG: Duration = Duration::from_millis(20);

/// Returns when every run of a program that is under way now is over. The kernel's barrier waits for every reader of RCU, which programs are; where
/// there is none (a filter of system calls, CPUs without ticks), time must do.
pub(crate) fn wait_for_programs() {
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, CMD_GLOBAL, 0, 0) };
    if result != 0 {
        sleep(LONG);
    }
}
