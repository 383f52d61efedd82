use crate::attack::{Attack, Class, Tries, Verdict};
use crate::kernel::{End, apart, call};

pub const ATTACK: Attack = Attack {
    name: "foreign-abi",
    tries: "makes its calls by the 32-bit and the x32 way, where other numbers mean other calls",
    stands_for: "CVE-2014-0038 (x32), filters that forget the other ways in",
    must: "a 32-bit call kills, an x32 call does not exist",
    ..Attack::new(Class::Privileges, run)
};

const X32: i64 = 0x4000_0000;

fn run() -> Verdict {
    let mut tries = Tries::default();
    for number in [libc::SYS_getpid, libc::SYS_mount, 512, 520, 546] {
        tries.filtered(&format!("x32 call {number}"), call(X32 | number, [0, 0, 0]));
    }
    match apart(|| i32::from(getpid_of_32_bit() != 0)) {
        Ok(End::Signaled(libc::SIGSYS)) => tries.check("32-bit call", true),
        // A kernel without them takes the instruction for a fault.
        Ok(End::Signaled(libc::SIGSEGV)) => {}
        other => tries.check(&format!("a 32-bit call was answered: {other:?}"), false),
    }
    tries.verdict()
}

fn getpid_of_32_bit() -> i32 {
    let mut result: i32 = 20;
    // SAFETY: the call takes no memory; registers that the kernel changes are named.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    result
}
