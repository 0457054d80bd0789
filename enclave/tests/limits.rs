//! Do the limits hold once they are set, and is any process but the first left alone? A test of its
//! own, since limits hold for the whole process.

use nitro_signer_enclave::first_process::FirstProcess;
use nitro_signer_enclave::limits;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[test]
fn the_limits_hold_and_more_open_files_are_refused() {
    let limited = limits::apply().expect("the kernel takes them");
    assert!(FirstProcess::prepare(&limited).expect("does nothing").is_none());
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
