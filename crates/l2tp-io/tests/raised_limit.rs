//! As many descriptors as the host allows. Alone in its process: the limit is for all.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..before }).unwrap();
    l2tp_io::limits::allow_many_descriptors();
    let after = getrlimit(Resource::Nofile);
    assert_eq!((after.current, after.maximum), (before.maximum, before.maximum));
}
