//! What the worker asks for, checked: it is not trusted.
use crate::cgroup::{Limits, Written};
use crate::layer_key::LayerKey;
use crate::step::{At, Failure, Step};
use caisson_frame::launch::{self, Enforced};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::CString;
use std::ops::RangeInclusive;

/// Overlayfs takes no more lower layers.
pub const MAX_LAYERS: usize = 500;
/// As many as a manifest may have.
pub const MAX_LISTED: usize = 1_000;
/// Of one request about the store: all names that the layers of an image may have.
pub const MAX_KEYS: usize = 4_096;
const DISK_BYTES: RangeInclusive<u64> = 1 << 20..=16 << 40;
const MEMORY_BYTES: RangeInclusive<u64> = 1 << 20..=64 << 40;
/// Its arguments, as much as a frame holds, are charged to a VMM before it has memory of its own: out of memory by then, it would take the
/// launcher along, whose memory it has.
const VMM_MEMORY_BYTES: RangeInclusive<u64> = 16 << 20..=64 << 40;
const MILLISECONDS: RangeInclusive<u64> = 1..=604_800_000;
/// A quota below one millisecond of a period is more than the kernel takes.
const CPU_MILLIS: RangeInclusive<u64> = 10..=1_000_000;
const LAYER_BYTES: RangeInclusive<u64> = 1..=1 << 40;
pub const LAYER_ENTRIES: RangeInclusive<u64> = 1..=100_000_000;
const BYTES_PER_SECOND: RangeInclusive<u64> = 1..=1 << 50;
const PIDS: RangeInclusive<u64> = 1..=4_194_304;

#[derive(Debug)]
pub struct Start {
    pub layers: Vec<LayerKey>,
    pub limits: Limits,
    pub disk_bytes: u64,
    pub cpu_ms: u64,
    pub wall_ms: u64,
    /// Of the scratch disk, reading and writing each.
    pub disk_bytes_per_second: Option<u64>,
}

pub fn disk_bytes(prepare: &launch::Prepare) -> Result<u64, Failure> {
    within("prepare.disk_bytes", prepare.disk_bytes, DISK_BYTES)
}

impl Start {
    pub fn check(start: &launch::Start) -> Result<Self, Failure> {
        Ok(Self {
            layers: without_repeats(layers("start.layers", &start.layers, 0..=MAX_LAYERS)?),
            limits: Limits {
                cpu_millis: Some(within("start.cpu_millis", start.cpu_millis, CPU_MILLIS)?),
                memory_bytes: within("start.memory_bytes", start.memory_bytes, MEMORY_BYTES)?,
                pids: within("start.pids", start.pids, PIDS)?,
            },
            disk_bytes: within("start.disk_bytes", start.disk_bytes, DISK_BYTES)?,
            cpu_ms: within("start.cpu_ms", start.cpu_ms, MILLISECONDS)?,
            wall_ms: within("start.wall_ms", start.wall_ms, MILLISECONDS)?,
            disk_bytes_per_second: start
                .disk_bytes_per_second
                .map(|rate| within("start.disk_bytes_per_second", rate, BYTES_PER_SECOND))
                .transpose()?,
        })
    }
}

impl Start {
    /// What is kept of it: what the kernel took, and the clocks. The disk is the caller's to tell.
    pub fn enforced(&self, written: &Written) -> Enforced {
        Enforced {
            cpu_millis: written.limits.cpu_millis,
            memory_bytes: written.limits.memory_bytes,
            swap_bytes: written.swap_bytes,
            pids: written.limits.pids,
            disk_bytes: self.disk_bytes,
            disk_inodes: None,
            cpu_ms: self.cpu_ms,
            wall_ms: self.wall_ms,
        }
    }
}

/// Of a VMM's command line.
const ARGS: usize = 1_024;
const ARG_BYTES: usize = 4_096;
/// All that QEMU's own filter can deny.
const SANDBOX: [&str; 2] = [
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

pub struct Boot {
    pub args: Vec<CString>,
    pub from: From,
    pub limits: Limits,
    pub console: bool,
}

/// What the guest's memory begins with.
pub enum From {
    Kernel,
    KernelToSave { memory_bytes: u64 },
    Template { id: String },
}

impl Boot {
    pub fn check(boot: &launch::Boot) -> Result<Self, Failure> {
        Ok(Self {
            args: vmm_args(&boot.args)?,
            from: From::check(boot.from.as_ref())?,
            limits: Limits {
                cpu_millis: None,
                memory_bytes: within("boot.memory_bytes", boot.memory_bytes, VMM_MEMORY_BYTES)?,
                pids: VMM_THREADS,
            },
            console: boot.console,
        })
    }
}

impl From {
    fn check(from: Option<&launch::boot::From>) -> Result<Self, Failure> {
        Ok(match from {
            None => Self::Kernel,
            Some(launch::boot::From::TemplateBytes(bytes)) => Self::KernelToSave {
                memory_bytes: within("boot.template_bytes", *bytes, MEMORY_BYTES)?,
            },
            Some(launch::boot::From::TemplateId(id)) => Self::Template { id: id.clone() },
        })
    }
}

/// What a VMM is given beside what it is told.
pub enum HandedFile {
    None,
    Layer(LayerKey),
    Scratch(u64),
    State,
}

pub struct Tell {
    pub data: Vec<u8>,
    pub file: HandedFile,
}

const TOLD_BYTES: usize = 64 << 10;

impl Tell {
    pub fn check(tell: launch::Tell) -> Result<Self, Failure> {
        use launch::tell::File;
        let file = match &tell.file {
            None => HandedFile::None,
            Some(File::Layer(text)) => HandedFile::Layer(key("tell.layer", text)?),
            Some(File::ScratchBytes(bytes)) => HandedFile::Scratch(within("tell.scratch_bytes", *bytes, DISK_BYTES)?),
            Some(File::State(true)) => HandedFile::State,
            Some(File::State(false)) => return refuse(format_args!("tell.state: false")),
        };
        if !(1..=TOLD_BYTES).contains(&tell.data.len()) {
            return refuse(format_args!("tell.data has {} bytes: 1 to {TOLD_BYTES}", tell.data.len()));
        }
        Ok(Self { data: tell.data, file })
    }
}

/// A processor is one; disks have a few helpers that come and go.
const VMM_THREADS: u64 = 128;

fn vmm_args(args: &[String]) -> Result<Vec<CString>, Failure> {
    if args.len() > ARGS || args.iter().any(|arg| arg.len() > ARG_BYTES) {
        return refuse(format_args!("boot.args: at most {ARGS}, each of at most {ARG_BYTES} bytes"));
    }
    // Other ways to say the same: QEMU takes two dashes for one, and options from a file.
    if let Some(arg) = args.iter().find(|arg| arg.starts_with("--") || *arg == "-readconfig") {
        return refuse(format_args!("boot.args: {arg:?}"));
    }
    let sandboxes = args.iter().filter(|arg| *arg == SANDBOX[0]).count();
    if sandboxes != 1 || !args.windows(2).any(|pair| pair == SANDBOX) {
        return refuse(format_args!("boot.args: {} must be there, once", SANDBOX.join(" ")));
    }
    let args: Result<Vec<CString>, _> = args.iter().map(|arg| CString::new(arg.as_str())).collect();
    args.map_or_else(|_| refuse(format_args!("boot.args: a NUL byte")), Ok)
}

pub struct Convert {
    pub key: LayerKey,
    pub diff_id: String,
    pub lowers: Vec<LayerKey>,
    pub compression: &'static str,
    pub max_bytes: u64,
    pub max_entries: u64,
}

impl Convert {
    pub fn check(convert: &launch::Convert) -> Result<Self, Failure> {
        let key = if convert.chain_id.is_empty() {
            LayerKey::of_diff_id(&convert.diff_id)
        } else {
            LayerKey::of_chain_id(&convert.chain_id)
        };
        let key = key.filter(|_| LayerKey::of_diff_id(&convert.diff_id).is_some());
        let lowers = if convert.chain_id.is_empty() { 0..=0 } else { 1..=MAX_LAYERS };
        Ok(Self {
            key: key.map_or_else(|| refuse(format_args!("convert.diff_id or chain_id: sha256:<64 hex>")), Ok)?,
            diff_id: convert.diff_id.clone(),
            lowers: without_repeats(layers("convert.lowers", &convert.lowers, lowers)?),
            compression: compression(convert)?,
            max_bytes: within("convert.max_bytes", convert.max_bytes, LAYER_BYTES)?,
            max_entries: within("convert.max_entries", convert.max_entries, LAYER_ENTRIES)?,
        })
    }
}

/// As the converter's command line has it.
fn compression(convert: &launch::Convert) -> Result<&'static str, Failure> {
    match launch::Compression::try_from(convert.compression) {
        Ok(launch::Compression::None) => Ok("none"),
        Ok(launch::Compression::Gzip) => Ok("gzip"),
        Ok(launch::Compression::Zstd) => Ok("zstd"),
        Err(_) => refuse(format_args!(
            "convert.compression {}: NONE, GZIP or ZSTD",
            convert.compression
        )),
    }
}

/// The worker may stop for its own reasons; what the launcher observes is not the worker's to claim.
pub fn stop_reason(stop: &launch::Stop) -> Result<launch::StopReason, Failure> {
    use launch::StopReason::{Abandoned, Cancel, Output};
    match stop.reason() {
        reason @ (Output | Cancel | Abandoned) => Ok(reason),
        _ => refuse(format_args!("stop.reason {}: OUTPUT, CANCEL or ABANDONED", stop.reason)),
    }
}

pub fn key(field: &str, text: &str) -> Result<LayerKey, Failure> {
    LayerKey::parse(text).map_or_else(
        || refuse(format_args!("{field} {text:?}: sha256-, chain- or fold-<64 hex>")),
        Ok,
    )
}

pub fn layers(field: &str, texts: &[String], count: RangeInclusive<usize>) -> Result<Vec<LayerKey>, Failure> {
    if !count.contains(&texts.len()) {
        return refuse(format_args!(
            "{field} has {}: {} to {}",
            texts.len(),
            count.start(),
            count.end()
        ));
    }
    texts.iter().map(|text| key(field, text)).collect()
}

/// Overlayfs takes no layer twice. Its topmost place alone shows the same: what it holds hides, and its whiteouts hide, whatever its lower
/// places would.
pub fn without_repeats(layers: Vec<LayerKey>) -> Vec<LayerKey> {
    let mut seen = HashSet::new();
    let mut kept: Vec<LayerKey> = layers.into_iter().rev().filter(|key| seen.insert(key.clone())).collect();
    kept.reverse();
    kept
}

pub fn within(field: &str, value: u64, range: RangeInclusive<u64>) -> Result<u64, Failure> {
    if range.contains(&value) {
        Ok(value)
    } else {
        refuse(format_args!("{field} {value}: {} to {}", range.start(), range.end()))
    }
}

/// Of a message, which quotes what the worker sent, and has to fit into a frame.
const MESSAGE_BYTES: usize = 1_024;

pub fn refuse<T>(what: std::fmt::Arguments<'_>) -> Result<T, Failure> {
    let mut message = what.to_string();
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    Err(Errno::INVAL).about(Step::Request, message)
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_BYTES, key, without_repeats};

    #[test]
    fn a_refusal_quotes_no_more_than_fits_into_a_frame() {
        let failure = key("start.layers", &"ü".repeat(1 << 19)).expect_err("no key");
        assert!(failure.subject.starts_with("start.layers \"ü") && failure.subject.len() <= MESSAGE_BYTES);
    }

    #[test]
    fn a_repeated_layer_keeps_its_topmost_place() {
        let keys = |letters: &str| -> Vec<_> {
            let texts = letters
                .chars()
                .map(|letter| format!("sha256-{}", letter.to_string().repeat(64)));
            texts.map(|text| key("test", &text).expect("a key")).collect()
        };
        assert_eq!(without_repeats(keys("abacb")), keys("acb"));
    }
}
