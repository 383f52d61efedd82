use caisson_frame::agent::{AgentFrame, Exec, HostFrame, Rlimits, Setup, agent_frame, exited, host_frame};
use caisson_frame::{read_frame, write_frame};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The worker's end of an agent's channel.
pub struct Agent(UnixStream);

impl Agent {
    pub fn connect(channel_path: &str) -> Self {
        let stream = UnixStream::connect(channel_path).expect("agent listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        let mut agent = Self(stream);
        assert!(matches!(agent.next(), Some(agent_frame::Frame::Hello(_))));
        agent
    }

    pub fn exec(&mut self, args: &[&str]) {
        let setup = Setup {
            hostname: "sandbox".into(),
            entropy: vec![7; 32],
            ..Setup::default()
        };
        self.send(host_frame::Frame::Setup(setup));
        self.send(host_frame::Frame::Exec(Exec {
            process_id: 1,
            args: args.iter().map(|&arg| arg.into()).collect(),
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            rlimits: Some(Rlimits { open_files: 256 }),
            output_credit_bytes: 1 << 20,
            ..Exec::default()
        }));
    }

    pub fn shell(&mut self, script: &str) {
        self.exec(&["/bin/sh", "-c", script]);
    }

    /// Output of both streams, and how the program ended; `None` when the channel ended first.
    pub fn finish(&mut self) -> (String, Option<exited::End>) {
        let mut output = Vec::new();
        loop {
            match self.next() {
                Some(agent_frame::Frame::Output(part)) => output.extend(part.data),
                Some(agent_frame::Frame::Exited(exited)) => return (String::from_utf8_lossy(&output).into_owned(), exited.end),
                Some(agent_frame::Frame::Started(_) | agent_frame::Frame::InputCredit(_)) => {}
                Some(other) => panic!("{other:?}"),
                None => return (String::from_utf8_lossy(&output).into_owned(), None),
            }
        }
    }

    pub fn wait_for_start(&mut self) {
        assert!(matches!(self.next(), Some(agent_frame::Frame::Started(_))));
    }

    fn send(&mut self, frame: host_frame::Frame) {
        write_frame(&mut self.0, &HostFrame { frame: Some(frame) }).expect("agent reads");
    }

    fn next(&mut self) -> Option<agent_frame::Frame> {
        read_frame::<AgentFrame>(&mut self.0)
            .ok()
            .flatten()
            .and_then(|frame| frame.frame)
    }
}
