use super::Launcher;
use caisson_frame::launch::{
    Event, Failed, Finish, Finished, Prepare, Prepared, Request, Start, Started, Stop, StopReason, event, request,
};
use caisson_frame::{read_frame, write_frame};
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub const MIB: u64 = 1 << 20;

/// One connection to a launcher.
pub struct Conversation(pub UnixStream);

impl Conversation {
    pub fn open(launcher: &Launcher) -> Self {
        let stream = UnixStream::connect(launcher.run_folder().join("launcher.sock")).expect("launcher listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        Self(stream)
    }

    pub fn prepared(launcher: &Launcher) -> (Self, Prepared) {
        let mut conversation = Self::open(launcher);
        let prepared = conversation.prepare();
        (conversation, prepared)
    }

    pub fn send(&mut self, request: request::Request) {
        write_frame(&mut self.0, &Request { request: Some(request) }).expect("launcher reads");
    }

    pub fn next(&mut self) -> Option<event::Event> {
        read_frame::<Event>(&mut self.0)
            .expect("launcher speaks")
            .and_then(|event| event.event)
    }

    pub fn prepare(&mut self) -> Prepared {
        match self.try_to_prepare() {
            Some(event::Event::Prepared(prepared)) => prepared,
            other => panic!("{other:?}"),
        }
    }

    /// Prepared, or why not.
    pub fn try_to_prepare(&mut self) -> Option<event::Event> {
        self.send(request::Request::Prepare(Prepare { disk_bytes: 64 * MIB }));
        self.next()
    }

    pub fn start(&mut self, start: Start) -> Started {
        self.send(request::Request::Start(start));
        match self.next() {
            Some(event::Event::Started(started)) => started,
            other => panic!("{other:?}"),
        }
    }

    pub fn stop(&mut self, reason: StopReason) {
        self.send(request::Request::Stop(Stop { reason: reason.into() }));
    }

    pub fn stopped(&mut self) -> StopReason {
        match self.next() {
            Some(event::Event::Stopped(stopped)) => stopped.reason(),
            other => panic!("{other:?}"),
        }
    }

    pub fn finish(&mut self) -> Finished {
        self.send(request::Request::Finish(Finish {}));
        match self.next() {
            Some(event::Event::Finished(finished)) => finished,
            other => panic!("{other:?}"),
        }
    }

    pub fn failed(&mut self) -> Failed {
        match self.next() {
            Some(event::Event::Failed(failed)) => failed,
            other => panic!("{other:?}"),
        }
    }
}

/// Limits that nothing small comes near.
pub fn start(layers: &[String]) -> Start {
    Start {
        layers: layers.to_vec(),
        cpu_millis: 2_000,
        memory_bytes: 64 * MIB,
        pids: 32,
        disk_bytes: 64 * MIB,
        cpu_ms: 60_000,
        wall_ms: 60_000,
        ..Start::default()
    }
}
