//! The one second send: bodies byte for byte, bodies that wait for the service's word, and bodies that can't be sent twice.

mod away;
mod broken;
mod early;
mod expect;
mod held;
mod programs;
mod stale;
mod twice;

use bytes::Bytes;

/// Bytes without a pattern that a mistake could hide in.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}
