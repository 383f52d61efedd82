//! What the kernel holds Redis to, as `enter` starts it.
use caisson_seccomp::simulate::check_says_what_is_listed;
use caisson_seccomp::{Rule, loaded};
use std::path::Path;
use std::process::{Command, Stdio};

const REDIS: &[Rule] = caisson_seccomp::rules!("redis");

fn enter(at: &Path) -> Command {
    let mut enter = Command::new(env!("CARGO_BIN_EXE_caisson-launcher"));
    enter
        .args([
            "enter",
            "--user",
            "65534:65534",
            "--install",
            "/usr/share",
            "--calls",
            "redis",
            "--at",
        ])
        .arg(at);
    enter
}

#[test]
fn the_loaded_filter_allows_what_is_listed_and_no_more() {
    let at = std::env::temp_dir().join(format!("caisson-calls-{}", std::process::id()));
    let filters = loaded::at_the_end_of(enter(&at).args(["--", "/bin/true"]).stderr(Stdio::null()));
    let refused = enter(&at).args(["--", "/usr/bin/unshare", "--user", "true"]).output();
    std::fs::remove_dir(at).expect("the folder that was bound over is empty");
    let [filter] = &filters[..] else { panic!("one filter") };
    check_says_what_is_listed(REDIS, filter);
    let said = String::from_utf8_lossy(&refused.expect("enter starts").stderr).into_owned();
    assert!(said.contains("Function not implemented"), "{said}");
}
