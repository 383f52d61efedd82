use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{read_text, write};

pub const ATTACK: Attack = Attack {
    name: "label",
    tries: "leaves the AppArmor profile that it is held to: at once, with its next exec, for that of the agent",
    stands_for: "CVE-2019-16884, CVE-2023-28642 (runc, profiles that did not hold)",
    must: "stays under the profile of programs",
    backends: &["container"],
    ..Attack::new(Class::Privileges, run)
};

const LABEL: &str = "/proc/self/attr/apparmor/current";

fn run() -> Verdict {
    let label = read_text(LABEL);
    match label.trim_end() {
        "" => return Verdict::NotApplicable("the machine has no AppArmor".into()),
        "unconfined" => return Verdict::NotApplicable("no profile was taken: caisson doctor tells why".into()),
        _ => {}
    }
    let mut tries = Tries::default();
    for folder in ["self", "thread-self", &format!("self/task/{}", std::process::id())] {
        for (file, verb) in [("current", "changeprofile"), ("exec", "exec")] {
            for path in [
                format!("/proc/{folder}/attr/{file}"),
                format!("/proc/{folder}/attr/apparmor/{file}"),
            ] {
                for profile in ["unconfined", "caisson.agent"] {
                    tries.refused(
                        &format!("{verb} {profile} by {path}"),
                        write(&path, format!("{verb} {profile}").as_bytes()),
                    );
                }
            }
        }
    }
    tries.check("it is held to another label now", read_text(LABEL) == label);
    tries.check(
        "its label is not of programs",
        label.contains("caisson.program") && label.contains("enforce"),
    );
    tries.verdict()
}
