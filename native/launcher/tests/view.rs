//! What a program sees of its sandbox, and does not see of the host.
mod support;

use std::fs;
use support::agent::Agent;
use support::conversation::{Conversation, start};
use support::{Launcher, images};

fn output(launcher: &Launcher, layers: &[String], script: &str) -> String {
    let (mut conversation, prepared) = Conversation::prepared(launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(start(layers));
    agent.shell(script);
    agent.finish().0
}

#[test]
fn nothing_names_the_host() {
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    let view = output(
        &launcher,
        &layers,
        "cat /proc/self/mountinfo /proc/self/cgroup /proc/mounts; ls -la /proc/self/fd /",
    );
    println!("{view}");
    for host in [launcher.name.as_str(), "/run/caisson", "caisson-", "/tmp/t-", "/var/lib"] {
        assert!(!view.contains(host), "{host} in {view}");
    }
}

#[test]
fn its_clock_begins_with_it() {
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    let uptime = output(&launcher, &layers, "cat /proc/uptime");
    let seconds: f64 = uptime.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    assert!(seconds < 30.0, "{uptime}");
}

#[test]
fn its_ids_are_its_own_and_files_belong_to_it() {
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    let view = output(
        &launcher,
        &layers,
        "id -u; stat -c %u /three; touch /mine; stat -c '%u %g' /mine; cat /proc/self/uid_map",
    );
    let lines: Vec<&str> = view.lines().collect();
    assert_eq!(lines[..3], ["0", "0", "0 0"], "{view}");
    let range: Vec<u32> = lines[3].split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(range[0] == 0 && range[1] >= 0x5000_0000 && range[2] == 65_536, "{view}");
}

#[test]
fn its_root_is_dressed_as_the_topmost_layer_says() {
    let launcher = Launcher::start();
    let mut layers = images::make(&launcher);
    layers.push(images::layer(&launcher, 9, |root| {
        fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o1751)).expect("mode");
    }));
    assert_eq!(output(&launcher, &layers, "stat -c '%a %u' /"), "1751 0\n");
}

#[test]
fn a_layer_may_come_twice() {
    let launcher = Launcher::start();
    let [base, two, three] = &images::make(&launcher)[..] else {
        panic!("three layers")
    };
    let layers = [two, base, two, three, two].map(Clone::clone);
    assert_eq!(output(&launcher, &layers, "cat /etc/two /three"), "twothree");
}

#[test]
fn four_hundred_layers_make_one_root() {
    let launcher = Launcher::start();
    let mut layers = images::make(&launcher);
    let store = launcher.state.join("layers/v1");
    for number in 0..397 {
        let key = format!("sha256-{number:064x}");
        fs::copy(store.join(format!("{}.sqfs", layers[2])), store.join(format!("{key}.sqfs"))).expect("copy");
        layers.push(key);
    }
    assert_eq!(output(&launcher, &layers, "cat /etc/two /three"), "twothree");
}
