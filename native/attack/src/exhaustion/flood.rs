use crate::attack::{Attack, Class, Verdict};
use std::io::Write;

pub const ATTACK: Attack = Attack {
    name: "flood",
    tries: "writes without end to both its outputs",
    stands_for: "logs that fill the disk or the store of the service",
    must: "OUTPUT_LIMIT",
    ends: &["OUTPUT_LIMIT"],
    ..Attack::new(Class::Exhaustion, run)
};

const MOST: usize = 4096;

fn run() -> Verdict {
    let block = vec![b'x'; 1 << 16];
    let written = (0..MOST)
        .take_while(|_| std::io::stdout().write_all(&block).is_ok() && std::io::stderr().write_all(&block).is_ok())
        .count();
    Verdict::Broken(format!("{} KiB of output under a limit of 64", written * 128))
}
