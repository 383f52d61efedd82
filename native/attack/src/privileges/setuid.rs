use super::powers;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{End, address, apart, call, text};

pub const ATTACK: Attack = Attack {
    name: "setuid",
    tries: "as user 1000, executes a program of its image with the set-user-id and set-group-id bits of root, and makes one itself",
    stands_for: "CVE-2023-0386, CVE-2021-3493 (overlay, set-user-id files), CVE-2025-32463 (sudo)",
    must: "the program runs as user 1000 all the same",
    user: "1000:1000",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    tries.check("/setuid gained something", gains_nothing("/setuid"));
    let own = "/tmp/own-setuid";
    tries.check("no copy can be made", std::fs::copy("/attack", own).is_ok());
    let path = text(own);
    let _ = call(libc::SYS_chmod, [address(&path), 0o6755]);
    tries.refused("chown to root", call(libc::SYS_chown, [address(&path), 0, 0]));
    tries.check("its own copy gained something", gains_nothing(own));
    tries.verdict()
}

pub fn gains_nothing(program: &str) -> bool {
    let end = apart(|| {
        let (path, verb) = (text(program), text("powers"));
        let arguments = [address(&path), address(&verb), 0];
        let none = [0_i64];
        let _ = call(
            libc::SYS_execve,
            [address(&path), arguments.as_ptr() as i64, none.as_ptr() as i64],
        );
        127
    });
    end == Ok(End::Exited(powers::NONE.into()))
}
