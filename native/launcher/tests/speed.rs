//! Prices of the launcher's requests, printed: `cargo test -p caisson-launcher --release --test speed -- --ignored --nocapture`.
mod support;

use std::thread;
use std::time::{Duration, Instant};
use support::agent::Agent;
use support::conversation::{Conversation, start};
use support::processor::Used;
use support::{Launcher, host, images};

const ROUNDS: usize = 200;

#[test]
#[ignore = "measures, and judges nothing"]
fn prices() {
    let launcher = Launcher::start();
    let mut layers = images::make(&launcher);
    layers.push(images::layer(&launcher, 4, |root| images::write(root, "four", "four")));
    let mut prices = [const { Vec::new() }; 6];
    for _ in 0..ROUNDS {
        let mut conversation = Conversation::open(&launcher);
        let (prepared, prepare) = timed(|| conversation.prepare());
        let mut agent = Agent::connect(&prepared.channel_path);
        let (started, start) = timed(|| conversation.start(start(&layers)));
        let (_, run) = timed(|| {
            agent.exec(&["/bin/true"]);
            agent.finish()
        });
        let (_, finish) = timed(|| conversation.finish());
        let (_, gone) = timed(|| {
            drop((conversation, agent));
            await_disposal(&launcher, &prepared.sandbox_id);
        });
        let inside = Duration::from_micros(started.took_us);
        for (list, price) in prices.iter_mut().zip([prepare, start, inside, run, finish, gone]) {
            list.push(price);
        }
    }
    for (name, list) in ["prepare", "start", "start, inside", "exec to exited", "finish", "disposal"]
        .iter()
        .zip(&mut prices)
    {
        list.sort_unstable();
        println!(
            "{name:15} median {:>6} µs, p90 {:>6} µs",
            list[ROUNDS / 2].as_micros(),
            list[ROUNDS * 9 / 10].as_micros()
        );
    }
}

/// As many at once as keep a machine busy: what counts then is not how long a sandbox takes, but how long it keeps a processor.
#[test]
#[ignore = "measures, and judges nothing"]
fn processor_time() {
    const AT_ONCE: usize = 16;
    const EACH: usize = 60;
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    let all = |each: usize| {
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| (0..each).for_each(|_| run_true(&launcher, &layers)));
            }
        });
    };
    all(EACH / 4);
    let before = Used::so_far(&launcher);
    all(EACH);
    // What the kernel takes apart behind the scenes belongs to it too.
    thread::sleep(Duration::from_millis(500));
    let used = Used::so_far(&launcher) - before;
    let each = |us: u64| us / (AT_ONCE * EACH) as u64;
    println!(
        "processor time of a sandbox: launcher {} µs, its children {} µs, kernel threads {} µs; machine with the client {} µs",
        each(used.launcher_us),
        each(used.children_us),
        each(used.kernel_us),
        each(used.machine_us)
    );
}

fn run_true(launcher: &Launcher, layers: &[String]) {
    let (mut conversation, prepared) = Conversation::prepared(launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(start(layers));
    agent.exec(&["/bin/true"]);
    agent.finish();
    conversation.finish();
}

#[test]
#[ignore = "measures, and judges nothing"]
fn memory_of_waiting_sandboxes() {
    const COUNT: usize = 64;
    let launcher = Launcher::start();
    let waiting: Vec<_> = (0..COUNT).map(|_| Conversation::prepared(&launcher)).collect();
    std::thread::sleep(Duration::from_millis(300));
    // Where it is counted by cgroup v1: pages and kernel objects of agent and nested init, the namespaces included.
    let usages = host::cgroups(&launcher.name)
        .into_iter()
        .filter(|group| group.extension().is_some_and(|half| half == "agent"))
        .map(|agent| agent.join("memory.usage_in_bytes"));
    let mut kib: Vec<u64> = usages
        .filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
        .map(|bytes: u64| bytes >> 10)
        .collect();
    kib.sort_unstable();
    println!(
        "a waiting sandbox: median {:?} KiB, most {:?} KiB",
        kib.get(kib.len() / 2),
        kib.last()
    );
    println!("launcher with {COUNT} of them: {}", status_line(launcher.pid(), "VmRSS"));
    drop(waiting);
}

#[test]
#[ignore = "measures, and judges nothing"]
fn disposal_of_a_dirty_disk() {
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    let (mut conversation, prepared) = Conversation::prepared(&launcher);
    let mut agent = Agent::connect(&prepared.channel_path);
    let mut limits = start(&layers);
    (limits.memory_bytes, limits.disk_bytes) = (1 << 30, 1 << 30);
    conversation.start(limits);
    agent.shell("dd if=/dev/zero of=/big bs=1M count=400");
    agent.finish();
    let (_, finish) = timed(|| conversation.finish());
    let (_, gone) = timed(|| {
        drop((conversation, agent));
        await_disposal(&launcher, &prepared.sandbox_id);
    });
    println!(
        "with 400 MiB dirty: finish {} µs, disposal {} µs",
        finish.as_micros(),
        gone.as_micros()
    );
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let begun = Instant::now();
    let result = work();
    (result, begun.elapsed())
}

fn await_disposal(launcher: &Launcher, id: &str) {
    let channel = launcher.run_folder().join("channels").join(format!("{id}.sock"));
    while channel.exists() {
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn status_line(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("proc");
    status.lines().find(|line| line.starts_with(name)).expect("a line").into()
}
