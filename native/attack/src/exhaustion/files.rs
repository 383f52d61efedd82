use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, fork, pause_for_ever};

pub const ATTACK: Attack = Attack {
    name: "open-files",
    tries: "opens as many files as it may, in as many processes as it may",
    stands_for: "hosts out of open files (fs.file-max)",
    must: "each process has its limit, and a neighbour opens files as before",
    ends: &["CANCELLED"],
    holds: true,
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    while let Ok(child) = fork() {
        if child == 0 {
            hoard();
            pause_for_ever();
        }
    }
    let opened = hoard();
    tries.check(&format!("{opened} files under a limit of 256"), opened <= 256);
    let more = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: 1 << 20,
    };
    let raise = [0, libc::RLIMIT_NOFILE.into(), &raw const more as i64, 0];
    tries.refused("raise the limit", call(libc::SYS_prlimit64, raise));
    // Two are given back, for the run's own last words.
    tries.verdict()
}

fn hoard() -> usize {
    (0..2000).take_while(|_| call(libc::SYS_dup, [1]).is_ok()).count()
}
