use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "keyrings",
    tries: "adds, reads and joins key rings of the kernel, which no namespace divides",
    stands_for: "CVE-2016-0728 (keyring reference count), CVE-2017-6074 class, leaks of host keys",
    must: "refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let (kind, name) = (text("user"), text("caisson"));
    let session = -3;
    let add = [address(&kind), address(&name), address(&name), 4, session];
    tries.filtered("add_key", call(libc::SYS_add_key, add));
    tries.filtered(
        "request_key",
        call(libc::SYS_request_key, [address(&kind), address(&name), 0, session]),
    );
    for operation in [0, 1, 6, 11, 31] {
        tries.filtered(
            &format!("keyctl {operation}"),
            call(libc::SYS_keyctl, [operation, session, 0, 0, 0]),
        );
    }
    tries.verdict()
}
