//! See `checks/graphql.rs`.

#![no_main]

#[path = "../checks/graphql.rs"]
mod graphql;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graphql::check(bytes));
