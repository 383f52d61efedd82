use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "mounts",
    tries: "mounts fresh file systems, binds, remounts what is read-only as writable, unmounts what masks, changes its root",
    stands_for: "CVE-2026-46695 (BoxLite, remount,rw of a read-only share), CVE-2016-1576 (overlay)",
    must: "refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let none = text("none");
    let target = text("/tmp");
    for kind in [
        "tmpfs", "proc", "sysfs", "cgroup", "cgroup2", "devtmpfs", "debugfs", "tracefs", "bpf", "overlay", "ext4", "9p", "nfs",
    ] {
        let kind_text = text(kind);
        let answer = call(libc::SYS_mount, [address(&none), address(&target), address(&kind_text), 0, 0]);
        tries.filtered(&format!("mount {kind}"), answer);
    }
    for path in ["/", "/proc/sys", "/sys", "/dev"] {
        let path_text = text(path);
        let flags = (libc::MS_REMOUNT | libc::MS_BIND) as i64;
        let answer = call(libc::SYS_mount, [0, address(&path_text), 0, flags, 0]);
        tries.filtered(&format!("remount {path}"), answer);
        tries.filtered(
            &format!("umount {path}"),
            call(libc::SYS_umount2, [address(&path_text), libc::MNT_DETACH.into()]),
        );
        let answer = call(
            libc::SYS_mount,
            [address(&path_text), address(&target), 0, libc::MS_BIND as i64, 0],
        );
        tries.filtered(&format!("bind {path}"), answer);
        tries.filtered(
            &format!("pivot_root {path}"),
            call(libc::SYS_pivot_root, [address(&path_text), address(&target)]),
        );
        tries.filtered(&format!("chroot {path}"), call(libc::SYS_chroot, [address(&path_text)]));
    }
    tries.verdict()
}
