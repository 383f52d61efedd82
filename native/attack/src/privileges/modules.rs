use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "modules",
    tries: "loads and unloads kernel modules, by call and by names that make the kernel load them; boots another kernel",
    stands_for: "CVE-2022-0185 to CVE-2024-1086: most begin by making the kernel load a forgotten module",
    must: "refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

fn run() -> Verdict {
    let mut tries = Tries::default();
    let (empty, name) = (text(""), text("loop"));
    tries.filtered("init_module", call(libc::SYS_init_module, [0, 0, address(&empty)]));
    tries.filtered("finit_module", call(libc::SYS_finit_module, [0, address(&empty), 0]));
    tries.filtered(
        "delete_module",
        call(libc::SYS_delete_module, [address(&name), libc::O_NONBLOCK.into()]),
    );
    tries.filtered("kexec_load", call(libc::SYS_kexec_load, [0, 0, 0, 0]));
    tries.filtered("kexec_file_load", call(libc::SYS_kexec_file_load, [0, 0, 0, 0, 0]));
    // Kinds of sockets whose first use loads a module.
    for (family, kind, protocol) in [(2, 2, 136), (2, 5, 132), (2, 6, 33), (10, 2, 136), (2, 1, 262)] {
        let answer = call(libc::SYS_socket, [family, kind, protocol]);
        tries.refused(&format!("socket {family} {kind} {protocol}"), answer);
    }
    tries.verdict()
}
