use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{read, read_text};

pub const ATTACK: Attack = Attack {
    name: "addresses",
    tries: "learns where the kernel lies in memory, which every attack on it needs first",
    stands_for: "KASLR leaks: kallsyms, modules, /proc/PID/stack, timer_list, notes",
    must: "no address of the kernel can be read",
    ..Attack::new(Class::Information, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let files = [
        "kallsyms",
        "modules",
        "timer_list",
        "sched_debug",
        "vmallocinfo",
        "iomem",
        "self/stack",
        "self/wchan",
        "self/syscall",
        "self/stat",
        "net/unix",
        "net/tcp",
        "net/udp",
        "net/raw",
        "net/netlink",
        "net/packet",
        "net/ptype",
    ];
    for file in files {
        let path = format!("/proc/{file}");
        tries.check(&format!("{path} tells an address"), !has_kernel_address(&read_text(&path)));
    }
    for path in [
        "/sys/kernel/notes",
        "/sys/kernel/vmcoreinfo",
        "/sys/kernel/btf/vmlinux",
        "/proc/config.gz",
        "/boot/System.map",
    ] {
        tries.check(
            &format!("{path} can be read"),
            read(path).map_or(true, |bytes| bytes.is_empty()) || path.contains("config"),
        );
    }
    tries.verdict()
}

/// Sixteen digits that begin with ffff, and are not all f.
fn has_kernel_address(text: &str) -> bool {
    let words = text.split(|letter: char| !letter.is_ascii_hexdigit());
    words
        .filter(|word| word.len() == 16)
        .any(|word| word.starts_with("ffff") && word.bytes().any(|digit| digit != b'f'))
}
