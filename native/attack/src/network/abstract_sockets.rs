use crate::attack::{Attack, Class, Tries, Verdict};
use crate::hints;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

pub const ATTACK: Attack = Attack {
    name: "abstract-sockets",
    tries: "connects to unix sockets of the host that have no path, which only a network namespace divides",
    stands_for: "CVE-2020-15257 (containerd-shim), X11 and D-Bus of a host",
    must: "none answers",
    ..Attack::new(Class::Network, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let usual = [
        "/containerd-shim/1.sock",
        "/tmp/.X11-unix/X0",
        "/org/kernel/linux/storage/multipathd",
        "/com/ubuntu/upstart",
    ];
    for name in usual.iter().map(ToString::to_string).chain([hints::abstract_socket()]) {
        let Ok(address) = SocketAddr::from_abstract_name(&name) else {
            continue;
        };
        tries.refused(
            &format!("connect to @{name}"),
            UnixStream::connect_addr(&address).map_err(|_| 1),
        );
    }
    tries.verdict()
}
