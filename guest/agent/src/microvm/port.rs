//! The virtio port that is the channel. It has no connect of its own: a port whose host is absent reads as ended, and is "hung up" to
//! whoever polls it.
use super::boot::{Boot, names_in};
use crate::io::read_text;
use crate::kernel;
use crate::session::AgentError;
use alloc::{format, string::String};
use core::mem::MaybeUninit;
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

const PORTS: &str = "/sys/class/virtio-ports";
const NAME: &str = "agent";
const PATIENCE: Duration = Duration::from_secs(20);

/// The host names its ports in messages of their own, after the driver has found the device.
pub fn open(devices: &OwnedFd) -> Result<OwnedFd, AgentError> {
    let deadline = kernel::uptime() + PATIENCE;
    loop {
        if let Some(name) = find() {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            return openat(devices, &name, flags, Mode::empty()).boot("open the channel's port");
        }
        if kernel::uptime() > deadline {
            return Err(Errno::NODEV).boot("find the channel's port");
        }
        kernel::sleep(Duration::from_millis(1));
    }
}

fn find() -> Option<String> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let ports = names_in(openat(CWD, PORTS, flags, Mode::empty()).ok()?).ok()?;
    ports.into_iter().find(|port| {
        let name = read_text(&format!("{PORTS}/{port}/name"));
        name.is_ok_and(|name| name.trim_end() == NAME)
    })
}

/// Woken by each change of the port, and only by a change: a plain poll would return at once, for ever.
pub fn wait_for_host(port: &OwnedFd) -> Result<(), AgentError> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).boot("epoll")?;
    let events = epoll::EventFlags::ET | epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::HUP;
    epoll::add(&set, port, epoll::EventData::new_u64(0), events).boot("epoll")?;
    while is_hung_up(port).boot("poll the channel's port")? {
        let mut event = [MaybeUninit::uninit()];
        match epoll::wait(&set, &mut event, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).boot("wait for the host"),
        }
    }
    kernel::prctl(libc::PR_SET_DUMPABLE, 0).map_err(AgentError::Undumpable)
}

fn is_hung_up(port: &OwnedFd) -> Result<bool, Errno> {
    let mut wanted = [PollFd::new(port, PollFlags::IN | PollFlags::OUT)];
    poll(&mut wanted, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(wanted[0].revents().contains(PollFlags::HUP))
}
