//! A listing: a helper that sees layers of the store, and tells the worker which files they have.
use crate::cgroup::Limits;
use crate::helper::{Helper, Task};
use crate::launcher::Launcher;
use crate::layer_key::LayerKey;
use crate::peer::Peer;
use crate::spec::{self, MAX_LISTED, layers, refuse, within};
use crate::step::{Failure, Step};
use caisson_frame::launch;
use rustix::process::Resource;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::time::Duration;

const LIMITS: Limits = Limits {
    cpu_millis: Some(1_000),
    // What four million entries take, twice.
    memory_bytes: 1 << 30,
    pids: 1,
};
const RLIMITS: [(Resource, u64); 2] = [(Resource::Fsize, 0), (Resource::Cpu, 60)];
const PATIENCE: Duration = Duration::from_secs(90);
const FILES: RangeInclusive<u64> = 1..=100;

pub struct List {
    layers: Vec<LayerKey>,
    words: Vec<String>,
}

impl List {
    pub fn check(list: &launch::List) -> Result<Self, Failure> {
        let layers = layers("list.layers", &list.layers, 1..=MAX_LISTED)?;
        let most = within("list.most", list.most.into(), FILES)?;
        let mut words = vec!["caisson-lister".into(), layers.len().to_string(), most.to_string()];
        if let Some(only) = list.only {
            let last = layers.len() as u64 - 1;
            words.push(spec::within("list.only", only.into(), 0..=last)?.to_string());
        }
        Ok(Self { layers, words })
    }
}

pub struct Listing {
    pub helper: Helper,
}

impl Listing {
    pub fn start(launcher: &'static Launcher, list: List) -> Result<Self, Failure> {
        let files = list.layers.iter().map(|key| launcher.layers.store.open(key));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let descriptors: Vec<&OwnedFd> = files.iter().collect();
        let task = Task {
            step: Step::Lister,
            program: &launcher.lister,
            words: list.words,
            limits: LIMITS,
            rlimits: &RLIMITS,
            patience: PATIENCE,
            descriptors: &descriptors,
            below: Vec::new(),
        };
        Helper::start(launcher, launcher.uids.take()?, task).map(|helper| Self { helper })
    }

    /// Until the worker has all and leaves, or the lister ended other than it should.
    pub fn follow(&mut self, peer: &mut Peer) -> Result<(), Failure> {
        self.helper.await_end_or_word(peer)?;
        if self.helper.has_ended()? {
            self.helper.expect_success()?;
            peer.await_close();
            return Ok(());
        }
        if peer.read()? {
            return refuse(format_args!("a listing takes no request"));
        }
        Ok(())
    }
}
