use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "families",
    tries: "opens sockets of every family that the kernel may know, forgotten ones above all",
    stands_for: "CVE-2017-6074 (DCCP), CVE-2021-43267 (TIPC), CVE-2022-0435, CVE-2021-3573 (Bluetooth), CVE-2017-1000405 (RDS)",
    must: "only unix, IPv4, IPv6 and route netlink open",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for family in (0..64).filter(|family| ![1, 2, 10, 16].contains(family)) {
        for kind in 1..=6 {
            tries.filtered(&format!("socket family {family}"), call(libc::SYS_socket, [family, kind, 0]));
        }
    }
    // What does open must not reach further protocols behind it.
    for protocol in [
        libc::IPPROTO_SCTP,
        libc::IPPROTO_DCCP,
        libc::IPPROTO_UDPLITE,
        libc::IPPROTO_MPTCP,
    ] {
        for kind in [libc::SOCK_SEQPACKET, libc::SOCK_DGRAM, libc::SOCK_STREAM, 6] {
            let answer = call(libc::SYS_socket, [libc::AF_INET.into(), kind.into(), protocol.into()]);
            tries.refused(&format!("IPv4 protocol {protocol}"), answer);
        }
    }
    tries.verdict()
}
