use caisson_agent::die;
use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    die(info)
}

// Nothing is unwound, but the compiled `alloc` is ready for it, and names what would do it.

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    die("unwound")
}

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    die("unwound")
}
