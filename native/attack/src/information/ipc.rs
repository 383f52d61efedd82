use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{call, read_text};
use crate::neighbour::{ABSTRACT, KEY, PORT};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

pub const ATTACK: Attack = Attack {
    name: "ipc",
    tries: "meets its neighbour: by a shared memory segment, a queue, an abstract socket and a port of an agreed name",
    stands_for: "CVE-2020-15257; sandboxes of one IPC or network namespace",
    must: "the neighbour finds none of them, and it finds none of the host's",
    ends: &["CANCELLED"],
    holds: true,
    ..Attack::new(Class::Information, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for kind in ["shm", "msg", "sem"] {
        let lines = read_text(&format!("/proc/sysvipc/{kind}")).lines().count();
        tries.check(&format!("{lines} lines in /proc/sysvipc/{kind}"), lines <= 1);
    }
    let exclusive = i64::from(libc::IPC_CREAT | libc::IPC_EXCL | 0o666);
    tries.check(
        "a segment of that name was there",
        call(libc::SYS_shmget, [KEY, 4096, exclusive]).is_ok(),
    );
    tries.check(
        "a queue of that name was there",
        call(libc::SYS_msgget, [KEY, exclusive]).is_ok(),
    );
    let listener = TcpListener::bind(("127.0.0.1", PORT));
    tries.check("the port was taken", listener.is_ok());
    let name = SocketAddr::from_abstract_name(ABSTRACT);
    let socket = name.and_then(|name| UnixListener::bind_addr(&name));
    tries.check("the abstract name was taken", socket.is_ok());
    std::mem::forget((listener, socket));
    tries.verdict()
}
