//! This test program, copied into an image and run as a payload with uid 0: asks the kernel for what it must not get.
use crate::host::set_mode;
use crate::sandbox::{Sandbox, exec, within_reach};
use std::io::Error;

const INIT: i32 = 1;

fn call(number: i64, arguments: [usize; 5]) -> i64 {
    let [a, b, c, d, e] = arguments;
    // SAFETY: pointers among the arguments are null or of locals that outlive the call; a failed call changes nothing.
    unsafe { libc::syscall(number, a, b, c, d, e, 0usize) }
}

/// "name ERRNO", or "name ALLOWED".
fn attempt(name: &str, number: i64, arguments: [usize; 5]) {
    let answer = match call(number, arguments) {
        -1 => caisson_frame::ErrnoName(Error::last_os_error().raw_os_error().unwrap_or(0)).to_string(),
        _ => "ALLOWED".to_owned(),
    };
    println!("probe: {name} {answer}");
}

#[test]
#[ignore = "runs inside of a sandbox"]
fn payload() {
    let init = INIT as usize;
    let limit = [0u64, 0];
    let mask = [1u64];
    let local = [0u8; 8];
    let vector = [libc::iovec {
        iov_base: local.as_ptr().cast_mut().cast(),
        iov_len: 8,
    }];
    let far = [libc::iovec {
        iov_base: payload as *mut libc::c_void,
        iov_len: 8,
    }];
    attempt(
        "ptrace-attach",
        libc::SYS_ptrace,
        [libc::PTRACE_ATTACH as usize, init, 0, 0, 0],
    );
    attempt("ptrace-seize", libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, init, 0, 0, 0]);
    attempt(
        "prlimit",
        libc::SYS_prlimit64,
        [init, libc::RLIMIT_CPU as usize, limit.as_ptr() as usize, 0, 0],
    );
    attempt(
        "affinity",
        libc::SYS_sched_setaffinity,
        [init, 8, mask.as_ptr() as usize, 0, 0],
    );
    attempt(
        "priority",
        libc::SYS_setpriority,
        [libc::PRIO_PROCESS as usize, init, 19, 0, 0],
    );
    attempt(
        "vm-read",
        libc::SYS_process_vm_readv,
        [init, vector.as_ptr() as usize, 1, far.as_ptr() as usize, 1],
    );
    let pidfd = call(libc::SYS_pidfd_open, [init, 0, 0, 0, 0]);
    attempt("pidfd-getfd", libc::SYS_pidfd_getfd, [pidfd as usize, 0, 0, 0, 0]);
    attempt(
        "setns",
        libc::SYS_setns,
        [pidfd as usize, libc::CLONE_NEWNS as usize, 0, 0, 0],
    );
    attempt("kcmp", libc::SYS_kcmp, [init, init, 0, 0, 0]);
    attempt("unshare-user", libc::SYS_unshare, [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0]);
    attempt(
        "clone-user",
        libc::SYS_clone,
        [(libc::CLONE_NEWUSER | libc::SIGCHLD) as usize, 0, 0, 0, 0],
    );
    attempt("clone3", libc::SYS_clone3, [0, 0, 0, 0, 0]);
    attempt("mount", libc::SYS_mount, [0, 0, 0, 0, 0]);
    attempt("fsopen", libc::SYS_fsopen, [c"tmpfs".as_ptr() as usize, 0, 0, 0, 0]);
    attempt(
        "open_tree",
        libc::SYS_open_tree,
        [-100isize as usize, c"/".as_ptr() as usize, 1, 0, 0],
    );
    attempt("chroot", libc::SYS_chroot, [c"/".as_ptr() as usize, 0, 0, 0, 0]);
    attempt("io_uring", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]);
    attempt("bpf", libc::SYS_bpf, [0, 0, 0, 0, 0]);
    attempt("perf", libc::SYS_perf_event_open, [0, 0, 0, 0, 0]);
    attempt("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]);
    attempt("keyctl", libc::SYS_keyctl, [0, 0, 0, 0, 0]);
    attempt(
        "alg",
        libc::SYS_socket,
        [libc::AF_ALG as usize, libc::SOCK_SEQPACKET as usize, 0, 0, 0],
    );
    attempt(
        "packet",
        libc::SYS_socket,
        [libc::AF_PACKET as usize, libc::SOCK_RAW as usize, 0, 0, 0],
    );
    attempt(
        "vsock",
        libc::SYS_socket,
        [libc::AF_VSOCK as usize, libc::SOCK_STREAM as usize, 0, 0, 0],
    );
    attempt(
        "raw",
        libc::SYS_socket,
        [libc::AF_INET as usize, libc::SOCK_RAW as usize, 1, 0, 0],
    );
    attempt(
        "audit",
        libc::SYS_socket,
        [
            libc::AF_NETLINK as usize,
            libc::SOCK_RAW as usize,
            libc::NETLINK_AUDIT as usize,
            0,
            0,
        ],
    );
    attempt(
        "route",
        libc::SYS_socket,
        [
            libc::AF_NETLINK as usize,
            libc::SOCK_RAW as usize,
            libc::NETLINK_ROUTE as usize,
            0,
            0,
        ],
    );
    attempt("securebits", libc::SYS_prctl, [libc::PR_SET_SECUREBITS as usize, 0, 0, 0, 0]);
    attempt("setuid-other", libc::SYS_setresuid, [5, 5, 5, 0, 0]);
    attempt("setgroups", libc::SYS_setgroups, [0, 0, 0, 0, 0]);
    attempt(
        "raise-files",
        libc::SYS_prlimit64,
        [0, libc::RLIMIT_NOFILE as usize, [4096u64, 4096].as_ptr() as usize, 0, 0],
    );
    attempt("newer-than-us", 1000, [0; 5]);
    attempt("x32-getpid", 0x4000_0000 + libc::SYS_getpid, [0; 5]);
}

#[test]
fn the_kernel_refuses_what_it_must() {
    let folder = tempfile::Builder::new().prefix("t-agent-").tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let this = within_reach(folder.path(), &std::env::current_exe().unwrap());
    let image = format!("cp {} probe", this.display());
    let outcome = Sandbox::with_image(&image).run(exec(&["/probe", "--exact", "probe::payload", "--ignored", "--nocapture"]));
    let answers: Vec<&str> = outcome
        .out()
        .lines()
        .filter_map(|line| Some(line.split_once("probe: ")?.1))
        .collect();
    let allowed: Vec<&&str> = answers.iter().filter(|answer| answer.ends_with("ALLOWED")).collect();
    assert_eq!(allowed, [&"route ALLOWED"], "{answers:?}");
    for missing in ["clone3", "newer-than-us", "x32-getpid"] {
        assert!(
            answers.contains(&format!("{missing} ENOSYS").as_str()),
            "{missing} in {answers:?}"
        );
    }
    assert_eq!(
        answers.iter().filter(|answer| answer.ends_with("EPERM")).count(),
        29,
        "{answers:?}"
    );
}
