use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::call;

pub const ATTACK: Attack = Attack {
    name: "netlink",
    tries: "configures firewalls, IPsec, audit and devices of the kernel by netlink",
    stands_for: "CVE-2024-1086, CVE-2026-23272 (nf_tables), CVE-2022-27666 (IPsec), CVE-2023-32233",
    must: "only the family that lists interfaces opens, and it changes nothing",
    ..Attack::new(Class::Privileges, run)
};

const NETLINK: i64 = 16;
const RAW: i64 = 3;

fn run() -> Verdict {
    let mut tries = Tries::default();
    for protocol in 1..=24 {
        tries.filtered(
            &format!("netlink {protocol}"),
            call(libc::SYS_socket, [NETLINK, RAW, protocol]),
        );
    }
    tries.check("loopback could be switched off", !switches_loopback_off());
    tries.verdict()
}

/// RTM_NEWLINK for interface 1 without IFF_UP, and the kernel's answer to it.
fn switches_loopback_off() -> bool {
    let Ok(socket) = call(libc::SYS_socket, [NETLINK, RAW, 0]) else {
        return false;
    };
    let message: [u32; 8] = [32, 16 | (5 << 16), 1, 0, 0, 1, 0, 1];
    if call(libc::SYS_sendto, [socket, message.as_ptr() as i64, 32, 0, 0, 0]).is_err() {
        return false;
    }
    let mut reply = [0_i32; 32];
    let received = call(
        libc::SYS_recvfrom,
        [socket, reply.as_mut_ptr() as i64, 128, libc::MSG_DONTWAIT.into(), 0, 0],
    );
    // NLMSG_ERROR carries 0 where it was done.
    received.is_ok() && reply[1] & 0xffff == 2 && reply[4] == 0
}
