#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| caisson_converter::harness::fold(bytes));
