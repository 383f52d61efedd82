use super::connect::{leaves, tcp};
use crate::attack::{Attack, Class, Tries, Verdict};

pub const ATTACK: Attack = Attack {
    name: "metadata",
    tries: "asks the metadata services of clouds for the machine's credentials",
    stands_for: "Capital One 2019; CVE-2020-15157 (containerd), AgentCore interpreter 2025",
    must: "no packet leaves",
    ..Attack::new(Class::Network, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let addresses = [
        "169.254.169.254:80",
        "169.254.170.2:80",
        "169.254.170.23:80",
        "100.100.100.200:80",
        "192.0.0.192:80",
        "168.63.129.16:80",
        "[fd00:ec2::254]:80",
        "[fe80::a9fe:a9fe]:80",
    ];
    for address in addresses {
        tries.refused(&format!("connect to {address}"), tcp(address));
        tries.check(&format!("a packet left for {address}"), !leaves(address));
    }
    tries.verdict()
}
