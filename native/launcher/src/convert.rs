//! A conversion: a helper that sees its input, its output, and layers of the store at most. What it writes has no name until the launcher
//! publishes it, and is published only after the converter is gone.
use crate::cgroup::Limits;
use crate::fold::Fold;
use crate::helper::{Helper, Task};
use crate::keeping::keys_of;
use crate::launcher::Launcher;
use crate::layer_key::LayerKey;
use crate::peer::Peer;
use crate::spec::{self, Convert};
use crate::step::{At, Failure, Step};
use caisson_frame::launch::{Published, event::Event, request::Request};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::process::Resource;
use std::os::fd::OwnedFd;
use std::time::Duration;

const LIMITS: Limits = Limits {
    // It has two threads: one decompresses, the other writes.
    cpu_millis: Some(2_000),
    memory_bytes: 256 << 20,
    pids: 16,
};
/// For a whole layer, its download included.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What the converter is asked to do.
pub struct Work {
    key: LayerKey,
    words: Vec<String>,
    /// Mounted at /lower as one tree.
    below: Vec<LayerKey>,
    /// Handed over as files, behind output and spool.
    inputs: Vec<LayerKey>,
    /// Of output and spool each.
    file_bytes: u64,
}

impl From<Convert> for Work {
    fn from(convert: Convert) -> Self {
        let (bytes, entries) = (convert.max_bytes.to_string(), convert.max_entries.to_string());
        let mut words = vec![
            "caisson-converter",
            "--diff-id",
            &convert.diff_id,
            "--compression",
            convert.compression,
        ];
        words.extend(["--max-bytes", &bytes, "--max-entries", &entries]);
        if !convert.lowers.is_empty() {
            words.extend(["--lower", "/lower"]);
        }
        Self {
            words: words.into_iter().map(str::to_owned).collect(),
            key: convert.key,
            below: convert.lowers,
            inputs: Vec::new(),
            // The layer, and what it takes over from those below.
            file_bytes: room(convert.max_bytes.saturating_mul(2), convert.max_entries),
        }
    }
}

impl From<Fold> for Work {
    fn from(fold: Fold) -> Self {
        let (layers, bytes, entries) = (fold.layers.len(), fold.max_bytes, fold.max_entries);
        let words = format!("caisson-converter fold --layers {layers} --max-bytes {bytes} --max-entries {entries}");
        Self {
            words: words.split(' ').map(str::to_owned).collect(),
            key: fold.key,
            below: Vec::new(),
            inputs: fold.layers,
            file_bytes: room(bytes, entries),
        }
    }
}

/// For files, and an inode for every entry.
fn room(bytes: u64, entries: u64) -> u64 {
    bytes.saturating_add(entries * 1_024 + (64 << 20))
}

pub struct Conversion {
    pub helper: Helper,
    output: OwnedFd,
    key: LayerKey,
    launcher: &'static Launcher,
}

impl Conversion {
    pub fn start(launcher: &'static Launcher, work: Work) -> Result<Self, Failure> {
        let uids = launcher.uids.take()?;
        let (output, spool) = (launcher.layers.store.new_file()?, spool(launcher)?);
        for file in [&output, &spool] {
            fchown(file, Some(Uid::from_raw(uids.first)), Some(Gid::from_raw(uids.first))).at(Step::OpenOutput)?;
        }
        let below = work.below.iter().map(|key| launcher.layers.take(key));
        let inputs = work.inputs.iter().map(|key| launcher.layers.store.open(key));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let descriptors: Vec<&OwnedFd> = [&output, &spool].into_iter().chain(&inputs).collect();
        let task = Task {
            step: Step::Converter,
            program: &launcher.converter,
            words: work.words,
            limits: LIMITS,
            rlimits: &[(Resource::Fsize, work.file_bytes)],
            patience: PATIENCE,
            descriptors: &descriptors,
            below: below.collect::<Result<_, _>>()?,
        };
        Ok(Self {
            helper: Helper::start(launcher, uids, task)?,
            output,
            key: work.key,
            launcher,
        })
    }

    pub fn follow(&mut self, peer: &mut Peer) -> Result<(), Failure> {
        let publish = match self.next(peer)? {
            None => return Ok(()),
            Some(Request::Publish(publish)) => publish,
            Some(_) => return spec::refuse(format_args!("a conversion takes publish")),
        };
        let published = self.publish(publish.store_bytes)?;
        let is_stored = published.lacking_bytes == 0;
        peer.send(Event::Published(published));
        if is_stored {
            // Mounted now, it costs its first run nothing. Where that fails, the run will say so.
            let _ = self.launcher.layers.take(&self.key);
        }
        peer.await_close();
        Ok(())
    }

    fn next(&self, peer: &mut Peer) -> Result<Option<Request>, Failure> {
        loop {
            if let Some(request) = peer.pull()? {
                return Ok(Some(request));
            }
            self.helper.await_word(peer)?;
            if !peer.read()? {
                return Ok(None);
            }
        }
    }

    fn publish(&mut self, store_bytes: u64) -> Result<Published, Failure> {
        self.helper.expect_success()?;
        let group = self.launcher.instance.worker.gid;
        let publication = self.launcher.layers.publish(&self.output, &self.key, group, store_bytes)?;
        Ok(Published {
            key: self.key.as_str().into(),
            stored_bytes: publication.stored_bytes,
            removed: keys_of(&publication.removed),
            lacking_bytes: publication.lacking_bytes,
        })
    }
}

fn spool(launcher: &Launcher) -> Result<OwnedFd, Failure> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(&launcher.spool, ".", flags, Mode::from_raw_mode(0o600)).about(Step::OpenOutput, "spool")
}
