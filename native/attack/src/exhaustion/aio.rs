use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "aio",
    tries: "takes all contexts of asynchronous I/O, of which the machine has 65,536 for all together",
    stands_for: "databases of a host that do not start any more (fs.aio-max-nr)",
    must: "the call does not exist",
    ..Attack::new(Class::Exhaustion, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for events in [1, 1024, 65_536] {
        let context = 0_u64;
        tries.filtered(
            &format!("io_setup {events}"),
            call(libc::SYS_io_setup, [events, &raw const context as i64]),
        );
    }
    tries.verdict()
}
