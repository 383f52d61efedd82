use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

pub const ATTACK: Attack = Attack {
    name: "disk",
    tries: "fills the disk by writing, by reserving, by files that are deleted and still open, by extended attributes",
    stands_for: "hosts whose root disk a sandbox fills",
    must: "no more than the limit is taken, whatever the way",
    ends: &["EXITED", "DISK_LIMIT"],
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let Ok(file) = File::create("/reserved") else {
        return Verdict::Broken("no file can be made".into());
    };
    for size in [1_i64 << 40, 1 << 30, 64 << 20] {
        let answer = call(libc::SYS_fallocate, [file.as_raw_fd().into(), 0, 0, size]);
        tries.refused(&format!("reserve {size} bytes"), answer);
    }
    let mut open = Vec::new();
    let mut taken = 0;
    for index in 0..64 {
        let path = format!("/deleted-{index}");
        let Ok(mut file) = File::create(&path) else { break };
        let _ = std::fs::remove_file(&path);
        taken += (0..4).take_while(|_| file.write_all(&[7; 1 << 20]).is_ok()).count();
        open.push(file);
    }
    tries.check(&format!("{taken} MiB on a disk of 16"), taken <= 16);
    tries.verdict()
}
