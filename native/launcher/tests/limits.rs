//! Each limit ends or denies what exceeds it, and is told as what it is.
mod support;

use caisson_frame::agent::exited::End;
use caisson_frame::launch::{Finished, Start, StopReason};
use std::time::{Duration, Instant};
use support::agent::Agent;
use support::conversation::{Conversation, MIB, start};
use support::host::Traces;
use support::{Launcher, images};

/// Runs a script under limits; the reason it was stopped for, if `stops`, then how it ended, and its account.
fn run(change: impl FnOnce(&mut Start), script: &str, stops: bool) -> (Option<StopReason>, String, Option<End>, Finished) {
    let launcher = Launcher::start();
    let layers = [images::base(&launcher)];
    let mut limits = start(&layers);
    change(&mut limits);
    let (mut conversation, prepared) = Conversation::prepared(&launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(limits);
    agent.shell(script);
    let reason = stops.then(|| conversation.stopped());
    let (output, end) = agent.finish();
    let finished = conversation.finish();
    assert_eq!(finished.reason(), reason.unwrap_or(StopReason::Unspecified), "{finished:?}");
    drop((conversation, agent));
    let left = Traces::idle(&launcher);
    assert!(left.loops <= 1, "{left:?}");
    (reason, output, end, finished)
}

#[test]
fn memory() {
    let (reason, _, end, finished) = run(
        |start| start.memory_bytes = 16 * MIB,
        "dd if=/dev/zero of=/dev/null bs=100M count=1",
        true,
    );
    assert_eq!(reason, Some(StopReason::Oom));
    assert_eq!(end, Some(End::Signal(9)));
    assert!(finished.oom_kills >= Some(1), "{finished:?}");
    assert!(
        finished.memory_peak_bytes <= Some(16 * MIB) && finished.memory_peak_bytes > Some(15 * MIB),
        "{finished:?}"
    );
}

#[test]
fn wall_time() {
    let (reason, _, end, finished) = run(|start| start.wall_ms = 300, "sleep 60", true);
    assert_eq!((reason, end), (Some(StopReason::WallTime), Some(End::Signal(9))));
    let wall = Duration::from_micros(finished.wall_us.expect("measured"));
    assert!(
        wall >= Duration::from_millis(300) && wall < Duration::from_millis(400),
        "{wall:?}"
    );
}

#[test]
fn cpu_time() {
    let (reason, _, end, finished) = run(|start| start.cpu_ms = 200, "while :; do :; done", true);
    assert_eq!((reason, end), (Some(StopReason::CpuTime), Some(End::Signal(9))));
    let used = finished.cpu_user_us.expect("measured") + finished.cpu_system_us.expect("measured");
    assert!(used > 200_000 && used < 260_000, "{used}");
}

#[test]
fn cpu_rate() {
    let (_, _, end, finished) = run(
        |start| start.cpu_millis = 100,
        "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done",
        false,
    );
    assert_eq!(end, Some(End::ExitCode(0)));
    let used = finished.cpu_user_us.expect("measured") + finished.cpu_system_us.expect("measured");
    assert!(finished.wall_us.expect("measured") > 5 * used, "{finished:?}");
}

#[test]
fn processes_are_denied_and_counted() {
    let (_, _, end, finished) = run(
        |start| start.pids = 4,
        "for i in 1 2 3 4 5 6; do sleep 1 & done; exit 3",
        false,
    );
    // A shell that cannot fork gives up with 2.
    assert_eq!(end, Some(End::ExitCode(2)));
    assert!(finished.pids_denied.is_none_or(|denied| denied > 0), "{finished:?}");
    assert!(finished.pids_peak.is_none_or(|peak| peak == 4), "{finished:?}");
}

#[test]
fn a_full_disk_is_seen_and_no_more_than_asked() {
    for (disk, block) in [
        (32 * MIB, "65536"),
        (32 * MIB, "1M"),
        (MIB, "4096"),
        (1_000 * MIB, "1M"),
        (77 * MIB, "3M"),
    ] {
        let script = format!("dd if=/dev/zero of=/big bs={block}; stat -c %s /big; exit 9");
        let (_, output, end, finished) = run(|start| start.disk_bytes = disk, &script, false);
        assert_eq!(end, Some(End::ExitCode(9)));
        let written: u64 = output.lines().last().and_then(|line| line.parse().ok()).expect("a size");
        println!("disk {disk}, blocks of {block}: {written} written, {finished:?}");
        assert!(finished.disk_full == Some(true), "{finished:?}");
        assert!(
            (disk - (disk / 16).min(2 * MIB)..=disk + disk / 16).contains(&written),
            "{written} of {disk}"
        );
        assert!(finished.disk_used_bytes >= Some(written), "{finished:?}");
    }
}

#[test]
fn a_disk_that_was_not_filled_is_not_full() {
    let (_, _, _, finished) = run(
        |start| start.disk_bytes = MIB,
        "dd if=/dev/zero of=/tmp/half bs=65536 count=8",
        false,
    );
    assert!(
        finished.disk_full == Some(false) && finished.disk_used_bytes >= Some(MIB / 2),
        "{finished:?}"
    );
}

#[test]
fn written_files_are_no_memory() {
    let (_, _, end, finished) = run(
        |start| start.memory_bytes = 16 * MIB,
        "dd if=/dev/zero of=/tmp/file bs=65536 count=900",
        false,
    );
    assert_eq!((end, finished.oom_kills), (Some(End::ExitCode(0)), Some(0)), "{finished:?}");
}

#[test]
fn a_fork_bomb_ends_by_the_first_limit() {
    let asked = Instant::now();
    let (reason, _, _, finished) = run(
        |start| start.wall_ms = 1_000,
        "bomb() { bomb | bomb & }; bomb; sleep 60",
        true,
    );
    assert!(
        matches!(reason, Some(StopReason::WallTime | StopReason::Oom | StopReason::CpuTime)),
        "{finished:?}"
    );
    assert!(asked.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_first_reason_wins() {
    let launcher = Launcher::start();
    let layers = [images::base(&launcher)];
    let (mut conversation, prepared) = Conversation::prepared(&launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(Start {
        wall_ms: 2_000,
        ..start(&layers)
    });
    agent.shell("sleep 60");
    agent.wait_for_start();
    conversation.stop(StopReason::Cancel);
    conversation.stop(StopReason::Output);
    assert_eq!(conversation.stopped(), StopReason::Cancel);
    // Its wall time passes too.
    std::thread::sleep(Duration::from_millis(2_000));
    assert_eq!(agent.finish().1, Some(End::Signal(9)));
    assert_eq!(conversation.finish().reason(), StopReason::Cancel);
}
