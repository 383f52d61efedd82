//! A worker that does not keep to the protocol loses its sandbox, and nothing else happens.
use crate::sandbox::{Sandbox, exec, sh};
use caisson_frame::agent::{Credit, Exec, Input, Setup, Stream, failed::Step, host_frame::Frame};
use std::io::Write;

#[test]
fn violations_end_the_sandbox() {
    type Violate = fn(&mut Sandbox);
    let cases: [(&str, Violate); 9] = [
        ("second Setup", |sandbox| sandbox.send(Frame::Setup(Setup::default()))),
        ("signal 0", |sandbox| sandbox.signal(0)),
        ("signal 65", |sandbox| sandbox.signal(65)),
        ("unknown stream", |sandbox| {
            sandbox.send(Frame::Credit(Credit {
                process_id: 1,
                stream: 3,
                bytes: 1,
            }))
        }),
        ("credit overflow", |sandbox| sandbox.credit(Stream::Stderr, u64::MAX)),
        ("input without stdin", |sandbox| sandbox.input(0, b"x", false)),
        ("input offset", |sandbox| {
            sandbox.send(Frame::Input(Input {
                process_id: 1,
                offset: 9,
                data: vec![1],
                end: false,
            }))
        }),
        ("same process twice", |sandbox| sandbox.send(Frame::Exec(sh("true")))),
        ("no frame in it", |sandbox| sandbox.channel.write_all(&[0, 0, 0, 0]).unwrap()),
    ];
    for (name, violate) in cases {
        let mut sandbox = Sandbox::new();
        sandbox.start(exec(&["sleep", "60"])).unwrap();
        violate(&mut sandbox);
        assert!(sandbox.is_over(), "{name}");
    }
}

#[test]
fn garbage_ends_the_sandbox() {
    for garbage in [
        &b"\xff\xff\xff\xffmore"[..],
        b"\x00\x10\x00\x01",
        b"\x00\x00\x00\x02\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut sandbox = Sandbox::new();
        sandbox.channel.write_all(garbage).unwrap();
        assert!(sandbox.is_over(), "{garbage:?}");
    }
}

#[test]
fn a_hostname_the_kernel_refuses_ends_the_sandbox() {
    let mut sandbox = Sandbox::silent("", None);
    sandbox.next();
    sandbox.send(Frame::Setup(Setup {
        hostname: "x".repeat(65),
        ..Setup::default()
    }));
    assert!(sandbox.is_over());
}

#[test]
fn exec_before_setup_ends_the_sandbox() {
    let mut sandbox = Sandbox::silent("", None);
    sandbox.next();
    sandbox.send(Frame::Exec(sh("true")));
    assert!(sandbox.is_over());
}

#[test]
fn frames_for_processes_that_are_gone_are_let_pass() {
    let mut sandbox = Sandbox::new();
    sandbox.sh("true");
    sandbox.signal(15);
    sandbox.input(0, b"late", true);
    sandbox.credit(Stream::Stdout, 7);
    assert_eq!(sandbox.sh("echo on").out(), "on\n");
}

#[test]
fn a_request_that_makes_no_sense_is_refused_and_the_next_one_runs() {
    let mut sandbox = Sandbox::new();
    let failed = sandbox
        .start(Exec {
            process_id: 1,
            ..Exec::default()
        })
        .unwrap_err();
    assert_eq!((failed.step(), failed.message.as_str()), (Step::Request, "args: empty"));
    let mut many = sh("true");
    many.rlimits = Some(caisson_frame::agent::Rlimits { open_files: 1 << 40 });
    let failed = sandbox.start(many).unwrap_err();
    assert_eq!((failed.step(), failed.errno), (Step::Rlimit, libc::EPERM));
    assert_eq!(sandbox.sh("echo on").out(), "on\n");
}

#[test]
fn an_environment_of_nearly_a_frame_arrives() {
    let mut request = sh("printf %s \"$A$B$C$D$E$F$G\" | wc -c");
    request.env = ["A", "B", "C", "D", "E", "F", "G"]
        .map(|name| format!("{name}={}", "x".repeat(120_000)))
        .to_vec();
    request.env.push("PATH=/bin".into());
    assert_eq!(Sandbox::new().run(request).out(), "840000\n");
}

#[test]
fn the_loss_of_the_channel_is_the_end_of_the_sandbox() {
    let mut sandbox = Sandbox::new();
    sandbox.start(exec(&["sleep", "60"])).unwrap();
    let agent = sandbox.agent_pid();
    sandbox.channel.shutdown(std::net::Shutdown::Both).unwrap();
    for _ in 0..200 {
        if !std::path::Path::new(&format!("/proc/{agent}")).exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the agent lives on");
}
