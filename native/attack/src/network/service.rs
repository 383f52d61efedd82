use super::connect::tcp;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::hints;

pub const ATTACK: Attack = Attack {
    name: "service",
    tries: "connects to the service that runs it: control's API, Redis, and what usually listens beside",
    stands_for: "CVE-2024-29021 (Judge0: its database, with the default password), docker.sock by TCP",
    must: "nobody answers",
    ..Attack::new(Class::Network, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for address in hints::services() {
        tries.refused(&format!("connect to {address}"), tcp(&address));
    }
    for port in [
        22, 53, 80, 111, 443, 2375, 2376, 2379, 3000, 5000, 5432, 6379, 6443, 7788, 8080, 8500, 9090, 9100, 10250, 50051,
    ] {
        let address = format!("127.0.0.1:{port}");
        tries.refused(&format!("connect to {address}"), tcp(&address));
    }
    tries.verdict()
}
