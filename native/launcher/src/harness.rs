//! What the fuzzer calls (`native/fuzz`): a worker that has been taken over. Any request may be refused, in words that fit into a frame and
//! name a field; what is taken is within its limits.
use crate::fold::Fold;
use crate::keeping::Keeping;
use crate::layer_key::LayerKey;
use crate::layers::Layers;
use crate::list::List;
use crate::spec::{Boot, Convert, MAX_KEYS, MAX_LAYERS, Start, Tell, disk_bytes, stop_reason};
use crate::step::Failure;
use caisson_frame::Decoder;
use caisson_frame::harness::framed;
use caisson_frame::launch::{Request, request::Request as Kind};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Far below a frame, and more than any sentence needs.
const MESSAGE_BYTES: usize = 2_048;

/// A stream of requests, all of one connection.
pub fn requests(bytes: &[u8]) {
    let mut decoder = Decoder::<Request>::new();
    decoder.push(&framed(bytes));
    let layers = Layers::new(no_store(), PathBuf::from("/nonexistent"));
    let mut keeping = Keeping::new(&layers);
    while let Ok(Some(request)) = decoder.pull() {
        let Some(request) = request.request else { return };
        if let Err(failure) = check(&mut keeping, &request) {
            assert_eq!(failure.errno, libc::EINVAL, "{failure}");
            let message = failure.to_string();
            assert!(message.len() <= MESSAGE_BYTES, "{} bytes: {message:.300}", message.len());
            return;
        }
    }
}

/// A folder without layers, which nobody changes.
fn no_store() -> OwnedFd {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, "/proc/self/fdinfo", flags, Mode::empty()).expect("/proc")
}

fn check(keeping: &mut Keeping<'_>, request: &Kind) -> Result<(), Failure> {
    match request {
        Kind::Prepare(prepare) => assert!(disk_bytes(prepare)? >= 1 << 20),
        Kind::Start(start) => check_start(&Start::check(start)?),
        Kind::Boot(boot) => {
            let Boot { args, limits, .. } = Boot::check(boot)?;
            assert!(args.iter().map(|arg| arg.as_bytes().len()).sum::<usize>() <= 4 << 20 && limits.memory_bytes >= 1 << 20);
        }
        Kind::Convert(convert) => {
            let Convert { lowers, max_bytes, .. } = Convert::check(convert)?;
            assert!(is_set(&lowers) && max_bytes > 0);
        }
        Kind::List(list) => drop(List::check(list)?),
        Kind::Fold(fold) => assert!(is_set(&Fold::check(fold)?.layers)),
        Kind::Tell(tell) => assert!((1..=64 << 10).contains(&Tell::check(tell.clone())?.data.len())),
        Kind::Stop(stop) => drop(stop_reason(stop)?),
        // Not in the store, each of them.
        Kind::Hold(hold) => assert!(keeping.hold(hold)?.missing.len() <= MAX_KEYS),
        Kind::Release(release) => drop(keeping.release(release)?),
        Kind::DescribeGuest(_)
        | Kind::Finish(_)
        | Kind::KeepTemplate(_)
        | Kind::Publish(_)
        | Kind::Remove(_)
        | Kind::Verify(_) => {}
    }
    Ok(())
}

fn check_start(start: &Start) {
    assert!(is_set(&start.layers));
    assert!(
        start
            .limits
            .cpu_millis
            .is_some_and(|millis| (10..=1_000_000).contains(&millis))
    );
    assert!(start.limits.memory_bytes >= 1 << 20 && start.limits.pids > 0 && start.disk_bytes >= 1 << 20);
    assert!(start.cpu_ms > 0 && start.wall_ms > 0);
}

fn is_set(layers: &[LayerKey]) -> bool {
    layers.len() <= MAX_LAYERS && layers.iter().collect::<HashSet<_>>().len() == layers.len()
}

#[cfg(test)]
mod tests {
    #[test]
    fn corpus() {
        caisson_frame::harness::run_corpus("requests", super::requests);
    }
}
