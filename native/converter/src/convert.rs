//! The story of one conversion.

use crate::args::Args;
use crate::blob::{Blob, Sum};
use crate::layer::Layer;
use crate::lower::Lower;
use crate::plan::Plan;
use crate::refuse::{Reason, Stop};
use crate::squashfs::{self, DataWriter, Output};
use crate::tar::Reader;
use caisson_frame::launch::Converted;
use std::fs::File;
use std::os::unix::net::UnixStream;

pub fn convert(args: &Args, channel: UnixStream, output: File, spool: File, lower: Option<Lower>) -> Result<Converted, Stop> {
    let blob = Blob::open(channel, args.compression, args.max_bytes)?;
    let (layer, sum) = read(args, blob, Output::to_keep(output, "output"), lower)?;
    verify(args, &sum)?;
    let plan = Plan::of(&layer.tree)?;
    squashfs::write(&layer.tree, &plan, layer.data, Output::new(spool, "spool"))?;
    Ok(Converted {
        entries: u64::from(layer.entries),
        uncompressed_bytes: sum.bytes,
    })
}

fn read(args: &Args, blob: Blob, output: Output, lower: Option<Lower>) -> Result<(Layer, Sum), Stop> {
    let mut archive = Reader::new(blob);
    let layer = DataWriter::new(output, args.max_bytes)
        .and_then(|data| Layer::new(data, lower, args.max_entries))
        .and_then(|mut layer| layer.read(&mut archive).map(|()| layer));
    let blob = archive.into_source();
    match layer {
        Ok(layer) => blob.finish().map(|sum| (layer, sum)),
        Err(stop) => {
            blob.abandon();
            Err(stop)
        }
    }
}

fn verify(args: &Args, sum: &Sum) -> Result<(), Stop> {
    if sum.sha256 == args.diff_id {
        return Ok(());
    }
    let hex = |digest: &[u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let message = format!(
        "layer has DiffID sha256:{}, the image says sha256:{}",
        hex(&sum.sha256),
        hex(&args.diff_id)
    );
    Err(Stop::Refused(Reason::DiffIdMismatch, message))
}
