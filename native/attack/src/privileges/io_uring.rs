use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "io-uring",
    tries: "opens io_uring, by which calls are made that no filter sees",
    stands_for: "CVE-2022-29582, CVE-2023-2598, CVE-2024-0582 (io_uring)",
    must: "its three calls are refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let parameters = [0_u8; 120];
    tries.filtered(
        "io_uring_setup",
        call(libc::SYS_io_uring_setup, [1, parameters.as_ptr() as i64]),
    );
    tries.filtered("io_uring_enter", call(libc::SYS_io_uring_enter, [0, 0, 0, 0, 0, 0]));
    tries.filtered("io_uring_register", call(libc::SYS_io_uring_register, [-1, 0, 0, 0]));
    tries.verdict()
}
