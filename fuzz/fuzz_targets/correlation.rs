#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzzing::target("correlation").map(|target| (target.run)(input));
});
