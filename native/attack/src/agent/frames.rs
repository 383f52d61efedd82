use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, open};
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;

pub const ATTACK: Attack = Attack {
    name: "frames",
    tries: "writes forged frames of the agent (exited with 0, a length of 4 GiB) to every descriptor and port that it finds",
    stands_for: "guests that forge their own verdict; CVE-2021-20181, CVE-2022-29799 (confused control channels)",
    must: "they are output like any other, and the verdict has the exit code that the program gave: 7",
    exit_code: 7,
    ..Attack::new(Class::Agent, run)
};

/// `Exited { process_id: 1, exit_code: 0 }` as `proto/agent.proto` has it, and a header that announces 4 GiB less one byte.
const EXITED: [u8; 10] = [0, 0, 0, 6, 0x2a, 4, 8, 1, 0x10, 0];
const OVERSIZED: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0x2a, 4, 8, 1];

fn run() -> Verdict {
    let mut tries = Tries::default();
    for fd in 3..1024 {
        if call(libc::SYS_fcntl, [fd, libc::F_GETFD.into()]).is_ok() {
            // SAFETY: nobody else in this process uses it.
            let mut descriptor = unsafe { File::from_raw_fd(fd as i32) };
            tries.check(
                &format!("descriptor {fd} took a frame"),
                descriptor.write_all(&EXITED).is_err(),
            );
        }
    }
    for path in [
        "/dev/vport0p1",
        "/dev/vport1p1",
        "/dev/virtio-ports/agent",
        "/dev/hvc0",
        "/dev/ttyS0",
        "/dev/console",
    ] {
        tries.refused(&format!("open {path}"), open(path, libc::O_RDWR | libc::O_NONBLOCK));
    }
    for frame in [&EXITED[..], &OVERSIZED] {
        let _ = std::io::stderr().write_all(frame);
    }
    // A line of its own for the verdict, which the driver reads from standard output.
    let _ = std::io::stdout()
        .write_all(&EXITED)
        .and_then(|()| std::io::stdout().write_all(b"\n"));
    tries.verdict()
}
