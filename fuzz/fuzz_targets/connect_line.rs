//! See `checks/connect_line.rs`.

#![no_main]

#[path = "../checks/connect_line.rs"]
mod connect_line;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| connect_line::check(bytes));
