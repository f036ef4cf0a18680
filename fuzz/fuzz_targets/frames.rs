#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzzing::target("frames").map(|target| (target.run)(input));
});
