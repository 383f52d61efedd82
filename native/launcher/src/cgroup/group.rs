use super::{AGENT, Cgroup, Half, Version, v2};
use crate::log;
use crate::step::Failure;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the folders of a sandbox may take to become empty. Dying processes take milliseconds, with much memory some hundred.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroups of one sandbox. When dropped, whatever is inside is killed, and the folders go.
pub struct Group {
    base: &'static Cgroup,
    id: String,
    pub agent: Cgroup,
    pub payload: Cgroup,
}

impl Group {
    pub fn make(base: &'static Cgroup, id: &str) -> Result<Self, Failure> {
        Self::furnish(base, id).inspect_err(|_| dispose(base, id))
    }

    fn furnish(base: &'static Cgroup, id: &str) -> Result<Self, Failure> {
        let sandbox = base.child(id)?;
        if base.version == Version::V2 {
            v2::delegate(&sandbox)?;
        }
        let (agent, payload) = (sandbox.child(Half::Agent.name())?, sandbox.child(Half::Payload.name())?);
        agent.limit(&AGENT)?;
        Ok(Self {
            base,
            id: id.to_owned(),
            agent,
            payload,
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        dispose(self.base, &self.id);
    }
}

/// Kills until the folders can be removed: the kernel refuses that while anything lives in them.
pub fn dispose(base: &Cgroup, id: &str) {
    let _ = base.unified().write(&format!("{id}/cgroup.kill"), "1");
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    while let Err(error) = remove(base, id) {
        if Instant::now() > deadline {
            return log::warning(&format!("cgroup {id} stays: {error}"));
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn remove(base: &Cgroup, id: &str) -> rustix::io::Result<()> {
    for folder in &base.folders {
        for half in [Half::Payload, Half::Agent] {
            folder.remove(&format!("{id}/{}", half.name()))?;
        }
        folder.remove(id)?;
    }
    Ok(())
}
