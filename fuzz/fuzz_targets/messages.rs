#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzzing::target("messages").map(|target| (target.run)(input));
});
