use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, own_pid};

pub const ATTACK: Attack = Attack {
    name: "handles",
    tries: "opens files by their handle, past every folder; takes descriptors and memory of other processes",
    stands_for: "Shocker (Docker, 2014), CVE-2020-27675 class of pidfd abuse",
    must: "refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    // The handle of inode 2, the root of most disks: bytes, kind, inode, generation.
    let handle = [8_u32, 1, 2, 0];
    let at = handle.as_ptr() as i64;
    tries.filtered(
        "open_by_handle_at",
        call(libc::SYS_open_by_handle_at, [libc::AT_FDCWD.into(), at, 0]),
    );
    tries.filtered("pidfd_getfd", call(libc::SYS_pidfd_getfd, [0, 0, 0]));
    tries.filtered("process_madvise", call(libc::SYS_process_madvise, [0, 0, 0, 0, 0]));
    tries.filtered("kcmp", call(libc::SYS_kcmp, [1, own_pid().into(), 0, 0, 0]));
    tries.filtered("fanotify_init", call(libc::SYS_fanotify_init, [0, 0]));
    tries.filtered(
        "name_to_handle_at's twin, lookup_dcookie",
        call(libc::SYS_lookup_dcookie, [0, 0, 0]),
    );
    tries.verdict()
}
