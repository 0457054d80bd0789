//! Do the limits hold once they are set? A test of its own, since they hold for the whole process.

use nitro_signer_enclave::limits;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[test]
fn the_limits_hold_and_more_open_files_are_refused() {
    limits::apply().expect("the kernel takes them");
    assert_eq!(getrlimit(Resource::RLIMIT_CORE).expect("is told"), (0, 0));
    assert!(!prctl::get_dumpable().expect("is told"));
    assert!(prctl::get_no_new_privs().expect("is told"));
    let (most, _) = getrlimit(Resource::RLIMIT_NOFILE).expect("is told");
    let open: Vec<_> = (0..=most).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
    assert!(!open.is_empty() && (open.len() as u64) < most, "{} files", open.len());
    drop(open);
    limits::apply().expect("a second time changes nothing");
    assert!(setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok());
}
