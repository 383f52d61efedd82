use caisson_frame::launch::{ConvertResult, convert_result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub type Answer = convert_result::Result;

/// A folder that is gone with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "caisson-converter-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One conversion to be.
pub struct Conversion<'a> {
    pub blob: &'a [u8],
    pub diff_id: Option<String>,
    pub compression: &'a str,
    pub max_bytes: u64,
    pub max_entries: u32,
    pub lower: Option<PathBuf>,
    /// Of the output.
    pub room: Option<u64>,
}

impl<'a> Conversion<'a> {
    pub fn of(blob: &'a [u8]) -> Self {
        Self {
            blob,
            diff_id: None,
            compression: "none",
            max_bytes: 1 << 30,
            max_entries: 1_000_000,
            lower: None,
            room: None,
        }
    }

    pub fn over(self, lower: &Path) -> Self {
        Self {
            lower: Some(lower.into()),
            ..self
        }
    }

    pub fn run(&self, output: &Path) -> Answer {
        answer(self.command(), self.blob, output, &[], self.room)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_caisson-converter"));
        let diff_id = self
            .diff_id
            .clone()
            .unwrap_or_else(|| format!("sha256:{}", sha256(self.blob)));
        command.args(["--diff-id", &diff_id, "--compression", self.compression]);
        command.args([
            "--max-bytes",
            &self.max_bytes.to_string(),
            "--max-entries",
            &self.max_entries.to_string(),
        ]);
        if let Some(lower) = &self.lower {
            command.arg("--lower").arg(lower);
        }
        command
    }
}

/// Several images of layers, oldest first, as one.
pub fn fold(layers: &[&Path], output: &Path) -> Answer {
    fold_within(layers, output, 1 << 30, 1_000_000)
}

pub fn fold_within(layers: &[&Path], output: &Path, max_bytes: u64, max_entries: u32) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caisson-converter"));
    let words = format!(
        "fold --layers {} --max-bytes {max_bytes} --max-entries {max_entries}",
        layers.len()
    );
    command.args(words.split(' '));
    answer(command, &[], output, layers, None)
}

fn answer(mut command: Command, blob: &[u8], output: &Path, layers: &[&Path], room: Option<u64>) -> Answer {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.at("channel")).unwrap();
    let new = |path: &Path| {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true).open(path).unwrap()
    };
    let (output, spool) = (new(output), new(&folder.at("spool")));
    let layers: Vec<File> = layers.iter().map(|path| File::open(path).unwrap()).collect();
    let own = [listener.as_raw_fd(), output.as_raw_fd(), spool.as_raw_fd()];
    let descriptors: Vec<RawFd> = own.into_iter().chain(layers.iter().map(AsRawFd::as_raw_fd)).collect();
    // SAFETY: between fork and exec only fcntl, dup2 and setrlimit are called.
    unsafe { command.pre_exec(move || place(&descriptors, room)) };
    let mut child = command.spawn().unwrap();
    let mut channel = UnixStream::connect(folder.at("channel")).unwrap();
    drop(listener);
    channel.write_all(blob).unwrap();
    channel.shutdown(Shutdown::Write).unwrap();
    let result: ConvertResult = caisson_frame::read_frame(&mut channel)
        .unwrap()
        .expect("one frame comes back");
    assert_eq!(channel.read(&mut [0]).unwrap(), 0, "nothing follows it");
    assert!(child.wait().unwrap().success());
    result.result.unwrap()
}

/// To 3, 4, 5 and on, by way of numbers that are none of them.
fn place(descriptors: &[RawFd], room: Option<u64>) -> std::io::Result<()> {
    let mut high = [-1; 1_000];
    for (copy, &fd) in high.iter_mut().zip(descriptors) {
        // SAFETY: copies a descriptor.
        *copy = unsafe { libc::fcntl(fd, libc::F_DUPFD, 2_000) };
    }
    for (fd, place) in high.into_iter().zip(3..).take(descriptors.len()) {
        // SAFETY: as above; what was open at the place belongs to nobody in this process any more.
        if unsafe { libc::dup2(fd, place) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    if let Some(bytes) = room {
        let limit = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: bytes,
        };
        // SAFETY: reads the struct.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) };
    }
    Ok(())
}

/// A layer that must be taken, and its image.
pub fn converted(conversion: &Conversion, folder: &Folder) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let image = folder.at(&format!("{}.sqfs", COUNT.fetch_add(1, Ordering::Relaxed)));
    match conversion.run(&image) {
        Answer::Converted(_) => image,
        other => panic!("{other:?}"),
    }
}

/// Reason and message of a layer that must not be.
pub fn refused(conversion: &Conversion) -> (String, String) {
    let folder = Folder::new();
    match conversion.run(&folder.at("image")) {
        Answer::Refused(refused) => (refused.reason, refused.message),
        other => panic!("{other:?}"),
    }
}

/// Looks at the images in one tree, the first one lowest. The mounts are in a namespace of the thread's own, and end with it.
pub fn mounted<T: Send>(images: &[&Path], look: impl FnOnce(&Path) -> T + Send) -> T {
    let folder = Folder::new();
    let (root, mount) = (folder.at("root"), |options: &str, source: &str, target: &Path| {
        shell(&["mount", "-o", options, source, target.to_str().unwrap()]);
    });
    fs::create_dir(&root).unwrap();
    let work = || {
        // SAFETY: gives this thread, which is new, mounts and a working directory of its own.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS) }, 0, "needs root");
        shell(&["mount", "--make-rprivate", "/"]);
        let mut lowers = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let lower = folder.at(&index.to_string());
            fs::create_dir(&lower).unwrap();
            mount("loop,ro,nodev,nosuid", image.to_str().unwrap(), &lower);
            lowers.insert(0, lower.to_str().unwrap().to_owned());
        }
        match lowers.as_slice() {
            [only] => mount("bind", only, &root),
            _ => {
                shell(&[
                    "mount",
                    "-t",
                    "overlay",
                    "-o",
                    &format!("lowerdir={}", lowers.join(":")),
                    "overlay",
                    root.to_str().unwrap(),
                ]);
            }
        }
        look(&root)
    };
    std::thread::scope(|scope| {
        scope
            .spawn(work)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What a shell says there.
pub fn inside(images: &[&Path], script: &str) -> String {
    mounted(images, |root| shell_in(root, script))
}

pub fn shell_in(folder: &Path, script: &str) -> String {
    shell(&["sh", "-ec", &format!("cd \"$0\"; {script}"), folder.to_str().unwrap()])
}

pub fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 64 << 10];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    Some(value[..length].to_vec())
}

pub fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

/// Everything that tar sees in a tree: names, types, modes, owners, sizes, contents, links, attributes, times.
const TAR_OF_TREE: &str =
    "tar --sort=name --numeric-owner --format=posix --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='*' -cf - .";

pub fn same_tree(images: &[&Path], expected: &Path) {
    let sum = format!("{TAR_OF_TREE} | sha256sum");
    if inside(images, &sum) == shell_in(expected, &sum) {
        return;
    }
    let list = format!(
        "{TAR_OF_TREE} | tar --full-time --numeric-owner --xattrs --xattrs-include='*' -tvvf - | tr -s ' '; find . -type f -exec sha256sum {{}} +"
    );
    let lines = |text: String| text.lines().map(String::from).collect::<std::collections::BTreeSet<_>>();
    let (ours, theirs) = (lines(inside(images, &list)), lines(shell_in(expected, &list)));
    let (only_ours, only_theirs): (Vec<_>, Vec<_>) = (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
    panic!("only in ours: {only_ours:#?}\nonly in theirs: {only_theirs:#?}");
}

pub fn shell(words: &[&str]) -> String {
    let output = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn sha256(data: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}
