//! Tells which files the layers of an image have: the largest ones, and those that layers above replace or remove.
//!
//! It reads the squashfs images that the converter wrote, and nothing else: their open descriptors are all that it has, from 3 on, oldest layer
//! first. Before it reads the first byte it gives up every system call but reading, writing and memory.

mod above;
mod confine;
mod image;
mod largest;
mod metadata;
mod report;
mod walk;

use above::Above;
use caisson_frame::listing::Listing;
use image::Image;
use report::Report;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::process::ExitCode;

const FIRST_LAYER: RawFd = 3;
/// As many as a manifest may have.
const MAX_LAYERS: usize = 1000;
const MAX_MOST: usize = 100;
/// For more names than are compared: not an error of ours, so it has a code of its own.
const TOO_MANY: u8 = 3;
const USAGE: &str =
    "usage: caisson-lister LAYERS MOST [LAYER]: layers open as descriptors from 3, files of each kind, the only layer to tell of";

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
        Err(stop) => {
            eprintln!("caisson-lister: {stop}");
            ExitCode::from(if matches!(stop, Stop::TooMany) { TOO_MANY } else { 1 })
        }
    }
}

fn run() -> Result<(), Stop> {
    let args = Args::parse(std::env::args().skip(1)).ok_or_else(|| Stop::Broken(USAGE.into()))?;
    let layers = (0..args.layers).map(inherited).collect::<Result<Vec<_>, _>>()?;
    confine::confine().map_err(Stop::Broken)?;
    tell(&list(&args, layers)?)
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

fn tell(listings: &[Listing]) -> Result<(), Stop> {
    let mut output = std::io::stdout().lock();
    for listing in listings {
        caisson_frame::write_frame(&mut output, listing).map_err(|error| Stop::Broken(error.to_string()))?;
    }
    output.flush().map_err(|error| Stop::Broken(error.to_string()))
}

fn inherited(layer: usize) -> Result<File, Stop> {
    let fd = FIRST_LAYER + layer as RawFd;
    // SAFETY: a plain query; the number needs to be no open descriptor.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(Stop::Broken(format!(
            "descriptor {fd} is not open: the worker starts this program"
        )));
    }
    // SAFETY: it is open, was inherited for us, and nothing else in this process owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
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
