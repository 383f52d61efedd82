use crate::attack::{Attack, Class, Verdict};
use crate::hints;
use crate::kernel::{address, call, fork, leave, text};

pub const ATTACK: Attack = Attack {
    name: "daemon",
    tries: "leaves a daemon behind: forked twice, in a session of its own, with every signal ignored and the outputs held open",
    stands_for: "Judge0 1.13.0; processes that outlive the run that started them",
    must: "the run ends with its main process, and the daemon with it",
    ..Attack::new(Class::Time, run)
};

fn run() -> Verdict {
    for _ in 0..4 {
        if fork() == Ok(0) {
            let _ = call(libc::SYS_setsid, []);
            if fork() == Ok(0) {
                linger();
            }
            leave(0);
        }
    }
    Verdict::Held("it ended, and left four daemons".into())
}

fn linger() -> ! {
    for signal in 1..65 {
        crate::kernel::ignore(signal);
    }
    let (program, verb, word) = (text("/attack"), text("linger"), text(&hints::word()));
    let arguments = [address(&program), address(&verb), address(&word), 0];
    let none = [0_i64];
    let _ = call(
        libc::SYS_execve,
        [address(&program), arguments.as_ptr() as i64, none.as_ptr() as i64],
    );
    leave(1)
}
