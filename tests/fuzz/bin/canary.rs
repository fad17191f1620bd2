#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::canary::remb(data);
    fuzz::canary::extension(data);
    fuzz::canary::template(data);
});
