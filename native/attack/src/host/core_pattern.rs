use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{End, apart, read_text, sleep_ms, write};

pub const ATTACK: Attack = Attack {
    name: "core-pattern",
    tries: "names a program of its own as the host's handler of crashes, and crashes",
    stands_for: "CVE-2025-31133, CVE-2025-52881 (runc: core_pattern is how both end)",
    must: "the pattern stays, and a crash leaves no dump anywhere",
    ..Attack::new(Class::Host, run)
};

const PATTERN: &str = "/proc/sys/kernel/core_pattern";

fn run() -> Verdict {
    let mut tries = Tries::default();
    let before = read_text(PATTERN);
    tries.refused("write core_pattern", write(PATTERN, b"|/attack powers"));
    tries.check("core_pattern changed", read_text(PATTERN) == before);
    let _ = std::env::set_current_dir("/tmp");
    let end = apart(|| {
        let everything = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: the limit is read, and the child may end in any way it likes.
        unsafe {
            libc::setrlimit(libc::RLIMIT_CORE, &raw const everything);
            libc::abort()
        }
    });
    tries.check(
        &format!("the crash ended as {end:?}"),
        end == Ok(End::Signaled(libc::SIGABRT)),
    );
    sleep_ms(50);
    let dumps = std::fs::read_dir("/tmp").into_iter().flatten().flatten();
    let bytes: u64 = dumps.filter_map(|entry| entry.metadata().ok()).map(|facts| facts.len()).sum();
    tries.check(&format!("a dump of {bytes} bytes was written"), bytes <= 4096);
    tries.verdict()
}
