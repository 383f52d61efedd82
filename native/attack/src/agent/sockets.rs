use crate::attack::{Attack, Class, Tries, Verdict};
use crate::hints;
use crate::kernel::read_text;
use std::os::unix::net::UnixStream;

pub const ATTACK: Attack = Attack {
    name: "sockets",
    tries: "connects to the agent's listening socket, the launcher's and Redis's, by path and by what /proc/net/unix lists",
    stands_for: "CVE-2020-15257 (containerd-shim), docker.sock escapes",
    must: "none is there, and none is listed by a name",
    ..Attack::new(Class::Agent, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for path in hints::socket_paths() {
        for way in ["", "/proc/1/root", "/.."] {
            let path = format!("{way}{path}");
            tries.refused(&format!("connect to {path}"), UnixStream::connect(&path).map_err(|_| 1));
        }
    }
    // Those of the agent without a name lead nowhere.
    for line in read_text("/proc/net/unix").lines().skip(1) {
        let name = line.split_whitespace().nth(7);
        tries.check(&format!("/proc/net/unix lists {}", name.unwrap_or_default()), name.is_none());
    }
    tries.verdict()
}
