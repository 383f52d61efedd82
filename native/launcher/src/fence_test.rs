//! What the fences of children refuse, and what they allow: tried behind each, by a thread of its own, for a fence is closed around
//! one thread and all that it becomes.
use super::Fence;
use crate::sys::landlock_version;
use rustix::thread::set_no_new_privs;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Error, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A root as the launcher furnishes it, on a disk that can be written to: what holds is the fence alone.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!(
            "caisson-fence-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let root = std::env::temp_dir().join(name);
        for folder in ["root/lower", "root/dev", "root/usr"] {
            fs::create_dir_all(root.join(folder)).expect("folder");
        }
        for file in ["root/lower/file", "root/dev/null", "root/usr/firmware", "kernel", "secret"] {
            fs::write(root.join(file), file).expect("file");
        }
        fs::copy("/bin/true", root.join("root/usr/program")).expect("program");
        symlink("../../secret", root.join("root/lower/link")).expect("link");
        Self(root)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn helper(&self) -> Fence {
        Fence::of_helper(&self.at("root")).expect("a fence")
    }

    fn vmm(&self) -> Fence {
        Fence::of_vmm(&self.at("root"), &self.at("kernel")).expect("a fence")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// False, with the reason where a reader sees it, when the kernel's Landlock is older than what is tried.
fn has(version: i64) -> bool {
    let found = landlock_version().unwrap_or(0);
    if found < version {
        // Past the test runner, which shows what succeeding tests print to nobody.
        let _ = writeln!(io::stderr(), "skipped: needs Landlock {version}, this kernel has {found}");
    }
    found >= version
}

fn behind<T: Send>(fence: &Fence, tries: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = || {
            set_no_new_privs(true).expect("for who is not root");
            fence.close().expect("the fence closes");
            tries()
        };
        scope.spawn(inside).join().expect("the thread ends")
    })
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

fn write(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(path).map(drop)
}

#[track_caller]
fn refused<T>(result: io::Result<T>, errno: i32) {
    assert_eq!(result.err().and_then(|error| error.raw_os_error()), Some(errno));
}

#[test]
fn a_helper_reads_its_root_and_no_other_file() {
    if !has(1) {
        return;
    }
    let root = Root::new();
    behind(&root.helper(), || {
        assert_eq!(read(&root.at("root/lower/file")).expect("reads"), "root/lower/file");
        assert_eq!(fs::read_dir(root.at("root")).expect("lists").count(), 3);
        for path in [
            root.at("secret"),
            root.at("root/lower/link"),
            "/etc/passwd".into(),
            "/proc/self/maps".into(),
        ] {
            refused(read(&path), libc::EACCES);
        }
        for folder in [root.at("."), "/".into(), "/proc".into()] {
            refused(fs::read_dir(folder), libc::EACCES);
        }
    });
}

#[test]
fn a_helper_changes_nothing() {
    if !has(1) {
        return;
    }
    let root = Root::new();
    let (file, new) = (root.at("root/lower/file"), root.at("root/lower/new"));
    behind(&root.helper(), || {
        write(&root.at("root/dev/null")).expect("/dev/null takes what nobody hears");
        refused(write(&file), libc::EACCES);
        refused(write(&root.at("secret")), libc::EACCES);
        refused(File::create_new(&new), libc::EACCES);
        refused(fs::create_dir(&new), libc::EACCES);
        refused(symlink("x", &new), libc::EACCES);
        refused(fs::remove_file(&file), libc::EACCES);
        refused(fs::rename(&file, &new), libc::EACCES);
    });
}

#[test]
fn a_helper_executes_nothing() {
    if !has(1) {
        return;
    }
    let root = Root::new();
    behind(&root.helper(), || {
        for program in [root.at("root/usr/program"), "/bin/true".into()] {
            refused(Command::new(program).spawn(), libc::EACCES);
        }
    });
}

#[test]
fn what_was_handed_over_open_stays_open() {
    if !has(1) {
        return;
    }
    let root = Root::new();
    let options = || OpenOptions::new().read(true).write(true).open(root.at("secret"));
    let (mut input, mut output) = (options().expect("open"), options().expect("open"));
    behind(&root.helper(), || {
        let mut text = String::new();
        input.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "secret");
        output.write_all(b"SECRET").expect("writes");
    });
}

#[test]
fn a_vmm_reads_and_executes_its_own() {
    if !has(1) {
        return;
    }
    let root = Root::new();
    behind(&root.vmm(), || {
        for path in ["kernel", "root/usr/firmware"] {
            assert_eq!(read(&root.at(path)).expect("reads"), path);
        }
        for path in ["secret", "root/lower/file"] {
            refused(read(&root.at(path)), libc::EACCES);
        }
        refused(write(&root.at("root/usr/firmware")), libc::EACCES);
        refused(write(&root.at("kernel")), libc::EACCES);
        refused(File::create_new(root.at("root/usr/new")), libc::EACCES);
        refused(Command::new("/bin/true").spawn(), libc::EACCES);
    });
}

/// By fences of both kinds.
fn behind_each(root: &Root, tries: impl Fn() + Send + Sync) {
    for fence in [root.helper(), root.vmm()] {
        behind(&fence, &tries);
    }
}

#[test]
fn nobody_cuts_a_file_off() {
    if !has(3) {
        return;
    }
    let root = Root::new();
    let path = std::ffi::CString::new(root.at("secret").into_os_string().into_encoded_bytes()).expect("a path");
    behind_each(&root, || {
        // SAFETY: the path ends with a null byte.
        let result = unsafe { libc::truncate(path.as_ptr(), 0) };
        assert_eq!((result, Error::last_os_error().raw_os_error()), (-1, Some(libc::EACCES)));
    });
}

#[test]
fn nobody_speaks_tcp() {
    if !has(4) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let address = listener.local_addr().expect("an address");
    TcpStream::connect(address).expect("outside of a fence it connects");
    behind_each(&Root::new(), || {
        refused(TcpListener::bind("127.0.0.1:0"), libc::EACCES);
        refused(TcpStream::connect(address), libc::EACCES);
    });
}

#[test]
fn nobody_reaches_abstract_sockets_or_processes_outside() {
    if !has(6) {
        return;
    }
    let name = format!("caisson-fence-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("listens");
    let mut other = Command::new("sleep").arg("60").spawn().expect("another process");
    let pid = other.id() as i32;
    // SAFETY: signal 0 asks whether another would be sent.
    let signal = move || match unsafe { libc::kill(pid, 0) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    };
    UnixStream::connect_addr(&address).expect("outside of a fence it connects");
    signal().expect("outside of a fence it signals");
    behind_each(&Root::new(), || {
        refused(UnixStream::connect_addr(&address), libc::EPERM);
        refused(signal(), libc::EPERM);
    });
    other.kill().expect("its parent may");
    other.wait().expect("it ends");
}
