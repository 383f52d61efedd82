#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caisson_frame::harness::frame(bytes));
