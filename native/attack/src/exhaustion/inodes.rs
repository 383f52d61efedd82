use crate::attack::{Attack, Class, Verdict};
use std::fs::File;

pub const ATTACK: Attack = Attack {
    name: "inodes",
    tries: "makes empty files without end, which take no space but inodes",
    stands_for: "hosts whose disk has room and takes no file any more",
    must: "the run's own disk has no more, long before the host's",
    ends: &["EXITED", "DISK_LIMIT"],
    ..Attack::new(Class::Exhaustion, run)
};

const MOST: usize = 60_000;

fn run() -> Verdict {
    let _ = std::fs::create_dir("/many");
    let made = (0..MOST)
        .take_while(|index| File::create(format!("/many/{index}")).is_ok())
        .count();
    if made < MOST {
        Verdict::Held(format!("{made} files"))
    } else {
        Verdict::Broken(format!("{made} files, and no end, on a disk of 16 MiB"))
    }
}
