use crate::attack::{Attack, Class, Verdict};
use crate::kernel::{address, call, text};
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;

pub const ATTACK: Attack = Attack {
    name: "shared-memory",
    tries: "takes memory that belongs to no process: /dev/shm, memfd, System V segments",
    stands_for: "tmpfs and shared memory that no limit counts",
    must: "it is the run's memory: OOM_KILLED, or no space before",
    ends: &["OOM_KILLED", "EXITED"],
    ..Attack::new(Class::Exhaustion, run)
};

const MOST_MIB: usize = 256;

fn run() -> Verdict {
    let mut taken = fill(File::create("/dev/shm/hoard").ok());
    let name = text("hoard");
    let memory = call(libc::SYS_memfd_create, [address(&name), 0]).ok();
    // SAFETY: the kernel made it just now.
    taken += fill(memory.map(|fd| unsafe { File::from_raw_fd(fd as i32) }));
    taken += segments();
    if taken <= 64 {
        Verdict::Held(format!("{taken} MiB"))
    } else {
        Verdict::Broken(format!("{taken} MiB under a limit of 64"))
    }
}

fn fill(file: Option<File>) -> usize {
    let Some(mut file) = file else { return 0 };
    let block = vec![1; 1 << 20];
    (0..MOST_MIB).take_while(|_| file.write_all(&block).is_ok()).count()
}

fn segments() -> usize {
    (0..MOST_MIB)
        .take_while(|_| {
            let Ok(id) = call(libc::SYS_shmget, [0, 1 << 20, 0o600]) else {
                return false;
            };
            let Ok(place) = call(libc::SYS_shmat, [id, 0, 0]) else {
                return false;
            };
            // SAFETY: the kernel attached a mebibyte there just now.
            unsafe { std::ptr::write_bytes(place as *mut u8, 1, 1 << 20) };
            call(libc::SYS_shmdt, [place]).is_ok()
        })
        .count()
}
