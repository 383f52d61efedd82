use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open};
use std::os::fd::AsRawFd;

pub const ATTACK: Attack = Attack {
    name: "namespaces",
    tries: "makes a user namespace, in which it has every capability, and every other kind; enters those of others",
    stands_for: "CVE-2022-0185, CVE-2024-1086, CVE-2023-0386, CVE-2022-0492 (all begin with a user namespace)",
    must: "unshare, clone, clone3 and setns are refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

const KINDS: [(&str, i32); 8] = [
    ("user", libc::CLONE_NEWUSER),
    ("pid", libc::CLONE_NEWPID),
    ("mnt", libc::CLONE_NEWNS),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("time", 0x80),
];

fn run() -> Verdict {
    let mut tries = Tries::default();
    for (kind, flag) in KINDS {
        tries.filtered(&format!("unshare {kind}"), call(libc::SYS_unshare, [flag.into()]));
        tries.filtered(
            &format!("unshare {kind} and user"),
            call(libc::SYS_unshare, [i64::from(flag | libc::CLONE_NEWUSER)]),
        );
        // A stack of nobody's: were it let through, the child would crash at once.
        let clone = call(libc::SYS_clone, [i64::from(flag | libc::CLONE_NEWUSER | libc::SIGCHLD)]);
        if clone == Ok(0) {
            crate::kernel::leave(0);
        }
        tries.filtered(&format!("clone {kind}"), clone);
        if let Ok(own) = open(&format!("/proc/self/ns/{kind}"), libc::O_RDONLY) {
            tries.filtered(&format!("setns {kind}"), call(libc::SYS_setns, [own.as_raw_fd().into(), 0]));
        }
    }
    tries.filtered("clone3", call(libc::SYS_clone3, [0, 0]));
    tries.verdict()
}
