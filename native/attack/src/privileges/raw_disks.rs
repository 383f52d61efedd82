use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::open;

pub const ATTACK: Attack = Attack {
    name: "raw-disks",
    tries: "opens disks, loop devices, memory, ports, kernel log, FUSE, KVM and TUN in /dev",
    stands_for: "privileged containers (Daytona), CVE-2026-24054 (Kata)",
    must: "/dev has the harmless seven devices, and nothing else opens",
    ..Attack::new(Class::Privileges, run)
};

const WANTED: [&str; 24] = [
    "vda",
    "vdb",
    "sda",
    "sda1",
    "sdb",
    "nvme0n1",
    "loop0",
    "loop1",
    "loop-control",
    "dm-0",
    "mapper/control",
    "mem",
    "kmem",
    "port",
    "kmsg",
    "fuse",
    "kvm",
    "net/tun",
    "vhost-net",
    "vsock",
    "userfaultfd",
    "cpu/0/msr",
    "sg0",
    "btrfs-control",
];
const HARMLESS: [&str; 16] = [
    "null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "shm", "pts", "ptmx", "mqueue",
    "core", "console",
];

fn run() -> Verdict {
    let mut tries = Tries::default();
    for name in WANTED {
        tries.refused(
            &format!("open /dev/{name}"),
            open(&format!("/dev/{name}"), libc::O_RDONLY | libc::O_NONBLOCK),
        );
    }
    for entry in std::fs::read_dir("/dev").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        tries.check(&format!("/dev/{name} is there"), HARMLESS.contains(&name.as_ref()));
    }
    tries.verdict()
}
