//! The socket behind which an agent, a VMM or a converter waits. The launcher makes and listens; the sandbox only inherits it.
use crate::instance::Instance;
use crate::log;
use crate::step::{At, Failure, Step};
use crate::sys;
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub struct Channel {
    pub path: PathBuf,
    name: String,
    instance: &'static Instance,
}

impl Channel {
    /// `name` is a sandbox's id, or begins with it.
    pub fn make(instance: &'static Instance, name: &str) -> Result<(Self, OwnedFd), Failure> {
        let name = format!("{name}.sock");
        let path = instance.run.join("channels").join(&name);
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).at(Step::MakeChannel)?;
        let address = SocketAddrUnix::new(&path).about(Step::MakeChannel, path.display())?;
        // Made as the worker: to change the owner afterwards, in a folder of the worker's, would be to follow whatever it put there.
        sys::set_file_ids(instance.worker.uid, instance.worker.gid);
        let bound = bind(&socket, &address);
        sys::set_file_ids(0, 0);
        bound.about(Step::MakeChannel, path.display())?;
        let channel = Self { path, name, instance };
        listen(&socket, 1).at(Step::MakeChannel)?;
        Ok((channel, socket))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        match unlinkat(&self.instance.channels, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => log::warning(&format!("channel {}: {error}", self.path.display())),
        }
    }
}
