use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open};

pub const ATTACK: Attack = Attack {
    name: "userfaultfd",
    tries: "stalls the kernel in the middle of a copy at a page of its choice",
    stands_for: "CVE-2021-22555, CVE-2016-6187 (the step that makes their races certain)",
    must: "refused before the kernel looks at it, and its device is not there",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for flags in [0, libc::O_CLOEXEC | libc::O_NONBLOCK, 1] {
        tries.filtered(&format!("userfaultfd {flags}"), call(libc::SYS_userfaultfd, [flags.into()]));
    }
    tries.refused("open /dev/userfaultfd", open("/dev/userfaultfd", libc::O_RDWR));
    tries.verdict()
}
