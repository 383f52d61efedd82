//! What the kernel holds the converter to, once it waits for a layer.
use caisson_seccomp::simulate::check_says_what_is_listed;
use caisson_seccomp::{Rule, loaded};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const RULES: &[Rule] = caisson_seccomp::rules!();
/// Listener, output, spool and a layer; nobody can be accepted on a file, so it ends where it would begin to read.
const GIVEN: [i32; 4] = [3, 4, 5, 6];

#[test]
fn the_loaded_filter_allows_what_is_listed_and_no_more() {
    let file = File::open("/dev/null").expect("/dev/null");
    let mut converter = Command::new(env!("CARGO_BIN_EXE_caisson-converter"));
    converter
        .args(["fold", "--layers", "1", "--max-bytes", "1", "--max-entries", "1"])
        .stderr(Stdio::null());
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        converter.pre_exec(move || {
            for number in GIVEN {
                if libc::dup2(file.as_raw_fd(), number) == -1 || libc::fcntl(number, libc::F_SETFD, 0) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        })
    };
    let [filter] = &loaded::at_the_end_of(&mut converter)[..] else {
        panic!("one filter")
    };
    check_says_what_is_listed(RULES, filter);
}
