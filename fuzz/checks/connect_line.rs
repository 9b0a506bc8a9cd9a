//! Any bytes as a CONNECT request: no panic, and an authority that is taken reads the same a second time.

use nexus::fuzzing::connect_line;

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    if let Some(authority) = connect_line(bytes) {
        let again = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        assert_eq!(connect_line(again.as_bytes()), Some(authority));
    }
}
