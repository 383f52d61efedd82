use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{address, call, text};

pub const ATTACK: Attack = Attack {
    name: "new-mounts",
    tries: "uses the newer calls for mounts, which older filters do not know",
    stands_for: "CVE-2022-0185 (fsconfig, kernel heap overflow), CVE-2023-2002",
    must: "refused before the kernel looks at them",
    ..Attack::new(Class::Privileges, run)
};

/// open_tree_attr, statmount, listmount: newer than the C library.
const OPEN_TREE_ATTR: i64 = 467;
const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;

fn run() -> Verdict {
    let mut tries = Tries::default();
    let (root, ext4) = (text("/"), text("ext4"));
    let here = i64::from(libc::AT_FDCWD);
    let clone = 1;
    let calls: [(&str, i64, [i64; 5]); 11] = [
        ("open_tree", libc::SYS_open_tree, [here, address(&root), clone, 0, 0]),
        ("open_tree_attr", OPEN_TREE_ATTR, [here, address(&root), clone, 0, 0]),
        (
            "move_mount",
            libc::SYS_move_mount,
            [here, address(&root), here, address(&root), 0],
        ),
        ("fsopen", libc::SYS_fsopen, [address(&ext4), 0, 0, 0, 0]),
        ("fsconfig", libc::SYS_fsconfig, [0, 1, address(&root), address(&root), 0]),
        ("fsmount", libc::SYS_fsmount, [0, 0, 0, 0, 0]),
        ("fspick", libc::SYS_fspick, [here, address(&root), 0, 0, 0]),
        ("mount_setattr", libc::SYS_mount_setattr, [here, address(&root), 0, 0, 0]),
        ("statmount", STATMOUNT, [0; 5]),
        ("listmount", LISTMOUNT, [0; 5]),
        ("quotactl", libc::SYS_quotactl, [0; 5]),
    ];
    for (name, number, arguments) in calls {
        tries.filtered(name, call(number, arguments));
    }
    tries.verdict()
}
