//! From the kernel's entry to the library. The program lies wherever the kernel chose, so first it puts right what addresses it holds.
use alloc::vec::Vec;
use caisson_agent::{leave, run};
use core::arch::global_asm;
use core::ffi::{CStr, c_char, c_void};
use rustix::mm::{MprotectFlags, mprotect};

const RELATIVE: u32 = 8;
const TABLE: usize = 7;
const TABLE_BYTES: usize = 8;
const PAGE_BYTES: usize = 4096;

// In assembler, for before it is done nothing of Rust's can be relied on. `_DYNAMIC` is a list of pairs, of which the tables of what is to
// be put right are two; an entry of the table says where, how, and what lies there when the program lies at 0. Of kinds there is one where
// everything is linked together; another would be a mistake of the build.
global_asm!(
    ".globl _start",
    "_start:",
    "    xor ebp, ebp",
    "    lea rax, [rip + __ehdr_start]",
    "    lea rcx, [rip + _DYNAMIC]",
    "    xor esi, esi",
    "    xor edi, edi",
    "2:  mov rdx, [rcx]",
    "    cmp rdx, {table}",
    "    cmove rsi, [rcx + 8]",
    "    cmp rdx, {table_bytes}",
    "    cmove rdi, [rcx + 8]",
    "    add rcx, 16",
    "    test rdx, rdx",
    "    jnz 2b",
    "    add rsi, rax",
    "    add rdi, rsi",
    "3:  cmp rsi, rdi",
    "    je 5f",
    "    cmp dword ptr [rsi + 8], {relative}",
    "    jne 4f",
    "    mov rcx, [rsi]",
    "    mov rdx, [rsi + 16]",
    "    add rdx, rax",
    "    mov [rax + rcx], rdx",
    "    add rsi, 24",
    "    jmp 3b",
    "4:  ud2",
    "5:  mov rdi, rsp",
    "    mov rsi, rax",
    "    and rsp, -16",
    "    call {begin}",
    table = const TABLE,
    table_bytes = const TABLE_BYTES,
    relative = const RELATIVE,
    begin = sym begin,
);

/// `stack`: as the kernel left it, the number of arguments and then each of them. `image`: where the program lies.
unsafe extern "C" fn begin(stack: *const usize, image: *const u8) -> ! {
    // SAFETY: the kernel put the program's headers and the arguments there, and nobody changes them.
    let words = unsafe {
        seal(image);
        arguments(stack)
    };
    leave(run(&words))
}

/// What addresses lie in is not written to again.
unsafe fn seal(image: *const u8) {
    // SAFETY: an ELF file begins with this header, which says where those of its segments are.
    let segments = unsafe {
        let header = &*image.cast::<libc::Elf64_Ehdr>();
        core::slice::from_raw_parts(
            image.add(header.e_phoff as usize).cast::<libc::Elf64_Phdr>(),
            header.e_phnum.into(),
        )
    };
    for segment in segments.iter().filter(|segment| segment.p_type == libc::PT_GNU_RELRO) {
        let start = segment.p_vaddr as usize & !(PAGE_BYTES - 1);
        let end = (segment.p_vaddr + segment.p_memsz) as usize & !(PAGE_BYTES - 1);
        // SAFETY: what the linker says that nobody writes to from here on.
        let _ = unsafe { mprotect(image.add(start).cast_mut().cast::<c_void>(), end - start, MprotectFlags::READ) };
    }
}

/// What is not text is none that the agent knows.
unsafe fn arguments(stack: *const usize) -> Vec<&'static str> {
    // SAFETY: as many pointers follow, each to a string that ends with a zero and stays for the life of the process.
    let word = |index| unsafe { CStr::from_ptr(*stack.add(1 + index) as *const c_char) };
    // SAFETY: the first word of the stack is their number.
    let count = unsafe { *stack };
    (1..count).map(|index| word(index).to_str().unwrap_or_default()).collect()
}
