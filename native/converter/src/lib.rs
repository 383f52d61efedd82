//! Turns one layer of an OCI image into one squashfs, with no privileges and no trust in the layer; or several of these into one.
//!
//! The launcher gives a listening socket (3), the output (4) and a spool (5). The blob comes over the one connection to the socket until the
//! peer's half-close; one `ConvertResult` goes back. Layers to fold are further descriptors, and nothing comes over the connection.

mod args;
mod attributes;
mod blob;
mod confine;
mod convert;
mod decompress;
mod fold;
#[cfg(any(test, fuzzing))]
pub mod harness;
mod layer;
mod lower;
mod path;
mod plan;
mod refuse;
mod resolve;
mod squashfs;
mod tar;
mod tree;
mod xattr;

use args::{Args, Command, Fold};
use caisson_frame::launch::{ConvertResult, Converted, NeedsLowers, Refused, convert_result};
use refuse::Stop;
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

const LISTENER: RawFd = 3;
const OUTPUT: RawFd = 4;
const SPOOL: RawFd = 5;
const FIRST_LAYER: RawFd = 6;

pub fn run() -> Result<(), String> {
    let command = Command::parse(std::env::args_os().skip(1)).map_err(|fault| format!("{fault}\nusage: {}", args::USAGE))?;
    let (listener, output, spool) = (
        UnixListener::from(inherited(LISTENER)?),
        File::from(inherited(OUTPUT)?),
        File::from(inherited(SPOOL)?),
    );
    match command {
        Command::Convert(args) => convert(&args, listener, output, spool),
        Command::Fold(fold) => fold_layers(&fold, listener, output, spool),
    }
}

fn convert(args: &Args, listener: UnixListener, output: File, spool: File) -> Result<(), String> {
    let lower = args.lower.as_deref().map(lower::Lower::open);
    let mut connection = confined(listener)?;
    let blob = connection.try_clone().map_err(|error| format!("channel: {error}"))?;
    let result = lower
        .transpose()
        .and_then(|lower| convert::convert(args, blob, output, spool, lower));
    tell(&mut connection, result)
}

fn fold_layers(fold: &Fold, listener: UnixListener, output: File, spool: File) -> Result<(), String> {
    let layers = (0..fold.layers).map(|layer| inherited(FIRST_LAYER + layer as RawFd).map(File::from));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let mut connection = confined(listener)?;
    let result = fold::fold(fold, layers, output, spool);
    tell(&mut connection, result)
}

/// Before the first byte that a client had a hand in.
fn confined(listener: UnixListener) -> Result<UnixStream, String> {
    confine::report_full_files();
    confine::confine()?;
    accept(listener)
}

fn tell(connection: &mut UnixStream, result: Result<Converted, Stop>) -> Result<(), String> {
    caisson_frame::write_frame(connection, &answer(result)).map_err(|error| format!("channel: {error}"))
}

fn inherited(fd: RawFd) -> Result<OwnedFd, String> {
    // SAFETY: a plain query; the number needs to be no open descriptor.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(format!("descriptor {fd} is not open: the launcher starts this program"));
    }
    // SAFETY: it is open, was inherited for us, and nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// One connection, and no second one can come.
fn accept(listener: UnixListener) -> Result<UnixStream, String> {
    listener
        .accept()
        .map(|(connection, _)| connection)
        .map_err(|error| format!("accept: {error}"))
}

fn answer(result: Result<Converted, Stop>) -> ConvertResult {
    let result = match result {
        Ok(converted) => convert_result::Result::Converted(converted),
        Err(Stop::NeedsLowers) => convert_result::Result::NeedsLowers(NeedsLowers {}),
        Err(Stop::Refused(reason, message)) => convert_result::Result::Refused(Refused {
            reason: reason.name().into(),
            message,
        }),
    };
    ConvertResult { result: Some(result) }
}
