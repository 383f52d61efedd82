use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, listed_pids, own_pid, text};

pub const ATTACK: Attack = Attack {
    name: "ptrace",
    tries: "attaches to the process that started it, and to every other, and reads and writes their memory",
    stands_for: "CVE-2019-14271, CVE-2022-0492 (a helper's process taken over), CVE-2014-3519",
    must: "nobody but its own children can be traced",
    ..Attack::new(Class::Agent, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let buffer = text("overwritten");
    for pid in others() {
        let pid = i64::from(pid);
        tries.refused(
            &format!("PTRACE_ATTACH {pid}"),
            call(libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), pid]),
        );
        tries.refused(
            &format!("PTRACE_SEIZE {pid}"),
            call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), pid]),
        );
        let local = libc::iovec {
            iov_base: address(&buffer) as *mut _,
            iov_len: 8,
        };
        let remote = libc::iovec {
            iov_base: 0x40_0000 as *mut _,
            iov_len: 8,
        };
        for (what, number) in [("readv", libc::SYS_process_vm_readv), ("writev", libc::SYS_process_vm_writev)] {
            let [local, remote] = [&raw const local as i64, &raw const remote as i64];
            tries.refused(
                &format!("process_vm_{what} {pid}"),
                call(number, [pid, local, 1, remote, 1, 0]),
            );
        }
    }
    tries.verdict()
}

/// The nested init, and whoever started it: in the namespace of the agent it has a small number too.
fn others() -> impl Iterator<Item = i32> {
    (1..200).chain(listed_pids()).filter(|&pid| pid != own_pid())
}
