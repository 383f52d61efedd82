//! Tells which files the layers of an image have: the largest ones, and those that layers above replace or remove.
//!
//! It reads the squashfs images that the converter wrote, and nothing else: the launcher gives a listening socket (3), and their open
//! descriptors, from 4 on, oldest layer first. Before it reads the first byte it gives up every system call but reading, writing and memory;
//! what it found goes to the one connection to the socket.

mod above;
mod confine;
mod image;
mod largest;
mod metadata;
mod report;
mod walk;

use above::Above;
use caisson_frame::listing::{Answer, Listing, Refusal, answer};
use image::Image;
use report::Report;
use std::fmt;
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

const LISTENER: RawFd = 3;
const FIRST_LAYER: RawFd = 4;
/// As many as a manifest may have.
const MAX_LAYERS: usize = 1000;
const MAX_MOST: usize = 100;
const USAGE: &str =
    "usage: caisson-lister LAYERS MOST [LAYER]: layers open as descriptors from 4, files of each kind, the only layer to tell of";

/// Why there is no listing.
#[derive(Debug)]
pub enum Stop {
    TooMany,
    Broken(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "the layers have more than {} entries together", above::MAX_ENTRIES),
            Self::Broken(how) => f.write_str(how),
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(how) => {
            eprintln!("caisson-lister: {how}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args = Args::parse(std::env::args().skip(1)).ok_or(USAGE)?;
    let listener = UnixListener::from(inherited(LISTENER)?);
    let layers = (FIRST_LAYER..).take(args.layers).map(|fd| inherited(fd).map(File::from));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let channel = accept(listener)?;
    confine::confine()?;
    tell(channel, list(&args, layers))
}

/// One connection, and no second one can come. As a file it is written to by the call that is allowed.
fn accept(listener: UnixListener) -> Result<File, String> {
    let accepted = listener.accept().map_err(|error| format!("accept: {error}"))?;
    Ok(File::from(OwnedFd::from(accepted.0)))
}

/// From the top down: what is above is known then. Layers below the only one that is asked for matter to nobody.
fn list(args: &Args, layers: Vec<File>) -> Result<Vec<Listing>, Stop> {
    let lowest = args.only.unwrap_or(0);
    let mut above = Above::new();
    let mut listings = Vec::new();
    for (layer, file) in layers.into_iter().enumerate().skip(lowest).rev() {
        let mut report = Report::new(args.most);
        let of_layer = |fault: Stop| match fault {
            Stop::Broken(how) => Stop::Broken(format!("layer {layer}: {how}")),
            Stop::TooMany => Stop::TooMany,
        };
        Image::open(file)
            .and_then(|mut image| walk::walk(&mut image, &mut above, layer as u16, &mut report))
            .map_err(of_layer)?;
        if args.only.is_none_or(|only| only == layer) {
            listings.push(report.finish(layer));
        }
    }
    listings.reverse();
    Ok(listings)
}

fn tell(mut channel: File, found: Result<Vec<Listing>, Stop>) -> Result<(), String> {
    let answers = found.map_or_else(
        |stop| vec![answer::Answer::Refusal(refusal(&stop))],
        |listings| listings.into_iter().map(answer::Answer::Listing).collect(),
    );
    for answer in answers {
        let answer = Answer { answer: Some(answer) };
        caisson_frame::write_frame(&mut channel, &answer).map_err(|error| format!("channel: {error}"))?;
    }
    Ok(())
}

fn refusal(stop: &Stop) -> Refusal {
    Refusal {
        message: stop.to_string(),
        too_many: matches!(stop, Stop::TooMany),
    }
}

fn inherited(fd: RawFd) -> Result<OwnedFd, String> {
    // SAFETY: a plain query; the number needs to be no open descriptor.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(format!("descriptor {fd} is not open: the launcher starts this program"));
    }
    // SAFETY: it is open, was inherited for us, and nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

struct Args {
    layers: usize,
    most: usize,
    only: Option<usize>,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let layers = args.next()?.parse().ok().filter(|layers| (1..=MAX_LAYERS).contains(layers))?;
        let most = args.next()?.parse().ok().filter(|most| (1..=MAX_MOST).contains(most))?;
        let only = match args.next() {
            Some(only) => Some(only.parse().ok().filter(|only| (0..layers).contains(only))?),
            None => None,
        };
        args.next().is_none().then_some(Self { layers, most, only })
    }
}
