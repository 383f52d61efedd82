use super::setuid::gains_nothing;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "file-capabilities",
    tries: "executes a program of its image that has cap_sys_admin as a file capability, and gives one to a file of its own",
    stands_for: "CVE-2023-0386, CVE-2021-3493 (overlay, file capabilities), CVE-2022-24769",
    must: "the program has no capability, and none can be given",
    ..Attack::new(Class::Privileges, run)
};

/// Version 2, effective, cap_sys_admin permitted.
const ALL_OF_ADMIN: [u8; 20] = [1, 0, 0, 2, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn run() -> Verdict {
    let mut tries = Tries::default();
    tries.check("/capable gained something", gains_nothing("/capable"));
    let own = "/tmp/own-capable";
    tries.check("no copy can be made", std::fs::copy("/attack", own).is_ok());
    let (path, name) = (text(own), text("security.capability"));
    let value = ALL_OF_ADMIN.as_ptr() as i64;
    let answer = call(
        libc::SYS_setxattr,
        [address(&path), address(&name), value, ALL_OF_ADMIN.len() as i64, 0],
    );
    tries.refused("give cap_sys_admin to a file", answer);
    for name in [
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "system.posix_acl_access",
    ] {
        let name_text = text(name);
        let answer = call(libc::SYS_setxattr, [address(&path), address(&name_text), value, 4, 0]);
        tries.refused(&format!("set {name}"), answer);
    }
    tries.check("its own copy gained something", gains_nothing(own));
    tries.verdict()
}
