use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open};

pub const ATTACK: Attack = Attack {
    name: "vsock",
    tries: "talks to the host past every network (AF_VSOCK, and the XEN, Hyper-V and QIPCRTR ways)",
    stands_for: "CVE-2021-26708 (AF_VSOCK), hosts that trust whoever comes by vsock",
    must: "no such socket can be made, and its device is not there",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for family in [40, 42, 43, 44] {
        for kind in [1, 2, 5] {
            tries.filtered(&format!("socket {family} {kind}"), call(libc::SYS_socket, [family, kind, 0]));
        }
    }
    for path in ["/dev/vsock", "/dev/vhost-vsock", "/dev/vmci", "/dev/virtio-ports"] {
        tries.refused(&format!("open {path}"), open(path, libc::O_RDONLY));
    }
    tries.verdict()
}
