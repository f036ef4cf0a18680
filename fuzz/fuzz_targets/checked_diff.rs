#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzzing::target("checked_diff").map(|target| (target.run)(input));
});
