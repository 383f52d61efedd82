use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use std::fs::File;
use std::io::{Read, Write};

pub const ATTACK: Attack = Attack {
    name: "page-cache",
    tries: "writes and reads again three times its memory in files, so that their cache is the host's trouble",
    stands_for: "cache of written files that throttles or kills neighbours",
    must: "it gets through, slower, within its own memory",
    limits: Limits {
        memory_mib: 32,
        disk_mib: 128,
        ..TIGHT
    },
    ..Attack::new(Class::Exhaustion, run)
};

const MIB: usize = 96;

fn run() -> Verdict {
    let written = write_and_read().unwrap_or_default();
    match written {
        MIB => Verdict::Held(format!("{MIB} MiB written and read")),
        less => Verdict::Broken(format!("{less} of {MIB} MiB came through")),
    }
}

fn write_and_read() -> std::io::Result<usize> {
    let block = vec![7; 1 << 20];
    let mut file = File::create("/tmp/cached")?;
    for _ in 0..MIB {
        file.write_all(&block)?;
    }
    let mut file = File::open("/tmp/cached")?;
    let mut back = vec![0; 1 << 20];
    let mut read = 0;
    while read < MIB && file.read_exact(&mut back).is_ok() {
        read += 1;
    }
    Ok(read)
}
