use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{End, apart, call};
use caisson_seccomp::Verdict as ByList;

pub const ATTACK: Attack = Attack {
    name: "numbers",
    tries: "makes every system call that the reviewed list does not allow, up to number 1023",
    stands_for: "calls that are newer than a filter; profiles that allow more than they say",
    must: "each is answered by the filter: the profile allows what guest/agent/seccomp.json says, and no more",
    ..Attack::new(Class::Privileges, run)
};

/// uretprobe, uprobe: the kernel lets them pass every filter, and they fail or kill whoever is not on a trampoline of its own making.
const TRAMPOLINES: [i64; 2] = [335, 336];

fn run() -> Verdict {
    let mut tries = Tries::default();
    let rules = caisson_seccomp::rules!().iter();
    let allowed: Vec<i64> = rules
        .filter(|rule| rule.verdict == ByList::Allow)
        .map(|rule| rule.number.into())
        .collect();
    for number in (0..1024).filter(|number| !allowed.contains(number) && !TRAMPOLINES.contains(number)) {
        // No argument means anything: a call that is let through fails without effect, but not with one of the filter's answers.
        tries.filtered(&format!("call {number}"), call(number, [-1, -1, -1, -1, -1, -1]));
    }
    for number in TRAMPOLINES {
        let end = apart(|| call(number, []).err().unwrap_or(0));
        tries.check(&format!("call {number} worked"), end != Ok(End::Exited(0)));
    }
    tries.verdict()
}
