use super::ONLY;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{open, read};

pub const ATTACK: Attack = Attack {
    name: "machine-hardware",
    tries: "reads memory, firmware and configuration of its machine, and maps the registers of its devices",
    stands_for: "CVE-2026-5747 (Firecracker, from a device's registers), CVE-2019-18960",
    must: "none of it opens: attacks on the VMM need the guest's kernel first",
    backends: ONLY,
    ..Attack::new(Class::Microvm, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let paths = [
        "/dev/mem",
        "/dev/port",
        "/dev/kmem",
        "/dev/nvram",
        "/dev/cpu/0/msr",
        "/sys/firmware/qemu_fw_cfg",
        "/sys/firmware/acpi",
        "/sys/bus/pci",
        "/sys/devices/pci0000:00",
        "/sys/devices/platform",
        "/sys/bus/virtio",
        "/sys/kernel/debug",
        "/sys/hypervisor",
    ];
    for path in paths {
        tries.refused(&format!("open {path}"), open(path, libc::O_RDONLY));
    }
    for path in [
        "/proc/iomem",
        "/proc/ioports",
        "/proc/cmdline",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/modules",
    ] {
        tries.check(
            &format!("{path} can be read"),
            read(path).map_or(true, |bytes| bytes.is_empty()),
        );
    }
    tries.verdict()
}
