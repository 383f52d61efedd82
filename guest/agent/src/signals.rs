//! Signals of the client: to the main process alone, or as a terminal sends them, to its whole process group.
use crate::io::read_text;
use crate::kernel;
use alloc::format;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Errno;

/// That wait for a program to start; of each number one (bit 0 is number 1).
#[derive(Default)]
pub struct Signals {
    main: u64,
    group: u64,
}

impl Signals {
    pub fn add(&mut self, number: u32, group: bool) {
        *if group { &mut self.group } else { &mut self.main } |= 1 << (number - 1);
    }

    pub fn each(&self, mut send: impl FnMut(u32, bool)) {
        for (waiting, group) in [(self.main, false), (self.group, true)] {
            (1..=64)
                .filter(|number| waiting >> (number - 1) & 1 == 1)
                .for_each(|number| send(number, group));
        }
    }
}

/// `main` leads a session, and so a group, by its own number. Kernels before 6.9 take a number alone for a group.
pub fn to_group(main: BorrowedFd<'_>, number: u32) -> Result<(), Errno> {
    let info = read_text(&format!("/proc/self/fdinfo/{}", main.as_raw_fd())).map_err(|_| Errno::SRCH)?;
    // -1 once it was reaped.
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok());
    let leader = pid.filter(|pid| *pid > 1).ok_or(Errno::SRCH)?;
    kernel::signal_group(leader, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_waits_once_for_the_process_and_once_for_its_group() {
        let mut signals = Signals::default();
        for (number, group) in [(64, false), (1, true), (2, false), (2, true), (2, false)] {
            signals.add(number, group);
        }
        let mut sent = Vec::new();
        signals.each(|number, group| sent.push((number, group)));
        assert_eq!(sent, [(2, false), (64, false), (1, true), (2, true)]);
    }
}
