//! That a helper is behind its fence: `fence.c` in the place of the lister tells what it meets. What the fence refuses is tried in
//! `src/fence_test.rs`.
mod support;

use caisson_frame::launch::{List, event, request};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use support::conversation::Conversation;
use support::{Launcher, images};

/// Landlock tells of devices only since.
const NEEDED: i64 = 5;

fn landlock_version() -> i64 {
    let none = std::ptr::null::<u8>();
    // SAFETY: no rules are given: it asks for the version.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, 1) }
}

fn compile(to: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fence.c");
    let compiled = Command::new("cc").args(["-static", "-o"]).arg(to).arg(source).status();
    assert!(compiled.expect("cc runs").success());
}

#[test]
fn a_helper_is_behind_its_fence() {
    let version = landlock_version();
    if version < NEEDED {
        let reason = format!("skipped: needs Landlock {NEEDED}, this kernel has {version}");
        // Past the test runner, which shows what succeeding tests print to nobody.
        return writeln!(std::io::stderr(), "{reason}").expect("stderr");
    }
    let program = std::env::temp_dir().join(format!("caisson-fence-probe-{}", std::process::id()));
    compile(&program);
    let launcher = Launcher::start_with_lister(&program);
    std::fs::remove_file(program).expect("remove");
    let mut conversation = Conversation::open(&launcher);
    conversation.send(request::Request::List(List {
        layers: vec![images::base(&launcher)],
        most: 1,
        only: None,
    }));
    let Some(event::Event::Prepared(prepared)) = conversation.next() else {
        panic!("not prepared")
    };
    let mut said = String::new();
    let mut channel = UnixStream::connect(prepared.channel_path).expect("it listens");
    channel.read_to_string(&mut said).expect("it speaks");
    let refused = libc::EACCES;
    assert_eq!(
        said,
        format!("null 0\nlayer 0\ndevice {refused}\nlisten {refused}\nconnect {refused}\n")
    );
}
