//! See `checks/vault.rs`.

#![no_main]

#[path = "../checks/vault.rs"]
mod vault;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vault::check(bytes));
