//! A prepared sandbox, or a booted machine, from its first request to its account. Reasons to stop come from the worker, the clocks, the kernel and the
//! agent's death; the first one wins.
use crate::account;
use crate::control::Control;
use crate::peer::Peer;
use crate::spec;
use crate::step::{At, Failure, Step};
use crate::walls::Walls;
use crate::watch::Watch;
use caisson_frame::launch::{
    self, Enforced, Finished, Said, Started, StopReason, Stopped, TemplateKept, event::Event, request::Request,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// A run in which nothing happens for so long has time for what its start put off. A short one never has: it would wait for its account.
const REST: Duration = Duration::from_millis(50);

pub struct Run<'a> {
    walls: &'a mut dyn Walls,
    peer: &'a mut Peer,
    watch: Option<Watch>,
    stopped: Option<(StopReason, Instant)>,
    /// A machine is listened to until its start.
    silent: bool,
    untidy: bool,
    enforced: Option<Enforced>,
}

#[derive(PartialEq)]
enum Next {
    Wait,
    Close,
}

#[derive(Default, PartialEq)]
struct Ready {
    peer: bool,
    agent: bool,
    memory: bool,
    control: bool,
}

impl<'a> Run<'a> {
    pub fn new(walls: &'a mut dyn Walls, peer: &'a mut Peer) -> Self {
        Self {
            walls,
            peer,
            watch: None,
            stopped: None,
            silent: false,
            untidy: false,
            enforced: None,
        }
    }

    pub fn follow(mut self) -> Result<(), Failure> {
        loop {
            let ready = self.wait()?;
            if self.untidy && ready == Ready::default() {
                self.walls.tidy();
                self.untidy = false;
            }
            self.look_at_limits(&ready)?;
            if ready.control {
                self.pass_on()?;
            }
            if ready.peer && self.listen()? == Next::Close {
                return Ok(());
            }
            // After what the worker said: an agent ends by itself once its channel is closed, which may be just before.
            if ready.agent {
                self.walls.hear_out();
                if self.watch.is_none() {
                    self.walls.explain_early_end()?;
                }
                self.stop(StopReason::AgentLost)?;
            }
        }
    }

    fn wait(&self) -> Result<Ready, Failure> {
        let mut descriptors = vec![PollFd::new(&self.peer, PollFlags::IN)];
        let mut timeout = self.untidy.then_some(REST);
        if self.stopped.is_none() {
            descriptors.push(PollFd::new(self.walls.process(), PollFlags::IN));
            if let Some(control) = self.control() {
                descriptors.push(PollFd::new(control, PollFlags::IN));
            } else if let Some(watch) = &self.watch {
                descriptors.push(PollFd::new(&self.walls.oom().fd, self.walls.oom().flags));
                let patience = watch.patience(Instant::now());
                timeout = Some(timeout.map_or(patience, |rest| rest.min(patience)));
            }
        }
        match poll(&mut descriptors, timeout.map(timespec).as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error).at(Step::Watch),
        }
        let is_ready = |index: usize| {
            descriptors
                .get(index)
                .is_some_and(|descriptor| !descriptor.revents().is_empty())
        };
        Ok(Ready {
            peer: is_ready(0),
            agent: is_ready(1),
            memory: self.watch.is_some() && is_ready(2),
            control: self.watch.is_none() && is_ready(2),
        })
    }

    fn look_at_limits(&mut self, ready: &Ready) -> Result<(), Failure> {
        let Some(watch) = self.watch.as_mut().filter(|_| self.stopped.is_none()) else {
            return Ok(());
        };
        let reason = if ready.memory && self.walls.oom().fired() {
            Some(StopReason::Oom)
        } else {
            watch.ran_out(self.walls.payload(), Instant::now())?
        };
        reason.map_or(Ok(()), |reason| self.stop(reason))
    }

    fn control(&self) -> Option<&Control> {
        self.walls.control().filter(|_| self.watch.is_none() && !self.silent)
    }

    fn pass_on(&mut self) -> Result<(), Failure> {
        let Some(control) = self.control() else { return Ok(()) };
        match control.hear()? {
            Some(data) => self.peer.send(Event::Said(Said { data })),
            // Its process ends too, and says more.
            None => self.silent = true,
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<Next, Failure> {
        if !self.peer.read()? {
            return Ok(Next::Close);
        }
        while let Some(request) = self.peer.pull()? {
            match request {
                Request::Start(start) => self.start(&start)?,
                Request::Stop(stop) => self.stop(spec::stop_reason(&stop)?)?,
                Request::Tell(tell) if self.watch.is_none() => {
                    let spec::Tell { data, file } = spec::Tell::check(tell)?;
                    self.walls.tell(&data, &file)?;
                }
                Request::KeepTemplate(_) if self.watch.is_none() => {
                    let bytes = self.walls.keep_template()?;
                    self.peer.send(Event::TemplateKept(TemplateKept { bytes }));
                    self.peer.await_close();
                    return Ok(Next::Close);
                }
                Request::Finish(_) => {
                    let finished = self.finish()?;
                    self.peer.send(Event::Finished(finished));
                    // The rest of the disposal waits until the worker has told its verdict.
                    self.peer.await_close();
                    return Ok(Next::Close);
                }
                _ => {
                    return spec::refuse(format_args!(
                        "a sandbox takes start, stop and finish, and a machine before its start tell and keep_template"
                    ));
                }
            }
        }
        Ok(Next::Wait)
    }

    fn start(&mut self, start: &launch::Start) -> Result<(), Failure> {
        let asked = Instant::now();
        if self.watch.is_some() || self.stopped.is_some() {
            return spec::refuse(format_args!("start: the sandbox was started or stopped before"));
        }
        let start = spec::Start::check(start)?;
        self.enforced = Some(self.walls.start(&start)?);
        let before = self.walls.cpu_before()?;
        self.watch = Some(Watch::new(&start, Instant::now(), before));
        self.peer.send(Event::Started(Started {
            took_us: asked.elapsed().as_micros() as u64,
        }));
        self.untidy = true;
        Ok(())
    }

    /// Kills the payload, unless that was done before.
    fn stop(&mut self, reason: StopReason) -> Result<(), Failure> {
        if self.stopped.is_some() {
            return Ok(());
        }
        self.walls.payload().kill()?;
        self.stopped = Some((reason, Instant::now()));
        self.peer.send(Event::Stopped(Stopped { reason: reason.into() }));
        Ok(())
    }

    fn finish(&mut self) -> Result<Finished, Failure> {
        let ended = self.stopped.map_or_else(Instant::now, |(_, at)| at);
        account::end_payload(self.walls.payload())?;
        let mut finished = account::account(self.walls, self.watch.as_ref(), ended)?;
        finished.enforced = self.enforced;
        if let Some((reason, _)) = self.stopped {
            finished.set_reason(reason);
            if reason == StopReason::Oom {
                // Our kill, at the event, may have come before the kernel's own, which alone it counts.
                finished.oom_kills = Some(finished.oom_kills.unwrap_or(0).max(1));
            }
        }
        Ok(finished)
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: duration.subsec_nanos().into(),
    }
}
