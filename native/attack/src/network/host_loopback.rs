use super::connect::{tcp, udp};
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::hints;

pub const ATTACK: Attack = Attack {
    name: "host-loopback",
    tries: "connects to a port that the host listens on, by 127.0.0.1, ::1 and every address that the host has",
    stands_for: "CVE-2024-29021 (Judge0, requests to its own services), CVE-2020-8558 (Kubernetes, 127.0.0.1 of a node)",
    must: "nobody answers, and the host sees no connection",
    ..Attack::new(Class::Network, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let port = hints::host_port();
    let own = [
        "127.0.0.1",
        "127.0.0.2",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.2.2",
        "172.17.0.1",
        "192.168.122.1",
    ];
    for host in own.iter().map(ToString::to_string).chain(hints::host_addresses()) {
        let address = format!("{host}:{port}");
        tries.refused(&format!("connect to {address}"), tcp(&address));
        tries.refused(&format!("an answer from {address}/udp"), udp(&address, b"caisson"));
    }
    tries.verdict()
}
