//! A sandbox without a launcher: namespaces by `unshare`, a root by `enter.sh`, and the worker's side of the channel.
use crate::host::{give, make_cgroup, make_user_namespace, set_mode};
use caisson_frame::agent::{AgentFrame, Credit, Exec, Exited, Failed, HostFrame, Input, Rlimits, Setup, Signal, Stream};
use caisson_frame::agent::{agent_frame, exited::End, host_frame};
use caisson_frame::{read_frame, write_frame};
use rustix::event::{EventfdFlags, eventfd};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub const CREDIT: u64 = 1 << 20;

pub struct Sandbox {
    pub channel: UnixStream,
    init: Child,
    user_namespace: Child,
    cgroup: Option<PathBuf>,
    _folder: TempDir,
}

impl Sandbox {
    /// Up to Hello and Setup.
    pub fn new() -> Self {
        Self::with_image("")
    }

    pub fn with_image(commands: &str) -> Self {
        let mut sandbox = Self::silent(commands, None);
        sandbox.greet();
        sandbox
    }

    pub fn with_pids_limit(limit: u32) -> Self {
        let mut sandbox = Self::silent("", Some(limit));
        sandbox.greet();
        sandbox
    }

    /// Nothing was said yet.
    pub fn silent(commands: &str, pids: Option<u32>) -> Self {
        let folder = tempfile::Builder::new().prefix("t-agent-").tempdir().unwrap();
        let work = folder.path().join("root");
        fs::create_dir(&work).unwrap();
        set_mode(folder.path(), 0o755);
        let socket = folder.path().join("channel");
        let listener = UnixListener::bind(&socket).unwrap();
        let cgroup = pids.map(|limit| make_cgroup(folder.path(), limit));
        let procs = cgroup
            .iter()
            .map(|path| File::options().write(true).open(path.join("cgroup.procs")).unwrap().into());
        let rooted = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
        let given: Vec<OwnedFd> = [listener.into(), rooted].into_iter().chain(procs).collect();

        let user_namespace = make_user_namespace();
        let mut command = Command::new("nsenter");
        command
            .args([
                "--user",
                "-t",
                &user_namespace.id().to_string(),
                "-S",
                "0",
                "-G",
                "0",
                "unshare",
                "--mount",
                "--pid",
            ])
            .args(["--net", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child", "sh"])
            .arg(within_reach(
                folder.path(),
                &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/enter.sh"),
            ))
            .env("WORK", &work)
            .env("AGENT", within_reach(folder.path(), &program()))
            .env("IMAGE", commands)
            .env("CGROUPS", (given.len() - 2).to_string())
            .stdin(Stdio::null());
        give(&mut command, given);
        let init = command.spawn().unwrap();
        let channel = UnixStream::connect(&socket).unwrap();
        channel.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self {
            channel,
            init,
            user_namespace,
            cgroup,
            _folder: folder,
        }
    }

    fn greet(&mut self) {
        let Some(agent_frame::Frame::Hello(hello)) = self.next() else {
            panic!("no Hello")
        };
        assert_eq!(hello.protocol, 1);
        self.send(host_frame::Frame::Setup(Setup {
            hostname: "box".into(),
            entropy: vec![0; 32],
            ..Setup::default()
        }));
    }

    pub fn send(&mut self, frame: host_frame::Frame) {
        write_frame(&mut self.channel, &HostFrame { frame: Some(frame) }).unwrap();
    }

    /// None when the agent closed the channel.
    pub fn next(&mut self) -> Option<agent_frame::Frame> {
        read_frame::<AgentFrame>(&mut self.channel)
            .unwrap()
            .map(|frame| frame.frame.unwrap())
    }

    /// The agent ended, and with it the channel.
    pub fn is_over(&mut self) -> bool {
        loop {
            match read_frame::<AgentFrame>(&mut self.channel) {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(caisson_frame::FrameError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => return true,
                Err(_) => return false,
            }
        }
    }

    pub fn signal(&mut self, number: u32) {
        self.send_signal(number, false);
    }

    pub fn signal_group(&mut self, number: u32) {
        self.send_signal(number, true);
    }

    fn send_signal(&mut self, number: u32, group: bool) {
        self.send(host_frame::Frame::Signal(Signal {
            process_id: 1,
            number,
            group,
        }));
    }

    pub fn input(&mut self, offset: u64, data: &[u8], end: bool) {
        self.send(host_frame::Frame::Input(Input {
            process_id: 1,
            offset,
            data: data.to_vec(),
            end,
        }));
    }

    pub fn credit(&mut self, stream: Stream, bytes: u64) {
        self.send(host_frame::Frame::Credit(Credit {
            process_id: 1,
            stream: stream as i32,
            bytes,
        }));
    }

    /// Started, or why not.
    pub fn start(&mut self, exec: Exec) -> Result<u64, Failed> {
        self.send(host_frame::Frame::Exec(exec));
        match self.next() {
            Some(agent_frame::Frame::Started(started)) => Ok(started.input_credit_bytes),
            Some(agent_frame::Frame::Failed(failed)) => Err(failed),
            other => panic!("{other:?} instead of Started"),
        }
    }

    /// Everything up to the end, with credit given as output comes.
    pub fn finish(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            match self.next() {
                Some(agent_frame::Frame::Output(output)) => {
                    let stream = output.stream();
                    let bytes = if stream == Stream::Stdout {
                        &mut outcome.stdout
                    } else {
                        &mut outcome.stderr
                    };
                    assert_eq!(output.offset, bytes.len() as u64);
                    bytes.extend_from_slice(&output.data);
                    self.credit(stream, output.data.len() as u64);
                }
                Some(agent_frame::Frame::InputCredit(_)) => {}
                Some(agent_frame::Frame::Exited(exited)) => {
                    return Outcome {
                        exited: Some(exited),
                        ..outcome
                    };
                }
                other => panic!("{other:?} instead of output or end"),
            }
        }
    }

    pub fn run(&mut self, exec: Exec) -> Outcome {
        self.start(exec).unwrap();
        self.finish()
    }

    pub fn sh(&mut self, script: &str) -> Outcome {
        self.run(sh(script))
    }

    /// Of the agent, as the machine sees it.
    pub fn agent_pid(&self) -> u32 {
        let children = |pid: u32| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children(self.init.id())
            .split_whitespace()
            .next()
            .expect("unshare has a child")
            .parse()
            .unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.channel.shutdown(std::net::Shutdown::Both);
        let _ = self.init.kill();
        let _ = self.init.wait();
        let _ = self.user_namespace.kill();
        let _ = self.user_namespace.wait();
        if let Some(cgroup) = &self.cgroup {
            while fs::remove_dir(cgroup).is_err() && cgroup.exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exited: Option<Exited>,
}

impl Outcome {
    pub fn end(&self) -> End {
        self.exited.unwrap().end.unwrap()
    }

    pub fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    pub fn err(&self) -> &str {
        std::str::from_utf8(&self.stderr).unwrap()
    }
}

pub fn exec(args: &[&str]) -> Exec {
    Exec {
        process_id: 1,
        args: args.iter().map(ToString::to_string).collect(),
        cwd: "/".into(),
        rlimits: Some(Rlimits { open_files: 1024 }),
        output_credit_bytes: CREDIT,
        ..Exec::default()
    }
}

pub fn sh(script: &str) -> Exec {
    exec(&["sh", "-c", script])
}

/// The one that is installed: with the start of a debugged one it would be another.
pub fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/caisson-agent");
    assert!(built.exists(), "build it first: scripts/build");
    built
}

/// A copy in a folder that the sandbox's ids can reach: the checkout may be in one that only root can.
pub fn within_reach(folder: &Path, file: &Path) -> PathBuf {
    let copy = folder.join(file.file_name().unwrap());
    fs::copy(file, &copy).unwrap();
    copy
}
