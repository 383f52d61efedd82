//! Calls as bare as an attacker makes them.
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};

pub type Answer<T = i64> = Result<T, i32>;

pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub fn answer(result: i64) -> Answer {
    if result < 0 { Err(errno()) } else { Ok(result) }
}

/// Whatever the kernel makes of these numbers: the sandbox is thrown away after the one attack. Addresses among them must outlive the call.
pub fn call<const N: usize>(number: i64, arguments: [i64; N]) -> Answer {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: no address is passed but of what the caller holds (or one that is nobody's, which the kernel refuses).
    answer(unsafe {
        libc::syscall(
            number,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    })
}

pub fn text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

pub fn address(text: &CString) -> i64 {
    text.as_ptr() as i64
}

pub fn open(path: &str, flags: i32) -> Answer<OwnedFd> {
    let path = text(path);
    let fd = call(libc::SYS_openat, [libc::AT_FDCWD.into(), address(&path), flags.into(), 0o600])?;
    // SAFETY: the kernel made it just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// What a file holds, as far as a first read gives it.
pub fn read(path: &str) -> Answer<Vec<u8>> {
    use std::io::Read;
    let mut bytes = vec![0; 1 << 16];
    let length = File::from(open(path, libc::O_RDONLY | libc::O_NONBLOCK)?)
        .read(&mut bytes)
        .map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
    bytes.truncate(length);
    Ok(bytes)
}

pub fn read_text(path: &str) -> String {
    read(path).map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

pub fn write(path: &str, content: &[u8]) -> Answer<()> {
    File::from(open(path, libc::O_WRONLY)?)
        .write_all(content)
        .map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
}

#[derive(Debug, PartialEq)]
pub enum End {
    Exited(i32),
    Signaled(i32),
    Stopped,
}

/// In a child of its own, which ends with the number.
pub fn apart(work: impl FnOnce() -> i32) -> Answer<End> {
    match fork()? {
        0 => leave(work()),
        child => wait_for(child),
    }
}

pub fn fork() -> Answer<i32> {
    // SAFETY: these programs have one thread when they fork.
    answer(unsafe { libc::fork() }.into()).map(|pid| pid as i32)
}

pub fn leave(code: i32) -> ! {
    // SAFETY: ends the process, and nothing of it is needed any more.
    unsafe { libc::_exit(code) }
}

pub fn wait_for(child: i32) -> Answer<End> {
    let mut status = 0;
    // SAFETY: the status is ours to write.
    answer(unsafe { libc::waitpid(child, &raw mut status, libc::WUNTRACED) }.into())?;
    Ok(if libc::WIFEXITED(status) {
        End::Exited(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        End::Signaled(libc::WTERMSIG(status))
    } else {
        End::Stopped
    })
}

pub fn pause_for_ever() -> ! {
    loop {
        let _ = call(libc::SYS_pause, []);
    }
}

pub fn sleep_ms(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}

pub fn ignore(signal: i32) {
    // SAFETY: no handler of ours is called.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

pub fn signal(pid: i32, signal: i32) -> Answer {
    call(libc::SYS_kill, [pid.into(), signal.into()])
}

pub fn own_pid() -> i32 {
    std::process::id() as i32
}

/// Of every process that shows in /proc.
pub fn listed_pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Memory that is mapped, and touched by whoever writes to it.
pub fn map(bytes: usize) -> Answer<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, at no place in use.
    let place = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if place == libc::MAP_FAILED {
        Err(errno())
    } else {
        Ok(place.cast())
    }
}
