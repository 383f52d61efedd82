//! Death of the launcher, and of an agent.
mod support;

use caisson_frame::launch::StopReason;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::agent::Agent;
use support::conversation::{Conversation, start};
use support::host::{self, Traces};
use support::{Launcher, images};

fn processes(name: &str) -> Vec<u32> {
    let mut pids = Vec::new();
    for sandbox in host::sandboxes(name) {
        for half in ["agent", "payload"] {
            let list = fs::read_to_string(sandbox.join(half).join("cgroup.procs")).unwrap_or_default();
            pids.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[test]
fn sandboxes_die_with_the_launcher_and_the_next_one_sweeps() {
    let mut launcher = Launcher::start();
    let layers = images::make(&launcher);
    let waiting = Conversation::prepared(&launcher);
    let (mut conversation, prepared) = Conversation::prepared(&launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(start(&layers));
    agent.shell("sleep 1000 & sleep 1000");
    agent.wait_for_start();
    let running = processes(&launcher.name);
    // Two agents, two nested inits (made ahead), the shell; its children may come a little later.
    assert!(running.len() >= 5, "{running:?}");

    launcher.kill();
    let killed = Instant::now();
    while running.iter().any(|&pid| host::is_alive(pid)) {
        assert!(killed.elapsed() < Duration::from_secs(2), "outlived their launcher");
        sleep(Duration::from_millis(5));
    }
    assert!(!host::sandboxes(&launcher.name).is_empty(), "folders stay for the sweep");
    drop((waiting, conversation, agent));

    let next = Launcher::start_as(&launcher.name, &launcher.state);
    assert_eq!(Traces::of(&next).cgroups, Vec::<std::path::PathBuf>::new());
    assert_eq!(Traces::of(&next).channels, 0);
    let (mut conversation, prepared) = Conversation::prepared(&next);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(start(&layers));
    agent.shell("exit 5");
    assert_eq!(agent.finish().1, Some(caisson_frame::agent::exited::End::ExitCode(5)));
}

#[test]
fn a_launcher_that_is_told_to_end_takes_everything_with_it() {
    let mut launcher = Launcher::start();
    let _waiting = Conversation::prepared(&launcher);
    let pids = processes(&launcher.name);
    assert!(!pids.is_empty());
    launcher.end();
    assert!(!pids.iter().any(|&pid| host::is_alive(pid)));
    assert!(host::sandboxes(&launcher.name).is_empty());
    assert!(
        !Path::new("/sys/fs/cgroup/memory")
            .join(format!("caisson-{}", launcher.name))
            .exists()
    );
}

#[test]
fn an_agent_that_dies_is_told() {
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    let (mut conversation, prepared) = Conversation::prepared(&launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(start(&layers));
    agent.shell("sleep 1000");
    agent.wait_for_start();
    let first = processes(&launcher.name)[0];
    assert!(
        Command::new("kill")
            .args(["-9", &first.to_string()])
            .status()
            .expect("kill runs")
            .success()
    );
    assert_eq!(conversation.stopped(), StopReason::AgentLost);
    assert_eq!(conversation.finish().reason(), StopReason::AgentLost);
}

#[test]
fn a_second_launcher_of_one_name_is_refused() {
    let launcher = Launcher::start();
    let second = Command::new(env!("CARGO_BIN_EXE_caisson-launcher"))
        .args([
            "serve",
            "--name",
            &launcher.name,
            "--state",
            "/nonexistent",
            "--worker-uid",
            "1",
            "--worker-gid",
            "1",
        ])
        .args(["--agent", "/bin/true", "--converter", "/bin/true"])
        .output()
        .expect("runs");
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another launcher serves this name"));
}
