//! Layers made by mksquashfs, put into a launcher's store by hand.
use super::Launcher;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAMS: [&str; 16] = [
    "sh", "true", "cat", "ls", "id", "sleep", "dd", "mount", "stat", "echo", "yes", "mkdir", "chmod", "rm", "touch", "tail",
];

/// A busybox below, two small layers above it: keys, oldest first.
pub fn make(launcher: &Launcher) -> Vec<String> {
    vec![
        base(launcher),
        layer(launcher, 2, |root| write(root, "etc/two", "two")),
        layer(launcher, 3, |root| write(root, "three", "three")),
    ]
}

pub fn base(launcher: &Launcher) -> String {
    layer(launcher, 1, |root| {
        for folder in ["bin", "tmp", "etc", "dev", "proc", "sys", "root"] {
            fs::create_dir(root.join(folder)).expect("folder");
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("mode");
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("a static busybox is installed");
        for program in PROGRAMS {
            symlink("busybox", root.join("bin").join(program)).expect("link");
        }
        write(root, "etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    })
}

pub fn layer(launcher: &Launcher, number: u8, fill: impl FnOnce(&Path)) -> String {
    let key = format!("sha256-{}", format!("{number:02x}").repeat(32));
    let root = launcher.state.join(format!("layer-{number}"));
    fs::create_dir(&root).expect("folder");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("mode");
    fill(&root);
    let file = launcher.state.join("layers/v1").join(format!("{key}.sqfs"));
    let made = Command::new("mksquashfs")
        .arg(&root)
        .arg(&file)
        .args(["-quiet", "-no-progress", "-all-root"])
        .stdout(Stdio::null())
        .status();
    assert!(made.expect("mksquashfs is installed").success());
    fs::remove_dir_all(root).expect("remove");
    key
}

pub fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("below root")).expect("folder");
    fs::write(path, text).expect("write");
}
