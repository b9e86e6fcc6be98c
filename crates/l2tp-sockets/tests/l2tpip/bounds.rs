//! How many, and who may name them.

use crate::lab::caller;
use l2tp_abi::Errno;
use l2tp_core::host::Caller;
use l2tp_sockets::l2tpip::{Domain, SOCKETS_MAX, Sockets};
use l2tp_sockets::quota::{UNPRIVILEGED_MAX, USER_MAX};

/// Opens sockets until one is refused; how many there were.
fn fill(sockets: &mut Sockets, caller: &Caller) -> (usize, Errno) {
    let before = sockets.len();
    loop {
        match sockets.admit(caller) {
            Ok(()) => sockets.open(sockets.len() as u64, *caller, Domain::V4),
            Err(errno) => return (sockets.len() - before, errno),
        }
    }
}

#[test]
fn each_user_all_users_and_all() {
    let mut sockets = Sockets::default();
    for user in 0..UNPRIVILEGED_MAX / USER_MAX {
        let caller = caller(u32::try_from(user).unwrap());
        assert_eq!(fill(&mut sockets, &caller), (USER_MAX, Errno::EMFILE));
        let again = Caller { connection: 9999, ..caller };
        assert_eq!(fill(&mut sockets, &again), (0, Errno::EMFILE), "by another connection");
    }
    assert_eq!(fill(&mut sockets, &caller(1000)), (0, Errno::ENFILE));
    let root = Caller { privileged: true, ..caller(0) };
    assert_eq!(fill(&mut sockets, &root), (SOCKETS_MAX - UNPRIVILEGED_MAX, Errno::ENFILE));
    assert!(sockets.close(3).is_some() && sockets.admit(&root) == Ok(()));
}

#[test]
fn by_number_only_who_opened_it_and_who_has_privilege() {
    let mut sockets = Sockets::default();
    sockets.open(5, caller(7), Domain::V4);
    let root = Caller { privileged: true, ..caller(8) };
    let may = [caller(7), caller(8), root].map(|caller| sockets.may_name(5, &caller));
    assert_eq!(may, [true, false, true]);
    assert!(!sockets.may_name(6, &root));
}
