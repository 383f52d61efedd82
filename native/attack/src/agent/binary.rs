use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{End, address, apart, call, open, text};
use std::os::fd::AsRawFd;

pub const ATTACK: Attack = Attack {
    name: "agent-binary",
    tries: "finds the agent's executable by name, by descriptor, or as /proc/self/exe of a script's interpreter, to change it",
    stands_for: "CVE-2019-5736 (runc, #!/proc/self/exe), CVE-2024-23651 (BuildKit)",
    must: "there is no such file, nobody can write to it, and what a script executes is the attacker's own",
    ..Attack::new(Class::Agent, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    for path in [
        "/caisson-agent",
        "/agent",
        "/init",
        "/rootfs",
        "/sbin/caisson-agent",
        "/memfd:agent",
        "/old",
        "/oldroot",
    ] {
        tries.refused(&format!("open {path}"), open(path, libc::O_RDONLY));
    }
    for first in [3, 4, 5, 9, 10, 1_000] {
        let path = format!("/proc/self/fd/{first}");
        tries.refused(&format!("open {path}"), open(&path, libc::O_RDWR));
    }
    if let Ok(executable) = open("/proc/1/exe", libc::O_RDONLY) {
        let seals = call(libc::SYS_fcntl, [executable.as_raw_fd().into(), libc::F_GET_SEALS.into()]);
        let is_sealed = seals.is_ok_and(|seals| seals & i64::from(libc::F_SEAL_WRITE) != 0);
        tries.check("the agent's executable can be changed", is_sealed);
    }
    tries.check("a script ran another's program", script_runs_ourselves());
    tries.verdict()
}

/// Its interpreter is whoever executes the script: a child of ours, hence ourselves, which says usage (2) with these arguments.
fn script_runs_ourselves() -> bool {
    if std::fs::write("/tmp/script", "#!/proc/self/exe nonsense\n").is_err() || !executable("/tmp/script") {
        return false;
    }
    let end = apart(|| {
        let path = text("/tmp/script");
        let none = [0i64];
        let arguments = [address(&path), 0];
        let _ = call(
            libc::SYS_execve,
            [address(&path), arguments.as_ptr() as i64, none.as_ptr() as i64],
        );
        3
    });
    end == Ok(End::Exited(2))
}

fn executable(path: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).is_ok()
}
