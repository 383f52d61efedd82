use super::SHORT;
use crate::attack::{Attack, Class, Limits, Verdict};
use crate::kernel::{fork, pause_for_ever};
use std::fs::OpenOptions;
use std::io::{Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

pub const ATTACK: Attack = Attack {
    name: "uninterruptible",
    tries: "keeps its children in waits that no signal ends: writing past the cache, flushing files and everybody's disks, without pause",
    stands_for: "processes in state D that hold up whoever waits for them",
    must: "WALL_TIMEOUT in time, and nothing is left",
    ends: &["WALL_TIMEOUT"],
    limits: Limits { disk_mib: 64, ..SHORT },
    ..Attack::new(Class::Time, run)
};

fn run() -> Verdict {
    for index in 0..6 {
        if fork() == Ok(0) {
            flush_for_ever(index);
        }
    }
    pause_for_ever()
}

/// What a disk wants to be handed directly.
#[repr(align(4096))]
struct Block([u8; 1 << 20]);

fn flush_for_ever(index: usize) -> ! {
    let block = Box::new(Block([7; 1 << 20]));
    let path = format!("/tmp/dirty-{index}");
    let direct = OpenOptions::new()
        .write(true)
        .create(true)
        .custom_flags(libc::O_DIRECT)
        .open(path);
    let Ok(mut file) = direct else { pause_for_ever() };
    loop {
        let _ = file.rewind();
        for _ in 0..8 {
            let _ = file.write_all(&block.0);
        }
        let _ = file.sync_all();
        // SAFETY: takes nothing.
        unsafe { libc::sync() };
    }
}
