use crate::sandbox::{CREDIT, Sandbox, exec, sh};
use caisson_frame::agent::{Stream, agent_frame::Frame, exited::End};
use std::time::{Duration, Instant};

#[test]
fn bytes_come_as_they_were_written() {
    let outcome = Sandbox::new().sh("printf 'a\\000b\\377'; printf 'e\\000' >&2");
    assert_eq!((outcome.stdout, outcome.stderr), (b"a\0b\xff".to_vec(), b"e\0".to_vec()));
}

#[test]
fn a_flood_stops_at_its_credit_and_holds_up_nothing_else() {
    let mut sandbox = Sandbox::new();
    let mut request = sh("echo hello >&2; exec cat /dev/zero");
    request.output_credit_bytes = 100_000;
    sandbox.start(request).unwrap();
    let mut received = 0;
    let mut hello = false;
    while received < 100_000 || !hello {
        match sandbox.next() {
            Some(Frame::Output(output)) if output.stream() == Stream::Stdout => received += output.data.len(),
            Some(Frame::Output(output)) => hello = output.data == b"hello\n",
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, 100_000);
    sandbox.channel.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(
        caisson_frame::read_frame::<caisson_frame::agent::AgentFrame>(&mut sandbox.channel).is_err(),
        "nothing beyond the credit"
    );
    sandbox.channel.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    sandbox.signal(9);
    sandbox.credit(Stream::Stdout, 50);
    assert!(matches!(sandbox.next(), Some(Frame::Output(output)) if output.data.len() == 50));
    sandbox.credit(Stream::Stdout, CREDIT);
    loop {
        match sandbox.next() {
            Some(Frame::Output(_)) => {}
            Some(Frame::Exited(exited)) => break assert_eq!(exited.end, Some(End::Signal(9))),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_end_waits_for_the_last_byte_whatever_the_credit_comes_in() {
    let mut sandbox = Sandbox::new();
    let mut request = sh("head -c 50000 /dev/zero");
    request.output_credit_bytes = 1;
    sandbox.start(request).unwrap();
    let mut received = 0;
    loop {
        match sandbox.next() {
            Some(Frame::Output(output)) => {
                received += output.data.len();
                sandbox.credit(Stream::Stdout, 997);
            }
            Some(Frame::Exited(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, 50_000);
}

#[test]
fn both_streams_flow_under_flood() {
    let mut sandbox = Sandbox::new();
    let outcome = sandbox.sh("head -c 20000000 /dev/zero & head -c 20000000 /dev/zero >&2; wait");
    assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (20_000_000, 20_000_000));
}

/// Sends `total` bytes as credit allows; the bytes the agent gave credit for.
pub fn feed(sandbox: &mut Sandbox, mut allowed: u64, total: u64) {
    let block = vec![0xa5; 64 << 10];
    let mut sent = 0;
    while sent < total {
        while allowed == 0 {
            match sandbox.next() {
                Some(Frame::InputCredit(credit)) => allowed += credit.bytes,
                other => panic!("{other:?}"),
            }
        }
        let length = allowed.min(total - sent).min(block.len() as u64);
        sandbox.input(sent, &block[..length as usize], sent + length == total);
        sent += length;
        allowed -= length;
    }
}

#[test]
fn input_of_64_mib_arrives_whole() {
    let mut sandbox = Sandbox::new();
    let mut request = exec(&["sha256sum"]);
    request.stdin = true;
    let credit = sandbox.start(request).unwrap();
    feed(&mut sandbox, credit, 64 << 20);
    let expected = std::process::Command::new("sh")
        .args(["-c", "head -c 67108864 /dev/zero | tr '\\0' '\\245' | sha256sum"])
        .output();
    assert_eq!(sandbox.finish().stdout, expected.unwrap().stdout);
}

#[test]
fn an_empty_end_is_an_end() {
    let mut sandbox = Sandbox::new();
    let mut request = exec(&["cat"]);
    request.stdin = true;
    sandbox.start(request).unwrap();
    sandbox.input(0, b"", true);
    assert_eq!(sandbox.finish().end(), End::ExitCode(0));
}

#[test]
fn without_input_the_program_reads_nothing() {
    assert_eq!(Sandbox::new().sh("cat; readlink /proc/self/fd/0").out(), "/dev/null\n");
}

#[test]
fn a_program_that_closes_its_input_is_told_of() {
    let mut sandbox = Sandbox::new();
    let mut request = sh("exec <&-; echo closed; sleep 1; echo end");
    request.stdin = true;
    sandbox.start(request).unwrap();
    let mut told = false;
    let mut out = Vec::new();
    loop {
        match sandbox.next() {
            Some(Frame::InputCredit(credit)) => told |= credit.closed,
            Some(Frame::Output(output)) => {
                out.extend(output.data);
                sandbox.input(0, b"", false);
            }
            Some(Frame::Exited(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(told);
    assert_eq!(out, b"closed\nend\n");
}

#[test]
fn an_agent_with_nothing_to_do_does_nothing() {
    let mut sandbox = Sandbox::new();
    let mut request = sh("exec <&- >&- 2>&-; sleep 1.5");
    request.stdin = true;
    sandbox.start(request).unwrap();
    std::thread::sleep(Duration::from_millis(400));
    let stat = format!("/proc/{}/stat", sandbox.agent_pid());
    let ticks = || -> u64 {
        let fields = std::fs::read_to_string(&stat).unwrap();
        fields
            .split(' ')
            .skip(13)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_millis(800));
    assert!(ticks() - before <= 1, "busy waiting");
    assert_eq!(sandbox.finish().end(), End::ExitCode(0));
}

/// Not a benchmark, but a floor that a copy too many or a missing wakeup falls through.
#[test]
fn output_is_not_slow() {
    let mut sandbox = Sandbox::new();
    let started = Instant::now();
    let mut request = sh("head -c 268435456 /dev/zero");
    request.output_credit_bytes = 4 << 20;
    sandbox.start(request).unwrap();
    let mut received = 0;
    loop {
        match sandbox.next() {
            Some(Frame::Output(output)) => {
                received += output.data.len();
                sandbox.credit(Stream::Stdout, output.data.len() as u64);
            }
            Some(Frame::Exited(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    println!("{:.2} GB/s", received as f64 / started.elapsed().as_secs_f64() / 1e9);
    assert!(started.elapsed() < Duration::from_secs(20));
}
