use crate::attack::{Attack, Class, Verdict};
use crate::kernel::map;

pub const ATTACK: Attack = Attack {
    name: "memory",
    tries: "takes memory, and says with its oom_score_adj that others should die for it",
    stands_for: "out-of-memory kills that hit the host's own processes",
    must: "OOM_KILLED, and nobody else is",
    ends: &["OOM_KILLED"],
    ..Attack::new(Class::Exhaustion, run)
};

const STEP: usize = 4 << 20;
const MOST: usize = 384 << 20;

fn run() -> Verdict {
    let _ = crate::kernel::write("/proc/self/oom_score_adj", b"-1000");
    let mut taken = 0;
    while taken < MOST {
        let Ok(place) = map(STEP) else { break };
        for page in (0..STEP).step_by(4096) {
            // SAFETY: within the mapping.
            unsafe { place.add(page).write_volatile(1) };
        }
        taken += STEP;
    }
    Verdict::Broken(format!("took {} MiB under a limit of 64", taken >> 20))
}
