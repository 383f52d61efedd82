use super::powers::{field, is_powerless};
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, read_text};

pub const ATTACK: Attack = Attack {
    name: "capabilities",
    tries: "looks for capabilities, raises them, and takes other ids",
    stands_for: "CVE-2022-24769, CVE-2022-29162 (inheritable capabilities), CVE-2022-36109 (groups)",
    must: "every set is empty and stays so; no_new_privs and the filter are on and cannot be taken off",
    ..Attack::new(Class::Privileges, run)
};

const CAPABILITY_VERSION: u32 = 0x2008_0522;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let status = read_text("/proc/self/status");
    tries.check("it has capabilities", is_powerless());
    tries.check("no_new_privs is off", field(&status, "NoNewPrivs:") == "1");
    tries.check("there is no filter", field(&status, "Seccomp:") == "2");
    let header = [CAPABILITY_VERSION, 0];
    let all = [u32::MAX; 6];
    tries.refused(
        "capset",
        call(libc::SYS_capset, [header.as_ptr() as i64, all.as_ptr() as i64]),
    );
    for capability in 0..41 {
        let raise = [libc::PR_CAP_AMBIENT.into(), libc::PR_CAP_AMBIENT_RAISE.into(), capability];
        tries.refused(&format!("raise ambient {capability}"), call(libc::SYS_prctl, raise));
    }
    tries.refused(
        "PR_SET_NO_NEW_PRIVS 0",
        call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 0]),
    );
    tries.refused(
        "PR_SET_SECUREBITS 0",
        call(libc::SYS_prctl, [libc::PR_SET_SECUREBITS.into(), 0]),
    );
    for number in [libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setfsuid] {
        let answer = call(number, [65_533]);
        tries.check(
            &format!("call {number} changed an id"),
            answer != Ok(0) || number == libc::SYS_setfsuid,
        );
    }
    let groups = [0_u32, 4, 6];
    tries.refused("setgroups", call(libc::SYS_setgroups, [3, groups.as_ptr() as i64]));
    tries.check(
        "ids changed",
        field(&read_text("/proc/self/status"), "Uid:") == field(&status, "Uid:"),
    );
    tries.verdict()
}
