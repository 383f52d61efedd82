//! A layer from its blob to a sandbox that runs from it.
mod support;

use caisson_frame::agent::exited::End;
use caisson_frame::launch::{Compression, Convert, ConvertResult, Publish, Remove, convert_result, event, request};
use caisson_frame::read_frame;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use support::agent::Agent;
use support::conversation::{Conversation, start};
use support::host::Traces;
use support::{Launcher, images};

struct Blob {
    bytes: Vec<u8>,
    diff_id: String,
}

fn tar(launcher: &Launcher, fill: impl FnOnce(&Path), names: &[&str]) -> Blob {
    let root = launcher.state.join("tar");
    fs::create_dir(&root).expect("folder");
    fill(&root);
    let tar = Command::new("tar")
        .arg("-C")
        .arg(&root)
        .args(["--owner=0", "--group=0", "--no-recursion", "-c"])
        .args(names)
        .output();
    fs::remove_dir_all(&root).expect("remove");
    let bytes = tar.expect("tar runs").stdout;
    let file = launcher.state.join("blob");
    fs::write(&file, &bytes).expect("write");
    let sum = Command::new("sha256sum").arg(&file).output().expect("sha256sum runs").stdout;
    fs::remove_file(file).expect("remove");
    Blob {
        bytes,
        diff_id: format!("sha256:{}", String::from_utf8_lossy(&sum[..64])),
    }
}

fn convert(launcher: &Launcher, blob: &Blob, below: Option<&str>) -> (Conversation, Option<convert_result::Result>) {
    let mut conversation = Conversation::open(launcher);
    conversation.send(request::Request::Convert(Convert {
        diff_id: blob.diff_id.clone(),
        chain_id: below.map_or(String::new(), |_| format!("sha256:{}", "cd".repeat(32))),
        lowers: below.into_iter().map(String::from).collect(),
        compression: Compression::None.into(),
        max_bytes: 64 << 20,
        max_entries: 1_000,
    }));
    let Some(event::Event::Prepared(prepared)) = conversation.next() else {
        panic!("not prepared")
    };
    let mut channel = UnixStream::connect(&prepared.channel_path).expect("converter listens");
    channel.write_all(&blob.bytes).expect("converter reads");
    channel.shutdown(Shutdown::Write).expect("half-close");
    let result = read_frame::<ConvertResult>(&mut channel)
        .expect("converter answers")
        .and_then(|result| result.result);
    (conversation, result)
}

fn publish(mut conversation: Conversation) -> String {
    conversation.send(request::Request::Publish(Publish { store_bytes: 0 }));
    match conversation.next() {
        Some(event::Event::Published(published)) => published.key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn publishes_a_layer_that_then_runs() {
    let launcher = Launcher::start();
    let base = images::base(&launcher);
    drop(Conversation::prepared(&launcher));
    let before = Traces::idle(&launcher);
    let blob = tar(
        &launcher,
        |root| images::write(root, "etc/new", "converted"),
        &["./etc/", "./etc/new"],
    );
    let (conversation, result) = convert(&launcher, &blob, None);
    assert!(matches!(result, Some(convert_result::Result::Converted(_))), "{result:?}");
    let key = publish(conversation);
    assert_eq!(key, blob.diff_id.replace(':', "-"));

    let stored = fs::metadata(launcher.state.join("layers/v1").join(format!("{key}.sqfs"))).expect("published");
    assert_eq!(
        (stored.uid(), stored.gid(), stored.permissions().mode() & 0o7777),
        (0, 65533, 0o440)
    );
    let mounted = Traces {
        loops: before.loops + 1,
        descriptors: before.descriptors + 1,
        ..before
    };
    Traces::settle_to(&launcher, &mounted);

    let mut conversation = Conversation::open(&launcher);
    let mut agent = Agent::connect(&conversation.prepare().channel_path);
    conversation.start(start(&[base, key.clone()]));
    agent.shell("cat /etc/new");
    assert_eq!(agent.finish(), ("converted".into(), Some(End::ExitCode(0))));
    remove(&launcher, &key, false);
    drop(conversation);
    Traces::settle_to(
        &launcher,
        &Traces {
            loops: mounted.loops + 1,
            descriptors: mounted.descriptors + 1,
            ..mounted
        },
    );
    remove(&launcher, &key, true);
    assert!(!launcher.state.join("layers/v1").join(format!("{key}.sqfs")).exists());
}

fn remove(launcher: &Launcher, key: &str, possible: bool) {
    let mut conversation = Conversation::open(launcher);
    conversation.send(request::Request::Remove(Remove {
        keys: vec![key.into()],
        keep_bytes: 0,
    }));
    match conversation.next() {
        Some(event::Event::Removed(removed)) => assert_eq!(removed.keys.contains(&key.to_owned()), possible),
        other => panic!("{other:?}"),
    }
}

#[test]
fn completes_a_layer_from_those_below() {
    let launcher = Launcher::start();
    let base = images::layer(&launcher, 1, |root| {
        fs::create_dir(root.join("deep")).expect("folder");
        fs::set_permissions(root.join("deep"), fs::Permissions::from_mode(0o700)).expect("mode");
        // As of our own converter's layers: on an image without any attributes the kernel knows no attributes at all.
        rustix::fs::setxattr(root.join("deep"), "user.x", b"y", rustix::fs::XattrFlags::empty()).expect("attribute");
    });
    let blob = tar(&launcher, |root| images::write(root, "deep/file", "x"), &["./deep/file"]);
    let (conversation, result) = convert(&launcher, &blob, None);
    assert!(matches!(result, Some(convert_result::Result::NeedsLowers(_))), "{result:?}");
    drop(conversation);
    let (conversation, result) = convert(&launcher, &blob, Some(&base));
    assert!(matches!(result, Some(convert_result::Result::Converted(_))), "{result:?}");
    assert_eq!(publish(conversation), format!("chain-{}", "cd".repeat(32)));
}

#[test]
fn publishes_nothing_of_a_converter_that_was_cut_off() {
    let launcher = Launcher::start();
    let blob = tar(&launcher, |root| images::write(root, "file", "x"), &["./file"]);
    let broken = Blob {
        diff_id: format!("sha256:{}", "0".repeat(64)),
        ..blob
    };
    let (mut conversation, result) = convert(&launcher, &broken, None);
    let Some(convert_result::Result::Refused(refused)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(refused.reason, "LAYER_DIFF_ID_MISMATCH");
    conversation.send(request::Request::Finish(caisson_frame::launch::Finish {}));
    assert_eq!(conversation.failed().step, "check request");
    assert_eq!(fs::read_dir(launcher.state.join("layers/v1")).expect("store").count(), 0);
}
