use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "packets",
    tries: "opens packet and raw sockets",
    stands_for: "CVE-2020-14386, CVE-2017-7308, CVE-2016-8655 (AF_PACKET), CVE-2021-22555",
    must: "AF_PACKET is refused by the filter, raw sockets for want of a capability",
    ..Attack::new(Class::Privileges, run)
};

/// SOCK_PACKET, the oldest way.
const OLD_PACKET: i32 = 10;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let all = i64::from(0x0003_u16.to_be());
    for kind in [libc::SOCK_RAW, libc::SOCK_DGRAM, OLD_PACKET] {
        tries.filtered(
            &format!("AF_PACKET {kind}"),
            call(libc::SYS_socket, [libc::AF_PACKET.into(), kind.into(), all]),
        );
    }
    for family in [libc::AF_INET, libc::AF_INET6] {
        for protocol in [libc::IPPROTO_RAW, libc::IPPROTO_ICMP, libc::IPPROTO_TCP, libc::IPPROTO_UDP] {
            let answer = call(libc::SYS_socket, [family.into(), libc::SOCK_RAW.into(), protocol.into()]);
            tries.refused(&format!("raw socket {family} {protocol}"), answer);
        }
    }
    tries.verdict()
}
