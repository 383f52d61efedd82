use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "machine",
    tries: "restarts the machine, sets its clock and name, turns swap off, opens its ports, reads its log",
    stands_for: "what a container with CAP_SYS_ADMIN, SYS_BOOT, SYS_TIME does to its host",
    must: "refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let name = text("harmed");
    let then = [1_i64, 0];
    let then = then.as_ptr() as i64;
    let calls: [(&str, i64, [i64; 3]); 15] = [
        // Without the magic numbers that would make it do anything.
        ("reboot", libc::SYS_reboot, [0, 0, 0]),
        ("settimeofday", libc::SYS_settimeofday, [then, 0, 0]),
        ("clock_settime", libc::SYS_clock_settime, [0, then, 0]),
        ("clock_adjtime", libc::SYS_clock_adjtime, [0, 0, 0]),
        ("adjtimex", libc::SYS_adjtimex, [0, 0, 0]),
        ("sethostname", libc::SYS_sethostname, [address(&name), 6, 0]),
        ("setdomainname", libc::SYS_setdomainname, [address(&name), 6, 0]),
        ("swapon", libc::SYS_swapon, [address(&name), 0, 0]),
        ("swapoff", libc::SYS_swapoff, [address(&name), 0, 0]),
        ("iopl", libc::SYS_iopl, [3, 0, 0]),
        ("ioperm", libc::SYS_ioperm, [0x64, 1, 1]),
        ("syslog", libc::SYS_syslog, [10, 0, 0]),
        ("acct", libc::SYS_acct, [0, 0, 0]),
        ("vhangup", libc::SYS_vhangup, [0, 0, 0]),
        ("modify_ldt", libc::SYS_modify_ldt, [0, 0, 0]),
    ];
    for (name, number, arguments) in calls {
        tries.filtered(name, call(number, arguments));
    }
    tries.verdict()
}
