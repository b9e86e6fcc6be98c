#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrowire_fuzz::commands(data));
