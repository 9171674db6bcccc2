#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oneloop_fuzz::handover(data));
