use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};

pub const ATTACK: Attack = Attack {
    name: "socket-buffers",
    tries: "fills the buffers of TCP connections that nobody reads, which are memory of the kernel",
    stands_for: "kernel memory that cgroup v1 does not count; tcp_mem, one for the whole machine",
    must: "they are the run's memory, and a neighbour's connections are as fast as before",
    ends: &["CANCELLED", "OOM_KILLED"],
    holds: true,
    limits: Limits {
        memory_mib: 32,
        open_files: 512,
        ..TIGHT
    },
    ..Attack::new(Class::Exhaustion, run)
};

const MOST_MIB: usize = 256;

fn run() -> Verdict {
    let taken = fill().unwrap_or_default() >> 20;
    if taken <= 48 {
        Verdict::Held(format!("{taken} MiB"))
    } else {
        Verdict::Broken(format!("{taken} MiB of buffers under a limit of 32"))
    }
}

fn fill() -> std::io::Result<usize> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (mut open, mut taken) = (Vec::new(), 0);
    let block = vec![7; 1 << 18];
    while taken < MOST_MIB << 20 {
        let Ok(mut sender) = TcpStream::connect(listener.local_addr()?) else {
            break;
        };
        let Ok((receiver, _)) = listener.accept() else { break };
        sender.set_nonblocking(true)?;
        loop {
            match sender.write(&block) {
                Ok(bytes) => taken += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        open.push((sender, receiver));
    }
    // They stay full for as long as the run does.
    std::mem::forget((open, listener));
    Ok(taken)
}
