use super::SHORT;
use crate::attack::{Attack, Class, Limits, Verdict};
use crate::kernel::{fork, pause_for_ever};
use std::fs::File;
use std::io::{Seek, Write};

pub const ATTACK: Attack = Attack {
    name: "uninterruptible",
    tries: "keeps its children in waits that no signal ends: flushing files and whole disks, without pause",
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

fn flush_for_ever(index: usize) -> ! {
    let block = vec![7; 1 << 20];
    let Ok(mut file) = File::create(format!("/tmp/dirty-{index}")) else {
        pause_for_ever()
    };
    loop {
        let _ = file.rewind();
        for _ in 0..8 {
            let _ = file.write_all(&block);
        }
        let _ = file.sync_all();
        // SAFETY: takes nothing.
        unsafe { libc::sync() };
    }
}
