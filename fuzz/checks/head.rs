//! Any bytes as requests: no panic, and the same reading whole, in halves and byte by byte.

use nexus::fuzzing::{pass_requests, read_requests};

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    let whole = pass_requests(&[bytes]);
    let (left, right) = bytes.split_at(bytes.len() / 2);
    assert_eq!(pass_requests(&[left, right]), whole);
    assert_eq!(pass_requests(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    assert!(whole.malformed.is_some() || bytes.starts_with(&whole.bytes), "sound bytes pass untouched");
    read_requests(bytes);
}
