//! What the walls of a sandbox are, for its run's receipt: the programs that made them, and what the kernel says of its first process.
use crate::cgroup::Version;
use crate::digest::{self, Digest};
use crate::process::Process;
use crate::step::{At, Failure, Step};
use crate::uids::{RANGE, UidRange};
use caisson_frame::launch::{Namespace, Wall};
use rustix::fs::stat;
use rustix::system::uname;
use std::fs::{File, read};

const KINDS: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
const LABEL_BYTES: usize = 256;

/// What is the same for all sandboxes of a launcher.
pub struct Observer {
    launcher: Digest,
    kernel: String,
    cgroup_version: u32,
    own: [u64; KINDS.len()],
    /// A security module gives labels here.
    labels: bool,
}

impl Observer {
    pub fn new(cgroups: Version) -> Result<Self, Failure> {
        let program = File::open("/proc/self/exe").at(Step::ObserveWalls)?;
        Ok(Self {
            launcher: digest::of_file(&program).at(Step::ObserveWalls)?,
            kernel: uname().release().to_string_lossy().into_owned(),
            cgroup_version: match cgroups {
                Version::V1 => 1,
                Version::V2 => 2,
            },
            own: inodes("/proc/self")?,
            labels: label("/proc/self").is_some(),
        })
    }

    /// Called once the process has executed its program: with that it enters its time namespace.
    pub fn wall(&self, process: &Process, uids: &UidRange, agent: &Digest) -> Result<Wall, Failure> {
        let folder = process.folder();
        let namespaces = KINDS.iter().zip(inodes(&folder)?).zip(self.own);
        Ok(Wall {
            launcher_digest: self.launcher.to_vec(),
            agent_digest: agent.to_vec(),
            kernel: self.kernel.clone(),
            namespaces: namespaces
                .filter(|((_, inode), own)| inode != own)
                .map(|((kind, inode), _)| Namespace {
                    kind: (*kind).to_owned(),
                    inode,
                })
                .collect(),
            first_uid: uids.first,
            uids: RANGE,
            cgroup_version: self.cgroup_version,
            label: if self.labels { label(&folder) } else { None },
            machine: None,
        })
    }
}

fn inodes(process: &str) -> Result<[u64; KINDS.len()], Failure> {
    let mut inodes = [0; KINDS.len()];
    for (kind, inode) in KINDS.iter().zip(&mut inodes) {
        *inode = stat(format!("{process}/ns/{kind}")).about(Step::ObserveWalls, kind)?.st_ino;
    }
    Ok(inodes)
}

/// EINVAL: no module says anything of it.
fn label(process: &str) -> Option<String> {
    let bytes = read(format!("{process}/attr/current")).ok()?;
    let label = String::from_utf8_lossy(&bytes[..bytes.len().min(LABEL_BYTES)])
        .trim_end_matches(['\0', '\n'])
        .to_owned();
    (!label.is_empty()).then_some(label)
}
