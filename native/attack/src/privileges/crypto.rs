use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "crypto",
    tries: "asks the kernel to encrypt in place, into pages of files that others share (AF_ALG)",
    stands_for: "CVE-2026-31431 (Copy Fail: writes to the page cache of read-only files, across tenants)",
    must: "no such socket can be made",
    ..Attack::new(Class::Privileges, run)
};

const AF_ALG: i64 = 38;

fn run() -> Verdict {
    let mut tries = Tries::default();
    for kind in 1..=6 {
        tries.filtered(&format!("AF_ALG of type {kind}"), call(libc::SYS_socket, [AF_ALG, kind, 0]));
        let pair = [0_i32; 2];
        tries.filtered(
            &format!("AF_ALG pair of type {kind}"),
            call(libc::SYS_socketpair, [AF_ALG, kind, 0, pair.as_ptr() as i64]),
        );
    }
    tries.verdict()
}
