use super::connect::{leaves, tcp};
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::read_text;

pub const ATTACK: Attack = Attack {
    name: "interfaces",
    tries: "looks for interfaces, routes and neighbours, and sends to all of them at once",
    stands_for: "CVE-2020-10749 (Kubernetes, router advertisements), flat networks between sandboxes",
    must: "there is loopback, and nothing else",
    ..Attack::new(Class::Network, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for line in read_text("/proc/net/dev").lines().skip(2) {
        let name = line.split(':').next().unwrap_or_default().trim().to_owned();
        tries.check(&format!("there is an interface {name}"), name == "lo");
    }
    let routes = read_text("/proc/net/route").lines().skip(1).count();
    tries.check(&format!("there are {routes} routes"), routes == 0);
    let known = read_text("/proc/net/arp").lines().skip(1).count();
    tries.check(&format!("{known} neighbours are known"), known == 0);
    for address in [
        "224.0.0.1:9",
        "239.255.255.250:1900",
        "255.255.255.255:9",
        "[ff02::1]:9",
        "[ff02::2]:9",
        "192.0.2.1:9",
    ] {
        tries.check(&format!("a packet left for {address}"), !leaves(address));
    }
    tries.refused("connect to 192.0.2.1:80", tcp("192.0.2.1:80"));
    tries.verdict()
}
