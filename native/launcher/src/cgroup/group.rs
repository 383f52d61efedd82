use super::{AGENT, Cgroup, Half, Version, v1, v2};
use crate::log;
use crate::step::Failure;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the folders of a sandbox may take to become empty. Dying processes take milliseconds, with much memory some hundred.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroups of one sandbox. When dropped, whatever is inside is killed, and the folders go.
pub struct Group {
    pub agent: Cgroup,
    pub payload: Cgroup,
    _folders: Folders,
}

/// The cgroup of a program that nobody else is with: a helper, or a VMM.
pub struct Single {
    pub payload: Cgroup,
    _folders: Folders,
}

impl Group {
    pub fn make(base: &'static Cgroup, id: &str) -> Result<Self, Failure> {
        let mut folders = Folders::new(base, id);
        let (agent, payload) = match base.version {
            Version::V1 => (folders.half(Half::Agent)?, folders.half(Half::Payload)?),
            Version::V2 => {
                v2::delegate(&folders.make(|_| id.to_owned())?)?;
                let half = |half: Half| format!("{id}/{}", half.name());
                (folders.make(|_| half(Half::Agent))?, folders.make(|_| half(Half::Payload))?)
            }
        };
        agent.limit(&AGENT)?;
        Ok(Self {
            agent,
            payload,
            _folders: folders,
        })
    }
}

impl Single {
    pub fn make(base: &'static Cgroup, id: &str) -> Result<Self, Failure> {
        let mut folders = Folders::new(base, id);
        Ok(Self {
            payload: folders.make(|_| id.to_owned())?,
            _folders: folders,
        })
    }
}

/// What was made for one sandbox, in the order in which it was.
struct Folders {
    base: &'static Cgroup,
    id: String,
    /// Hierarchy and path.
    made: Vec<(usize, String)>,
}

impl Folders {
    fn new(base: &'static Cgroup, id: &str) -> Self {
        Self {
            base,
            id: id.to_owned(),
            made: Vec::new(),
        }
    }

    fn half(&mut self, half: Half) -> Result<Cgroup, Failure> {
        let (base, id) = (self.base, self.id.clone());
        self.make(|hierarchy| v1::place(base, hierarchy, &id, half))
    }

    /// One in each hierarchy.
    fn make(&mut self, place: impl Fn(usize) -> String) -> Result<Cgroup, Failure> {
        self.base.child(|hierarchy, above| {
            let path = place(hierarchy);
            let made = above.make(&path);
            self.made.push((hierarchy, path));
            made
        })
    }

    fn remove(&self) -> rustix::io::Result<()> {
        let mut made = self.made.iter().rev();
        made.try_for_each(|(hierarchy, path)| self.base.folders[*hierarchy].remove(path))
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        dispose(self.base, &self.id, || self.remove());
    }
}

/// Of a dead launcher's sandbox, whatever there is.
pub fn sweep(base: &Cgroup, id: &str) {
    dispose(base, id, || {
        base.folders.iter().try_for_each(|folder| folder.remove_with_children(id))
    });
}

/// Kills until the folders can be removed: the kernel refuses that while anything lives in them.
fn dispose(base: &Cgroup, id: &str, remove: impl Fn() -> rustix::io::Result<()>) {
    let _ = base.unified().write(&format!("{id}/cgroup.kill"), "1");
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    while let Err(error) = remove() {
        if Instant::now() > deadline {
            return log::warning(&format!("cgroup {id} stays: {error}"));
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
