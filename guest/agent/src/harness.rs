//! What the fuzzer calls (`native/fuzz`): a session whose worker has been taken over. The programs are played: what becomes of each is in the
//! first letter of its name. Any frame may end the session; none may panic, and the agent itself keeps to the protocol.
use crate::channel::Channel;
use crate::failure::Failure;
use crate::outbox::CHUNK_BYTES;
use crate::outcome::{EXECUTING, FAILED};
use crate::payload::Prepared;
use crate::process::Process;
use crate::programs::Programs;
use crate::rights;
use crate::session::{AgentError, Session};
use caisson_frame::Decoder;
use caisson_frame::agent::{AgentFrame, Exec, Mount, Setup, agent_frame::Frame};
use caisson_frame::harness::framed;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::MemfdFlags;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, send, shutdown, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::LazyLock;

/// More than a socket holds would need a second thread.
const STREAM_BYTES: usize = 64 << 10;
const OUTPUT: &[u8] = &[b'x'; 4_096];

/// The first byte says in pieces of what size the rest comes, and whether lengths are put right.
pub fn session(bytes: &[u8]) {
    let Some((&control, frames)) = bytes.split_first() else {
        return;
    };
    // As in every Rust program, which a fuzzer's is not: its `main` is libFuzzer's.
    // SAFETY: no handler of anybody is replaced.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let mut stream = if control & 0x80 == 0 {
        framed(frames)
    } else {
        frames.to_vec()
    };
    stream.truncate(STREAM_BYTES);
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
    let mut session = Session::new(Channel::new(near).expect("a channel"), Played::default());
    let mut worker = Worker::new(far);
    for piece in stream.chunks(1 + 8 * usize::from(control & 0x7f)) {
        rustix::io::write(&worker.channel, piece).expect("room in a socket");
        if !matches!(session.turn(), Ok(true)) {
            return worker.listen();
        }
        worker.listen();
    }
    shutdown(&worker.channel, Shutdown::Write).expect("a socket");
    while let Ok(true) = session.turn() {
        worker.listen();
    }
}

struct Worker {
    channel: OwnedFd,
    decoder: Decoder<AgentFrame>,
    greeted: bool,
    /// Of process and stream: what came so far.
    offsets: HashMap<(u32, i32), u64>,
}

impl Worker {
    fn new(channel: OwnedFd) -> Self {
        rustix::io::ioctl_fionbio(&channel, true).expect("a socket");
        Self {
            channel,
            decoder: Decoder::new(),
            greeted: false,
            offsets: HashMap::new(),
        }
    }

    fn listen(&mut self) {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(count) = rustix::io::read(&self.channel, &mut buffer) {
            if count == 0 {
                return;
            }
            self.decoder.push(&buffer[..count]);
            while let Some(frame) = self.decoder.pull().expect("a frame") {
                self.take(frame.frame.expect("a known frame"));
            }
        }
    }

    fn take(&mut self, frame: Frame) {
        assert_eq!(matches!(frame, Frame::Hello(_)), !self.greeted, "{frame:?}");
        self.greeted = true;
        match frame {
            Frame::Output(output) => {
                let offset = self.offsets.entry((output.process_id, output.stream)).or_default();
                assert!(*offset == output.offset && (1..=CHUNK_BYTES).contains(&output.data.len()));
                *offset += output.data.len() as u64;
            }
            // The number may be used again.
            Frame::Exited(exited) => self.offsets.retain(|(process, _), _| *process != exited.process_id),
            Frame::Failed(failed) => assert!(failed.message.len() <= 1_024),
            _ => {}
        }
    }
}

/// Programs that run nowhere; the ends of their pipes that stay open.
#[derive(Default)]
struct Played {
    kept: Vec<OwnedFd>,
}

/// Bits of the first letter of `args[0]`.
const REFUSED: u8 = 1;
const KILLED: u8 = 2;
const DEAF: u8 = 4;
const ENDS: u8 = 8;
const SPEAKS: u8 = 16;

impl Programs for Played {
    fn mount(&mut self, _mount: &Mount) -> bool {
        true
    }

    fn rehearse(&mut self, _setup: &Setup) -> bool {
        true
    }

    fn set_up(&mut self, setup: &Setup) -> Result<bool, AgentError> {
        Ok(setup.machine.is_some())
    }

    fn start(&mut self, exec: &Exec) -> Result<Process, Failure> {
        let letter = exec.args[0].bytes().next().unwrap_or(0);
        let (pair, pipe) = (
            || socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket"),
            || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("a pipe"),
        );
        let (reports, orders, outcome) = (pair(), pair(), pipe());
        rights::send(&reports.1, DEAD.as_fd()).expect("a socket");
        say(&outcome.1, letter);
        let [stdin, stdout, stderr] = [pipe(), pipe(), pipe()];
        if letter & SPEAKS != 0 {
            let _ = (rustix::io::write(&stdout.1, OUTPUT), rustix::io::write(&stderr.1, OUTPUT));
        }
        if letter & ENDS != 0 {
            send(&reports.1, &i32::from(letter).to_ne_bytes(), SendFlags::NOSIGNAL).expect("a socket");
        }
        if letter & DEAF == 0 {
            self.kept.push(stdin.0);
        }
        self.kept.extend([reports.1, stdout.1, stderr.1]);
        let prepared = Prepared {
            init: eventfd(0, EventfdFlags::CLOEXEC).expect("an event"),
            reports: reports.0,
            orders: orders.0,
            outcome: outcome.0,
            request: rustix::fs::memfd_create(c"request", MemfdFlags::CLOEXEC).expect("memory"),
            stdin: stdin.1,
            stdout: stdout.0,
            stderr: stderr.0,
        };
        let root = fcntl_dupfd_cloexec(&*DEAD, 0).expect("a descriptor");
        Process::start(exec, prepared, root, None)
    }
}

fn say(outcome: &OwnedFd, letter: u8) {
    let failure = || {
        [
            &[FAILED],
            Failure::new(caisson_frame::agent::failed::Step::Exec, "exec", Errno::NOENT)
                .to_bytes()
                .as_slice(),
        ]
        .concat()
    };
    let word = match (letter & REFUSED != 0, letter & KILLED != 0) {
        (true, _) => failure(),
        (_, true) => Vec::new(),
        _ => vec![EXECUTING],
    };
    rustix::io::write(outcome, &word).expect("room in a pipe");
}

/// Of a process that was reaped long ago: no signal hits anybody.
static DEAD: LazyLock<OwnedFd> = LazyLock::new(|| {
    let mut child = Command::new("/bin/true").spawn().expect("a child");
    let pid = Pid::from_raw(child.id() as i32).expect("a number");
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).expect("a pidfd");
    child.wait().expect("a child");
    descriptor
});

#[cfg(test)]
mod tests {
    #[test]
    fn corpus() {
        caisson_frame::harness::run_corpus("session", super::session);
    }
}
