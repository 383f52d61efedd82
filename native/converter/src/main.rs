//! Turns one layer of an OCI image into one squashfs, with no privileges and no trust in the layer.
//!
//! The launcher gives a listening socket (3), the output (4) and a spool (5). The blob comes over the one connection to the socket until the
//! peer's half-close; one `ConvertResult` goes back.

mod args;
mod attributes;
mod blob;
mod confine;
mod convert;
mod decompress;
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

use args::Args;
use caisson_frame::launch::{ConvertResult, Converted, NeedsLowers, Refused, convert_result};
use refuse::Stop;
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;

const LISTENER: RawFd = 3;
const OUTPUT: RawFd = 4;
const SPOOL: RawFd = 5;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("caisson-converter: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args = Args::parse(std::env::args_os().skip(1)).map_err(|fault| format!("{fault}\nusage: {}", args::USAGE))?;
    let (listener, output, spool) = (
        UnixListener::from(inherited(LISTENER)?),
        inherited(OUTPUT)?,
        inherited(SPOOL)?,
    );
    let lower = args.lower.as_deref().map(lower::Lower::open);
    confine::report_full_files();
    confine::confine()?;
    let mut connection = accept(listener)?;
    let blob = connection.try_clone().map_err(|error| format!("channel: {error}"))?;
    let result = lower
        .transpose()
        .and_then(|lower| convert::convert(&args, blob, File::from(output), File::from(spool), lower));
    caisson_frame::write_frame(&mut connection, &answer(result)).map_err(|error| format!("channel: {error}"))
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
