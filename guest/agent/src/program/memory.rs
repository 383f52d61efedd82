//! What compilers call to copy, fill and compare. The processor's own loops: nothing that the agent moves is worth choosing between others. Eight
//! bytes at once where there are as many, for an emulated processor takes as long for one.
use core::arch::asm;
use core::ffi::c_int;

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: both are as long, as the caller promises.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) bytes % 8,
            inout("rcx") bytes / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= bytes {
        // SAFETY: as the caller promises; what is overwritten was copied before.
        return unsafe { memcpy(to, from, bytes) };
    }
    let (last_to, last_from) = (to.wrapping_add(bytes - 1), from.wrapping_add(bytes - 1));
    // SAFETY: as the caller promises; from the end, so that what is overwritten was copied before. The direction is put back.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") bytes => _, inout("rdi") last_to => _, inout("rsi") last_from => _, options(nostack));
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: c_int, bytes: usize) -> *mut u8 {
    // SAFETY: it is as long, as the caller promises.
    unsafe {
        asm!(
            "rep stosq",
            "mov ecx, {rest:e}",
            "rep stosb",
            rest = in(reg) bytes % 8,
            in("rax") u64::from_ne_bytes([byte as u8; 8]),
            inout("rcx") bytes / 8 => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, bytes: usize) -> c_int {
    let (mut one_end, mut other_end) = (one, other);
    // Flags are those of the last comparison, and "equal" where there is none.
    // SAFETY: both are as long, as the caller promises.
    unsafe {
        asm!("cmp rcx, rcx", "repe cmpsb", inout("rcx") bytes => _, inout("rsi") one_end, inout("rdi") other_end, options(nostack, readonly));
    }
    if one_end == one {
        return 0;
    }
    // SAFETY: the byte before the ends was compared.
    let [last_one, last_other] = unsafe { [one_end.sub(1).read(), other_end.sub(1).read()] };
    c_int::from(last_one) - c_int::from(last_other)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, bytes: usize) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { memcmp(one, other, bytes) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut bytes = 0;
    // SAFETY: it ends with a zero, as the caller promises. Volatile, or the compiler finds that this is `strlen`.
    while unsafe { text.add(bytes).read_volatile() } != 0 {
        bytes += 1;
    }
    bytes
}
