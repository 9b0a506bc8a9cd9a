//! Any bytes as a CONNECT request: no panic, and an authority that is taken reads the same a second time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus::fuzzing::connect_line;

fuzz_target!(|bytes: &[u8]| {
    if let Some(authority) = connect_line(bytes) {
        let again = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        assert_eq!(connect_line(again.as_bytes()), Some(authority));
    }
});
