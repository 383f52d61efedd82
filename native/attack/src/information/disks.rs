use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{read, read_text};

pub const ATTACK: Attack = Attack {
    name: "disks",
    tries: "reads which disks the machine and its other sandboxes have, how large they are, and how busy",
    stands_for: "/sys/block, where each loop device tells its file: neighbours by name, number, size and activity",
    must: "no block device shows",
    ..Attack::new(Class::Information, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let folders = [
        "/sys/block",
        "/sys/class/block",
        "/sys/dev/block",
        "/sys/devices/virtual/block",
        "/sys/fs/ext4",
        "/sys/class/scsi_disk",
    ];
    for folder in folders {
        let names: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        tries.check(&format!("{folder} shows {} devices", names.len()), names.is_empty());
        for name in names.iter().take(2) {
            let file = read_text(&format!("{folder}/{name}/loop/backing_file"));
            tries.check(&format!("{name} tells its file: {}", file.trim()), file.is_empty());
        }
    }
    for path in ["/proc/partitions", "/proc/diskstats", "/proc/swaps", "/proc/mdstat"] {
        let lines = read(path).map_or(0, |bytes| String::from_utf8_lossy(&bytes).lines().count());
        // /proc/swaps has a line of heads.
        tries.check(
            &format!("{path} has {lines} lines"),
            lines <= usize::from(path == "/proc/swaps"),
        );
    }
    tries.verdict()
}
