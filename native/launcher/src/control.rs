//! Where a VMM is told what to do. What it is told is the worker's business; here are the descriptors that go along.
use crate::step::{At, Failure, Step};
use rustix::io::{Errno, read};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const SAID_BYTES: usize = 16 << 10;

pub struct Control(OwnedFd);

impl Control {
    /// And the VMM's end.
    pub fn make() -> Result<(Self, OwnedFd), Failure> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).at(Step::Control)?;
        Ok((Self(ours), theirs))
    }

    /// All of it, at once: who does not take it is in no state to be waited for.
    pub fn tell(&self, data: &[u8], file: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
        if !files.is_empty() {
            beside.push(SendAncillaryMessage::ScmRights(&files));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendmsg(&self.0, &[IoSlice::new(data)], &mut beside, flags).at(Step::Control)? {
            sent if sent == data.len() => Ok(()),
            _ => Err(Errno::AGAIN).at(Step::Control),
        }
    }

    /// Called when there is something. `None` when the VMM has closed it, which it does as it ends.
    pub fn hear(&self) -> Result<Option<Vec<u8>>, Failure> {
        let mut data = vec![0; SAID_BYTES];
        match read(&self.0, &mut data) {
            Ok(0) | Err(Errno::CONNRESET) => Ok(None),
            Ok(length) => {
                data.truncate(length);
                Ok(Some(data))
            }
            Err(Errno::INTR) => Ok(Some(Vec::new())),
            Err(error) => Err(error).at(Step::Control),
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
