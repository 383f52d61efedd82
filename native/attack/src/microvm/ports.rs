use super::ONLY;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, open, text};

pub const ATTACK: Attack = Attack {
    name: "machine-ports",
    tries: "speaks on the virtio port by which the agent speaks with the host",
    stands_for: "guests that forge their agent's word; CVE-2019-14835 class of virtio attacks",
    must: "no port opens, and none can be made as a device",
    backends: ONLY,
    ..Attack::new(Class::Microvm, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for device in 0..4 {
        for port in 0..4 {
            let path = format!("/dev/vport{device}p{port}");
            tries.refused(&format!("open {path}"), open(&path, libc::O_RDWR | libc::O_NONBLOCK));
        }
    }
    for path in [
        "/dev/virtio-ports",
        "/sys/class/virtio-ports",
        "/sys/bus/virtio/devices",
        "/dev/hvc0",
        "/dev/hwrng",
        "/dev/ttyS0",
    ] {
        tries.refused(&format!("open {path}"), open(path, libc::O_RDONLY | libc::O_NONBLOCK));
    }
    for major in 240..255 {
        let path = text(&format!("/tmp/port-{major}"));
        let answer = call(
            libc::SYS_mknod,
            [
                address(&path),
                i64::from(libc::S_IFCHR | 0o600),
                libc::makedev(major, 1) as i64,
            ],
        );
        tries.refused(&format!("mknod {major}:1"), answer);
    }
    tries.verdict()
}
