//! What a worker that lies, errs or dies can do: nothing beyond its own sandbox.
mod support;

use caisson_frame::launch::{
    Boot, Finish, Hold, Prepare, Release, Remove, Start, Stop, StopReason, Verify, boot::From, event::Event, request::Request,
};
use std::io::Write;
use support::conversation::{Conversation, start};
use support::host::Traces;
use support::{Launcher, images};

#[test]
fn every_field_is_checked() {
    let launcher = Launcher::start();
    let layers = [images::base(&launcher)];
    type Change = fn(&mut Start);
    let refused: [(&str, Change); 12] = [
        ("start.layers", |start| start.layers.clear()),
        ("start.layers", |start| start.layers = vec!["../../etc/passwd".into()]),
        ("start.layers", |start| start.layers = vec![start.layers[0].clone(); 501]),
        ("start.cpu_millis", |start| start.cpu_millis = 0),
        ("start.cpu_millis", |start| start.cpu_millis = u64::MAX),
        ("start.memory_bytes", |start| start.memory_bytes = 0),
        ("start.memory_bytes", |start| start.memory_bytes = u64::MAX),
        ("start.pids", |start| start.pids = 0),
        ("start.disk_bytes", |start| start.disk_bytes = u64::MAX),
        ("start.disk_bytes", |start| start.disk_bytes = 0),
        ("start.cpu_ms", |start| start.cpu_ms = u64::MAX),
        ("start.wall_ms", |start| start.wall_ms = 0),
    ];
    for (field, change) in refused {
        let (mut conversation, _) = Conversation::prepared(&launcher);
        let mut wrong = start(&layers);
        change(&mut wrong);
        conversation.send(Request::Start(wrong));
        let failed = conversation.failed();
        assert!(failed.step == "check request" && failed.message.contains(field), "{failed:?}");
    }
    let mut conversation = Conversation::open(&launcher);
    conversation.send(Request::Prepare(Prepare { disk_bytes: 1 }));
    assert!(conversation.failed().message.contains("prepare.disk_bytes 1: 1048576 to"));
    Traces::idle(&launcher);
}

#[test]
fn talk_about_the_store_is_checked() {
    let launcher = Launcher::start();
    let key = images::base(&launcher);
    let keys = |count: usize| vec![key.clone(); count];
    let keep_bytes = 0;
    let refused: [(&str, Request); 7] = [
        ("hold.keys has 0", Request::Hold(Hold { keys: keys(0) })),
        ("hold.keys has 4097", Request::Hold(Hold { keys: keys(4097) })),
        (
            "hold.keys \"../x\"",
            Request::Hold(Hold {
                keys: vec!["../x".into()],
            }),
        ),
        ("is not held", Request::Release(Release { keys: keys(1) })),
        (
            "remove.keys has 4097",
            Request::Remove(Remove {
                keys: keys(4097),
                keep_bytes,
            }),
        ),
        (
            "remove.keys",
            Request::Remove(Remove {
                keys: vec!["/".into()],
                keep_bytes,
            }),
        ),
        ("verify.key", Request::Verify(Verify { key: String::new() })),
    ];
    for (word, request) in refused {
        let mut conversation = Conversation::open(&launcher);
        conversation.send(request);
        let failed = conversation.failed();
        assert!(failed.step == "check request" && failed.message.contains(word), "{failed:?}");
    }
    // One connection does not release what another one holds, and a hold ends with its connection.
    let mut holder = Conversation::open(&launcher);
    holder.send(Request::Hold(Hold { keys: keys(2) }));
    assert!(matches!(holder.next(), Some(Event::Held(held)) if held.missing.is_empty()));
    let mut other = Conversation::open(&launcher);
    other.send(Request::Release(Release { keys: keys(1) }));
    assert!(other.failed().message.contains("is not held"));
    let removed = || {
        let mut conversation = Conversation::open(&launcher);
        conversation.send(Request::Remove(Remove {
            keys: vec![],
            keep_bytes,
        }));
        match conversation.next() {
            Some(Event::Removed(removed)) => removed.keys.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(removed(), 0);
    drop(holder);
    while removed() == 0 {}
    assert_eq!(removed(), 0);
    Traces::idle(&launcher);
}

/// The jail does not depend on what the worker says: QEMU's own filter is part of it.
#[test]
fn a_vmm_is_started_only_with_its_filter() {
    let launcher = Launcher::start();
    let sandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
    let boot = |args: &[&str]| Boot {
        args: args.iter().map(ToString::to_string).collect(),
        memory_bytes: 64 << 20,
        from: None,
        console: false,
    };
    let from = |from: From| Boot {
        from: Some(from),
        ..boot(&["-sandbox", sandbox])
    };
    let long = "x".repeat(4097);
    let refused = [
        ("--sandbox", boot(&["-sandbox", sandbox, "--sandbox", "off"])),
        ("-readconfig", boot(&["-sandbox", sandbox, "-readconfig", "/proc/self/fd/8"])),
        ("-sandbox", boot(&["-nodefaults"])),
        ("-sandbox", boot(&["-sandbox", "off"])),
        ("-sandbox", boot(&["-sandbox", &sandbox.replace("spawn=deny", "spawn=allow")])),
        ("-sandbox", boot(&["-sandbox", sandbox, "-sandbox", "off"])),
        ("NUL", boot(&["-sandbox", sandbox, "a\0b"])),
        ("4096 bytes", boot(&["-sandbox", sandbox, &long])),
        (
            "boot.memory_bytes",
            Boot {
                memory_bytes: 1 << 20,
                ..boot(&["-sandbox", sandbox])
            },
        ),
        ("boot.template_bytes", from(From::TemplateBytes(1))),
        ("no template", from(From::TemplateId("nobody's".into()))),
    ]
    .map(|(word, boot)| (word, Request::Boot(boot)));
    for (word, request) in refused {
        let mut conversation = Conversation::open(&launcher);
        conversation.send(request);
        let failed = conversation.failed();
        assert!(failed.step == "check request" && failed.message.contains(word), "{failed:?}");
    }
    Traces::idle(&launcher);
}

#[test]
fn a_request_out_of_turn_is_refused() {
    let launcher = Launcher::start();
    let mut conversation = Conversation::open(&launcher);
    conversation.send(Request::Finish(Finish {}));
    assert_eq!(conversation.failed().step, "check request");

    let (mut conversation, _) = Conversation::prepared(&launcher);
    conversation.send(Request::Stop(Stop {
        reason: StopReason::Oom.into(),
    }));
    assert!(conversation.failed().message.contains("stop.reason"));

    let (mut conversation, _) = Conversation::prepared(&launcher);
    conversation.send(Request::Remove(Remove {
        keys: vec![format!("sha256-{}", "0".repeat(64))],
        keep_bytes: 0,
    }));
    assert_eq!(conversation.failed().step, "check request");
    Traces::idle(&launcher);
}

#[test]
fn an_unknown_layer_is_named() {
    let launcher = Launcher::start();
    let key = format!("sha256-{}", "ab".repeat(32));
    let (mut conversation, _) = Conversation::prepared(&launcher);
    conversation.send(Request::Start(start(std::slice::from_ref(&key))));
    assert_eq!(conversation.failed().message, format!("open layer {key}: ENOENT"));
}

#[test]
fn a_broken_frame_ends_only_its_own_connection() {
    let launcher = Launcher::start();
    let (mut other, _) = Conversation::prepared(&launcher);
    let before = Traces::of(&launcher);
    for bytes in [&[0xff; 8][..], &[0, 0, 0, 2, 0xff, 0xff], &[0, 0, 0, 0]] {
        let mut conversation = Conversation::open(&launcher);
        conversation.0.write_all(bytes).expect("write");
        assert_eq!(conversation.failed().step, "read request");
    }
    drop(Conversation::prepared(&launcher).0);
    Traces::settle_to(&launcher, &before);
    assert_eq!(other.finish().reason(), StopReason::Unspecified);
}

#[test]
fn a_worker_that_vanishes_leaves_nothing() {
    let launcher = Launcher::start();
    drop(Conversation::prepared(&launcher));
    let before = Traces::idle(&launcher);
    let waiting: Vec<_> = (0..8).map(|_| Conversation::prepared(&launcher)).collect();
    assert_eq!(Traces::of(&launcher).processes, 8);
    drop(waiting);
    Traces::settle_to(&launcher, &before);
}
