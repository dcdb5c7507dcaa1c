#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| (hostile::target("pem").run)(input));
