use super::ONLY;
use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{End, apart};
use std::arch::asm;

pub const ATTACK: Attack = Attack {
    name: "machine-instructions",
    tries: "executes instructions that leave the guest: ports, halt, registers of the processor, calls of the hypervisor",
    stands_for: "CVE-2021-29657 (KVM), CVE-2018-10853 (privileged instructions from user space)",
    must: "each is a fault of the program alone",
    backends: ONLY,
    ..Attack::new(Class::Microvm, run)
};

macro_rules! bare {
    ($($instruction:tt)*) => {
        // SAFETY: executed in a child that is thrown away; what becomes of that is the question.
        || unsafe { asm!($($instruction)*) }
    };
}

fn run() -> Verdict {
    let mut tries = Tries::default();
    let instructions: [(&str, fn()); 8] = [
        (
            "out to the keyboard's port",
            bare!("out dx, al", in("dx") 0x64_u16, in("al") 0xfe_u8),
        ),
        (
            "out to the reset port",
            bare!("out dx, al", in("dx") 0xcf9_u16, in("al") 6_u8),
        ),
        ("in from fw_cfg", bare!("in al, dx", in("dx") 0x511_u16, out("al") _)),
        ("hlt", bare!("hlt")),
        ("cli", bare!("cli")),
        ("rdmsr", bare!("rdmsr", in("ecx") 0x10, out("eax") _, out("edx") _)),
        ("mov from cr3", bare!("mov {}, cr3", out(reg) _)),
        ("vmcall", bare!("vmcall", inout("rax") 0_u64 => _)),
    ];
    for (name, execute) in instructions {
        let end = apart(|| {
            execute();
            0
        });
        let fault = matches!(end, Ok(End::Signaled(libc::SIGSEGV | libc::SIGILL | libc::SIGBUS)));
        // Under KVM a call of the hypervisor from user space comes back refused instead.
        tries.check(&format!("{name} ended as {end:?}"), fault || name == "vmcall");
    }
    tries.verdict()
}
