//! Death of the launcher, and of an agent.
mod support;

use caisson_frame::launch::{Event, Prepare, Request, StopReason, request};
use caisson_frame::{read_frame, write_frame};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use support::agent::Agent;
use support::conversation::{Conversation, start};
use support::host::{self, Traces};
use support::{Launcher, images};

fn processes(name: &str) -> Vec<u32> {
    let mut pids = Vec::new();
    for group in host::cgroups(name) {
        let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
        pids.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()));
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

/// At any moment: children that wait to be let go, that change their ids, that just executed.
#[test]
fn nothing_outlives_a_launcher_killed_while_it_prepares() {
    let mut launcher = Launcher::start();
    for round in 0..15 {
        let socket = launcher.run_folder().join("launcher.sock");
        let clients: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn({
                    let socket = socket.clone();
                    move || prepare_until_dead(&socket)
                })
            })
            .collect();
        sleep(Duration::from_millis(40 + 7 * round));
        launcher.kill();
        let killed = Instant::now();
        while !processes(&launcher.name).is_empty() {
            assert!(
                killed.elapsed() < Duration::from_secs(2),
                "{:?} outlived their launcher",
                processes(&launcher.name)
            );
            sleep(Duration::from_millis(5));
        }
        clients.into_iter().for_each(|client| client.join().expect("client"));
        // The next one takes over the same folders; dropping the old handle would remove them.
        let next = Launcher::start_as(&launcher.name, &launcher.state);
        std::mem::forget(std::mem::replace(&mut launcher, next));
    }
    let idle = Traces::idle(&launcher);
    let nothing = Traces {
        loops: 0,
        channels: 0,
        ..idle
    };
    Traces::settle_to(&launcher, &nothing);
}

fn prepare_until_dead(socket: &Path) {
    let mut held = Vec::new();
    while let Ok(mut stream) = UnixStream::connect(socket) {
        let prepare = Request {
            request: Some(request::Request::Prepare(Prepare { disk_bytes: 1 << 20 })),
        };
        if write_frame(&mut stream, &prepare).is_err() || !matches!(read_frame::<Event>(&mut stream), Ok(Some(_))) {
            return;
        }
        held.push(stream);
        if held.len() == 4 {
            held.remove(0);
        }
    }
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
fn a_second_launcher_of_one_name_or_state_is_refused() {
    let launcher = Launcher::start();
    let other = format!("{}-other", launcher.name);
    let refusal_of = |name: &str, state: &Path| {
        let second = Command::new(env!("CARGO_BIN_EXE_caisson-launcher"))
            .args(["serve", "--name", name, "--worker-uid", "1", "--worker-gid", "1", "--state"])
            .arg(state)
            .args(["--agent", "/bin/true", "--converter", "/bin/true", "--lister", "/bin/true"])
            .output()
            .expect("runs");
        assert!(!second.status.success());
        String::from_utf8_lossy(&second.stderr).into_owned()
    };
    let same_name = refusal_of(&launcher.name, Path::new("/nonexistent"));
    assert!(same_name.contains("another launcher serves this name"), "{same_name}");
    // It would remove layers without knowing what this one's runs use.
    let same_state = refusal_of(&other, &launcher.state);
    assert!(
        same_state.contains("another launcher serves this state folder"),
        "{same_state}"
    );
    let _ = std::fs::remove_dir_all(Path::new("/run/caisson").join(other));
}

/// Linux 6.18 kills at once what is cloned into a cgroup whose `cgroup.kill` was ever written, as an operator may have done.
#[test]
fn an_agent_that_cannot_live_costs_no_more_than_itself() {
    let launcher = Launcher::start();
    drop(Conversation::prepared(&launcher));
    while Traces::of(&launcher).channels > 0 {
        sleep(Duration::from_millis(5));
    }
    let agents = host::sandboxes(&launcher.name)
        .into_iter()
        .flat_map(|folder| [folder.join("agent"), folder]);
    for folder in agents.filter(|folder| folder.join("cgroup.kill").exists()) {
        fs::write(folder.join("cgroup.kill"), "1").expect("kill");
    }
    Conversation::open(&launcher).try_to_prepare().expect("prepared, or why not");
    Conversation::prepared(&launcher);
}
