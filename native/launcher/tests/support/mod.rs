//! The real launcher with the real agent, driven over its socket. Needs root, `mksquashfs`, a static busybox, and built binaries.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod agent;
pub mod conversation;
pub mod host;
pub mod images;
pub mod processor;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A running `caisson-launcher serve` with a name and a state folder of its own.
pub struct Launcher {
    pub name: String,
    pub state: PathBuf,
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Launcher {
    pub fn start() -> Self {
        Self::start_with_lister(&built("caisson-lister"))
    }

    pub fn start_with_lister(lister: &Path) -> Self {
        let name = format!("t-launcher-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let state = std::env::temp_dir().join(&name);
        Self::serve(&name, &state, lister)
    }

    pub fn start_as(name: &str, state: &Path) -> Self {
        Self::serve(name, state, &built("caisson-lister"))
    }

    fn serve(name: &str, state: &Path, lister: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_caisson-launcher"))
            .args(["serve", "--name", name, "--state"])
            .arg(state)
            .args(["--worker-uid", "65533", "--worker-gid", "65533", "--agent"])
            .arg(released("caisson-agent"))
            .arg("--converter")
            .arg(built("caisson-converter"))
            .arg("--lister")
            .arg(lister)
            .stdout(Stdio::piped())
            .spawn()
            .expect("launcher starts");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let mut launcher = Self {
            name: name.into(),
            state: state.into(),
            process,
            output,
        };
        launcher.wait_until_ready();
        launcher
    }

    fn wait_until_ready(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("launcher speaks");
        assert_eq!(line, "ready\n");
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn run_folder(&self) -> PathBuf {
        Path::new("/run/caisson").join(&self.name)
    }

    pub fn kill(&mut self) {
        self.process.kill().expect("kill");
        self.process.wait().expect("wait");
    }

    pub fn end(&mut self) {
        Command::new("kill").arg(self.pid().to_string()).status().expect("kill runs");
        assert!(self.process.wait().expect("wait").success());
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end();
        }
        let _ = std::fs::remove_dir_all(&self.state);
        let _ = std::fs::remove_dir_all(self.run_folder());
    }
}

/// Beside the launcher under test when that profile built it, else of the release.
fn built(name: &str) -> PathBuf {
    let launcher = Path::new(env!("CARGO_BIN_EXE_caisson-launcher"));
    let beside = launcher.with_file_name(name);
    if beside.exists() { beside } else { released(name) }
}

/// The agent is built in no other profile.
fn released(name: &str) -> PathBuf {
    let release = Path::new(env!("CARGO_BIN_EXE_caisson-launcher"))
        .parent()
        .and_then(Path::parent)
        .expect("target folder")
        .join("release")
        .join(name);
    assert!(release.exists(), "build {name} first: scripts/build");
    release
}
