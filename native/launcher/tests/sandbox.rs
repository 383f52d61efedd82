//! A sandbox from preparation to disposal.
mod support;

use caisson_frame::agent::exited::End;
use caisson_frame::launch::{Start, StopReason, event::Event};
use std::process::Command;
use std::thread;
use support::agent::Agent;
use support::conversation::{Conversation, MIB, start};
use support::host::Traces;
use support::{Launcher, images};

#[test]
fn runs_a_program_and_leaves_nothing() {
    let (launcher, layers, before) = used_launcher();
    for _ in 0..5 {
        run_once(&launcher, &layers);
    }
    Traces::settle_to(&launcher, &before);
}

#[test]
fn many_run_at_once() {
    let (launcher, layers, before) = used_launcher();
    for _ in 0..3 {
        thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| run_once(&launcher, &layers));
            }
        });
    }
    Traces::settle_to(&launcher, &before);
}

#[test]
fn a_disk_of_another_size_replaces_the_one_made_ahead() {
    let (launcher, layers, before) = used_launcher();
    let (mut conversation, prepared) = Conversation::prepared(&launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(Start {
        disk_bytes: 8 * MIB,
        ..start(&layers)
    });
    agent.shell("dd if=/dev/zero of=/big bs=4096 count=4096 2>&1; stat -c %s /big");
    let (output, _) = agent.finish();
    assert!(
        output.ends_with("\n8388608\n") || output.contains("No space left"),
        "{output}"
    );
    drop((conversation, agent));
    Traces::settle_to(&launcher, &before);
}

/// Whichever step it is that gets no descriptor.
#[test]
fn out_of_descriptors_it_says_so_and_leaves_nothing() {
    let (launcher, layers, before) = used_launcher();
    let limit = |files: u64| {
        let files = files.to_string();
        let set = Command::new("prlimit")
            .args(["--pid", &launcher.pid().to_string()])
            .arg(format!("--nofile={files}:4096"))
            .status();
        assert!(set.expect("prlimit runs").success());
    };
    let mut failures = 0;
    for more in 0.. {
        limit(before.descriptors as u64 + more);
        match Conversation::open(&launcher).try_to_prepare() {
            Some(Event::Prepared(_)) => break,
            Some(Event::Failed(failed)) => assert!(failed.errno == 24, "{failed:?}"),
            // There was none for the connection itself.
            None => {}
            other => panic!("{other:?}"),
        }
        failures += 1;
        assert!(failures < 100, "it takes more than a hundred descriptors");
    }
    assert!(failures > 10, "{failures}");
    limit(4096);
    run_once(&launcher, &layers);
    Traces::idle(&launcher);
    Traces::settle_to(&launcher, &before);
}

/// It has served once; with its layers, and what it then keeps.
fn used_launcher() -> (Launcher, Vec<String>, Traces) {
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    run_once(&launcher, &layers);
    let before = Traces::idle(&launcher);
    (launcher, layers, before)
}

fn run_once(launcher: &Launcher, layers: &[String]) {
    let mut conversation = Conversation::open(launcher);
    let prepared = conversation.prepare();
    let wall = prepared.wall.expect("what the walls are");
    assert!(
        wall.namespaces.len() == 8 && wall.uids == 65_536 && wall.machine.is_none(),
        "{wall:?}"
    );
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(start(layers));
    agent.shell("cat /etc/two /three; echo -n more > /etc/two; cat /etc/two; exit 7");
    assert_eq!(agent.finish(), ("twothreemore".into(), Some(End::ExitCode(7))));
    let finished = conversation.finish();
    assert_eq!(finished.reason(), StopReason::Unspecified);
    let enforced = finished.enforced.expect("limits in force");
    assert_eq!((enforced.pids, enforced.disk_bytes, enforced.wall_ms), (32, 64 * MIB, 60_000));
    assert!(
        finished.cpu_user_us.is_some() && finished.memory_peak_bytes > Some(0),
        "{finished:?}"
    );
}
