//! Folders of a sandbox, and how they go.
use super::Cgroup;
use crate::log;
use crate::step::Failure;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the folders of a sandbox may take to become empty. Dying processes take milliseconds, with much memory some hundred.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was made for one sandbox, in the order in which it was. When dropped, whatever is inside is killed, and the folders go.
pub struct Folders {
    base: &'static Cgroup,
    /// In the v2 tree: where all of them are killed.
    top: String,
    /// Hierarchy and path.
    made: Vec<(usize, String)>,
}

impl Folders {
    pub fn new(base: &'static Cgroup, top: String) -> Self {
        Self {
            base,
            top,
            made: Vec::new(),
        }
    }

    /// One in each hierarchy.
    pub fn make(&mut self, place: impl Fn(usize) -> String) -> Result<Cgroup, Failure> {
        self.base.child(|hierarchy, above| {
            let path = place(hierarchy);
            let made = above.make(&path);
            self.made.push((hierarchy, path));
            made
        })
    }

    /// False when something stays.
    pub fn dispose(&mut self) -> bool {
        let made = std::mem::take(&mut self.made);
        let remove = || {
            let mut latest_first = made.iter().rev();
            latest_first.try_for_each(|(hierarchy, path)| self.base.folders[*hierarchy].remove(path))
        };
        made.is_empty() || dispose(self.base, &self.top, remove)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        self.dispose();
    }
}

/// Of a dead launcher's sandbox, whatever there is.
pub fn sweep(base: &Cgroup, id: &str) {
    dispose(base, id, || {
        base.folders.iter().try_for_each(|folder| folder.remove_with_children(id))
    });
}

/// Kills until the folders can be removed: the kernel refuses that while anything lives in them.
fn dispose(base: &Cgroup, top: &str, remove: impl Fn() -> rustix::io::Result<()>) -> bool {
    let _ = base.unified().write(&format!("{top}/cgroup.kill"), "1");
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    while let Err(error) = remove() {
        if Instant::now() > deadline {
            log::warning(&format!("cgroup {top} stays: {error}"));
            return false;
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    true
}
