use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "bpf",
    tries: "makes maps and programs that run inside the kernel",
    stands_for: "CVE-2021-31440, CVE-2021-3490, CVE-2022-23222 (verifier), CVE-2020-8835",
    must: "bpf() is refused before the kernel looks at it",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    // An array of one element of four bytes: map type, key size, value size, entries.
    let map = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (at, size) = (map.as_ptr() as i64, size_of_val(&map) as i64);
    for command in 0..36 {
        tries.filtered(&format!("bpf command {command}"), call(libc::SYS_bpf, [command, at, size]));
    }
    tries.verdict()
}
