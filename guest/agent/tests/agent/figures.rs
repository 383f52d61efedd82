//! What the agent's part of a run costs: `cargo test --release -p caisson-agent --test agent -- --ignored --nocapture figures`
use crate::sandbox::{Sandbox, exec, sh};
use caisson_frame::agent::agent_frame::Frame;
use std::io::Read;
use std::time::{Duration, Instant};

const ROUNDS: usize = 60;

#[test]
#[ignore = "measures; a busy machine makes the numbers meaningless"]
fn figures() {
    let mut started = Vec::new();
    let mut ended = Vec::new();
    let mut unprepared = Vec::new();
    for _ in 0..ROUNDS {
        let mut sandbox = Sandbox::new();
        // The nested pair is made while a sandbox waits for its run.
        std::thread::sleep(Duration::from_millis(20));
        let (start, end) = time(&mut sandbox);
        started.push(start);
        ended.push(end);
        unprepared.push(time(&mut sandbox).0);
    }
    println!("Exec to Started, made ahead      {}", median(started));
    println!("Exec to Exited of /bin/true      {}", median(ended));
    println!("Exec to Started, not made ahead  {}", median(unprepared));
    println!("resident, waiting                {}", resident());
    println!("output                           {}", output());
    println!("input                            {}", input());
}

fn time(sandbox: &mut Sandbox) -> (Duration, Duration) {
    let from = Instant::now();
    sandbox.start(exec(&["/bin/true"])).unwrap();
    let started = from.elapsed();
    assert!(matches!(sandbox.next(), Some(Frame::Exited(_))));
    (started, from.elapsed())
}

fn median(mut times: Vec<Duration>) -> String {
    times.sort();
    format!("{:?}, p90 {:?}", times[times.len() / 2], times[times.len() * 9 / 10])
}

fn resident() -> String {
    let sandbox = Sandbox::new();
    std::thread::sleep(Duration::from_millis(50));
    let mut pid = sandbox.agent_pid().to_string();
    let mut all = Vec::new();
    while !pid.is_empty() {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let field = |name: &str| {
            let rollup = read("smaps_rollup");
            let line = rollup.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        all.push(format!(
            "rss {} kB (pss {}, private {})",
            field("Rss:"),
            field("Pss:"),
            field("Private_Dirty:")
        ));
        let children = read(&format!("task/{pid}/children"));
        pid = children.split_whitespace().next().unwrap_or_default().to_owned();
    }
    all.join(", ")
}

/// The reader takes bytes and looks at none of them: what is measured is the agent.
fn output() -> String {
    let total = 1usize << 30;
    let mut sandbox = Sandbox::with_image("dd if=/dev/zero of=big bs=1M count=256");
    let mut request = sh("cat /big /big /big /big");
    request.output_credit_bytes = 2 << 30;
    let (from, mut received) = (Instant::now(), 0);
    sandbox.start(request).unwrap();
    let mut buffer = vec![0; 1 << 20];
    while received < total {
        received += sandbox.channel.read(&mut buffer).unwrap();
    }
    format!("{:.2} GB/s", total as f64 / from.elapsed().as_secs_f64() / 1e9)
}

fn input() -> String {
    let total = 1u64 << 30;
    let mut sandbox = Sandbox::new();
    let mut request = sh("cat > /dev/null");
    request.stdin = true;
    let from = Instant::now();
    let credit = sandbox.start(request).unwrap();
    crate::streams::feed(&mut sandbox, credit, total);
    while !matches!(sandbox.next(), Some(Frame::Exited(_))) {}
    format!("{:.2} GB/s", total as f64 / from.elapsed().as_secs_f64() / 1e9)
}
