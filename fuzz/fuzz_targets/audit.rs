//! See `checks/audit.rs`.

#![no_main]

#[path = "../checks/audit.rs"]
mod audit;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audit::check(bytes));
