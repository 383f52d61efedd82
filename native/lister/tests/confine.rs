//! What the kernel holds the lister to, once it reads.
use caisson_seccomp::simulate::check_says_what_is_listed;
use caisson_seccomp::{Rule, loaded};
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const RULES: &[Rule] = caisson_seccomp::rules!();
const LISTENER: RawFd = 3;
const FIRST_LAYER: RawFd = 4;
/// Beyond what the test itself has open.
const OUT_OF_THE_WAY: RawFd = 100;

#[test]
fn the_loaded_filter_allows_what_is_listed_and_no_more() {
    let path = std::env::temp_dir().join(format!("caisson-lister-{}", std::process::id()));
    let listener = UnixListener::bind(&path).expect("listens");
    let _connection = UnixStream::connect(&path).expect("connects");
    std::fs::remove_file(path).expect("remove");
    let empty = File::open("/dev/null").expect("/dev/null");
    let mut lister = Command::new(env!("CARGO_BIN_EXE_caisson-lister"));
    lister.args(["1", "1"]).stderr(Stdio::null());
    let files = [(listener.as_raw_fd(), LISTENER), (empty.as_raw_fd(), FIRST_LAYER)];
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        lister.pre_exec(move || {
            let moved = files.map(|(from, to)| (libc::fcntl(from, libc::F_DUPFD_CLOEXEC, OUT_OF_THE_WAY), to));
            let placed = moved.iter().all(|&(from, to)| from >= 0 && libc::dup2(from, to) == to);
            placed.then_some(()).ok_or_else(std::io::Error::last_os_error)
        })
    };
    let [filter] = &loaded::at_the_end_of(&mut lister)[..] else {
        panic!("one filter")
    };
    check_says_what_is_listed(RULES, filter);
}
