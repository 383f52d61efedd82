//! What the kernel holds the lister to, once it reads.
use caisson_seccomp::simulate::check_says_what_is_listed;
use caisson_seccomp::{Rule, loaded};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const RULES: &[Rule] = caisson_seccomp::rules!();
const FIRST_LAYER: i32 = 3;

#[test]
fn the_loaded_filter_allows_what_is_listed_and_no_more() {
    let empty = File::open("/dev/null").expect("/dev/null");
    let mut lister = Command::new(env!("CARGO_BIN_EXE_caisson-lister"));
    lister.args(["1", "1"]).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        lister.pre_exec(move || match libc::dup2(empty.as_raw_fd(), FIRST_LAYER) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => libc::fcntl(FIRST_LAYER, libc::F_SETFD, 0)
                .eq(&0)
                .then_some(())
                .ok_or_else(std::io::Error::last_os_error),
        })
    };
    let [filter] = &loaded::at_the_end_of(&mut lister)[..] else {
        panic!("one filter")
    };
    check_says_what_is_listed(RULES, filter);
}
