use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{End, address, apart, call, open, text};

pub const ATTACK: Attack = Attack {
    name: "agent-binary",
    tries: "finds the agent's executable by name, by descriptor, or as /proc/self/exe of a script's interpreter, to change it",
    stands_for: "CVE-2019-5736 (runc, #!/proc/self/exe), CVE-2024-23651 (BuildKit)",
    must: "there is no such file, and what a script executes is the attacker's own",
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
