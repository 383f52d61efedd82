//! Not an attack: another client's program, which runs while an attack holds what it took, and needs a little of everything.
use crate::attack::{Tries, Verdict};
use crate::information::fact;
use crate::kernel::{End, address, apart, call, map, open, own_pid, text};
use crate::network::connect::tcp;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

/// Where an attack waits for it: of nobody else's names.
pub const KEY: i64 = 0xCA15;
pub const PORT: u16 = 40_404;
pub const ABSTRACT: &str = "caisson-attack-meeting";

pub fn look() -> Verdict {
    let mut tries = Tries::default();
    meets_nobody(&mut tries);
    gets_its_share(&mut tries);
    crate::say(&format!("fact: {}", fact()));
    tries.verdict()
}

fn meets_nobody(tries: &mut Tries) {
    tries.refused("the attacker's segment", call(libc::SYS_shmget, [KEY, 4096, 0]));
    tries.refused("the attacker's queue", call(libc::SYS_msgget, [KEY, 0]));
    tries.refused("the attacker's port", tcp(&format!("127.0.0.1:{PORT}")));
    let name = SocketAddr::from_abstract_name(ABSTRACT);
    let meeting = name.and_then(|name| UnixStream::connect_addr(&name));
    tries.refused("the attacker's abstract socket", meeting.map_err(|_| 1));
}

fn gets_its_share(tries: &mut Tries) {
    let instance = call(libc::SYS_inotify_init1, [0]);
    let root = text("/");
    let watch = instance.and_then(|fd| call(libc::SYS_inotify_add_watch, [fd, address(&root), 2]));
    tries.check("a neighbour gets no inotify instance", watch.is_ok());
    let queue = text("own");
    let flags = i64::from(libc::O_CREAT | libc::O_RDWR);
    tries.check(
        "a neighbour gets no message queue",
        call(libc::SYS_mq_open, [address(&queue), flags, 0o600, 0]).is_ok(),
    );
    tries.check(
        "a neighbour gets no terminal",
        open("/dev/ptmx", libc::O_RDWR | libc::O_NOCTTY).is_ok(),
    );
    let timer = 0_u64;
    tries.check(
        "a neighbour gets no timer",
        call(libc::SYS_timer_create, [1, 0, &raw const timer as i64]).is_ok(),
    );
    tries.check("a neighbour's signal is not queued", queues_a_signal());
    tries.check("a neighbour cannot fork", (0..8).all(|_| apart(|| 0) == Ok(End::Exited(0))));
    tries.check("a neighbour gets no memory", map(16 << 20).is_ok_and(touch));
    tries.check(
        "a neighbour cannot write files",
        std::fs::write("/tmp/own", vec![1; 4 << 20]).is_ok(),
    );
    tries.check(
        "a neighbour cannot open files",
        (0..100).all(|_| open("/dev/null", libc::O_RDONLY).map(std::mem::forget).is_ok()),
    );
    tries.check("a neighbour's pipes are too small", pipe_holds(1 << 16));
    tries.check(
        "a neighbour's connection does not carry a mebibyte",
        carries_a_mebibyte().unwrap_or(false),
    );
}

fn queues_a_signal() -> bool {
    let number = i64::from(libc::SIGRTMIN() + 6);
    let blocked = u64::MAX;
    let _ = call(
        libc::SYS_rt_sigprocmask,
        [libc::SIG_BLOCK.into(), &raw const blocked as i64, 0, 8],
    );
    let mut information = [0_i32; 32];
    information[0] = number as i32;
    information[2] = -1;
    call(
        libc::SYS_rt_sigqueueinfo,
        [own_pid().into(), number, information.as_ptr() as i64],
    )
    .is_ok()
}

fn touch(place: *mut u8) -> bool {
    for page in (0..16 << 20).step_by(4096) {
        // SAFETY: within the mapping, which is of 16 MiB.
        unsafe { place.add(page).write_volatile(1) };
    }
    true
}

fn pipe_holds(bytes: usize) -> bool {
    let mut ends = [0_i32; 2];
    let block = vec![1_u8; bytes];
    call(libc::SYS_pipe2, [ends.as_mut_ptr() as i64, libc::O_NONBLOCK.into()]).is_ok()
        && call(libc::SYS_write, [ends[1].into(), block.as_ptr() as i64, bytes as i64]) == Ok(bytes as i64)
}

fn carries_a_mebibyte() -> std::io::Result<bool> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    let second = std::time::Duration::from_secs(5);
    sender.set_write_timeout(Some(second))?;
    receiver.set_read_timeout(Some(second))?;
    let block = vec![1; 1 << 14];
    let mut back = vec![0; 1 << 14];
    for _ in 0..64 {
        sender.write_all(&block)?;
        receiver.read_exact(&mut back)?;
    }
    Ok(listener.as_raw_fd() > 0)
}
