//! One connection: a sandbox of either kind, a conversion, or talk about the store. The first request says which.
use crate::convert::{Conversion, Work};
use crate::fold::Fold;
use crate::keeping::Keeping;
use crate::launcher::Launcher;
use crate::list::{List, Listing};
use crate::machine::Machine;
use crate::peer::Peer;
use crate::run::Run;
use crate::sandbox::Sandbox;
use crate::spec;
use crate::step::Failure;
use caisson_frame::launch::{Prepared, event::Event, request::Request};
use std::os::unix::net::UnixStream;

pub fn converse(launcher: &'static Launcher, stream: UnixStream) {
    let mut peer = Peer::new(stream);
    if let Err(failure) = launcher.namespaces.adopt_thread().and_then(|()| talk(launcher, &mut peer)) {
        peer.fail(&failure);
    }
}

fn talk(launcher: &'static Launcher, peer: &mut Peer) -> Result<(), Failure> {
    let mut keeping = Keeping::new(&launcher.layers);
    while let Some(request) = peer.receive()? {
        match request {
            Request::Prepare(prepare) => return sandbox(launcher, peer, spec::disk_bytes(&prepare)?),
            Request::Convert(convert) => return conversion(launcher, peer, spec::Convert::check(&convert)?.into()),
            Request::Fold(fold) => return conversion(launcher, peer, Fold::check(&fold)?.into()),
            Request::List(list) => return listing(launcher, peer, List::check(&list)?),
            Request::Boot(boot) => return machine(launcher, peer, &spec::Boot::check(&boot)?),
            Request::DescribeGuest(_) => peer.send(Event::GuestDescribed(launcher.guest.describe())),
            Request::Hold(hold) => peer.send(Event::Held(keeping.hold(&hold)?)),
            Request::Release(release) => peer.send(Event::Released(keeping.release(&release)?)),
            Request::Remove(remove) => peer.send(Event::Removed(keeping.remove(&remove)?)),
            Request::Verify(verify) => peer.send(Event::Verified(keeping.verify(&verify)?)),
            _ => {
                return spec::refuse(format_args!(
                    "the first request is none of prepare, boot, convert, fold, list, describe_guest, hold, remove, verify"
                ));
            }
        }
    }
    Ok(())
}

/// Whatever happens, the sandbox is disposed of when this returns; that takes some time, so a failure is told before.
fn sandbox(launcher: &'static Launcher, peer: &mut Peer, disk_bytes: u64) -> Result<(), Failure> {
    let mut sandbox = Sandbox::prepare(launcher, disk_bytes)?;
    let channel_path = sandbox.channel.path.to_string_lossy().into_owned();
    peer.send(Event::Prepared(Prepared {
        sandbox_id: sandbox.id.clone(),
        channel_path,
        wall: Some(sandbox.wall()?),
        ..Prepared::default()
    }));
    match Run::new(&mut sandbox, peer).follow() {
        Ok(()) => {}
        Err(failure) => peer.fail(&failure),
    }
    Ok(())
}

fn machine(launcher: &'static Launcher, peer: &mut Peer, boot: &spec::Boot) -> Result<(), Failure> {
    let mut machine = Machine::boot(launcher, boot)?;
    let channel_path = machine.channel.path.to_string_lossy().into_owned();
    peer.send(Event::Prepared(Prepared {
        sandbox_id: machine.id.clone(),
        channel_path,
        console_path: machine.console_path(),
        wall: Some(machine.wall()?),
    }));
    match Run::new(&mut machine, peer).follow() {
        Ok(()) => {}
        Err(failure) => peer.fail(&failure),
    }
    Ok(())
}

fn conversion(launcher: &'static Launcher, peer: &mut Peer, work: Work) -> Result<(), Failure> {
    let mut conversion = Conversion::start(launcher, work)?;
    peer.send(Event::Prepared(conversion.helper.prepared()));
    match conversion.follow(peer) {
        Ok(()) => {}
        Err(failure) => peer.fail(&failure),
    }
    Ok(())
}

fn listing(launcher: &'static Launcher, peer: &mut Peer, list: List) -> Result<(), Failure> {
    let mut listing = Listing::start(launcher, list)?;
    peer.send(Event::Prepared(listing.helper.prepared()));
    match listing.follow(peer) {
        Ok(()) => {}
        Err(failure) => peer.fail(&failure),
    }
    Ok(())
}
