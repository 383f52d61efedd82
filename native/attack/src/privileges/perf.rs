use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "perf",
    tries: "counts and samples events of processors and kernel",
    stands_for: "CVE-2013-2094 (perf_event_open), CVE-2023-5717, CVE-2020-14351",
    must: "refused before the kernel looks at it",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for kind in 0..6_u32 {
        let mut attributes = [0_u32; 32];
        attributes[0] = kind;
        attributes[1] = size_of_val(&attributes) as u32;
        for (pid, cpu) in [(0, -1), (-1, 0)] {
            let answer = call(libc::SYS_perf_event_open, [attributes.as_ptr() as i64, pid, cpu, -1, 0]);
            tries.filtered(&format!("perf_event_open {kind} of {pid}"), answer);
        }
    }
    tries.verdict()
}
