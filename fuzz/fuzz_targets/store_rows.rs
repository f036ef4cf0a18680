#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzzing::target("store_rows").map(|target| (target.run)(input));
});
