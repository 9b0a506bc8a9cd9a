//! Any bytes as an answer, under any secret (the first line): no panic; as many bytes come out as went in, whole or in pieces; what holds the
//! secret is not passed on as clean, what is clean stays as it is. The same as WebSocket frames; as coded bodies, no panic and no end without
//! an end.

use bytes::Bytes;
use nexus::fuzzing::{Scrubbing, decoded};

/// Panics when it does not hold for `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let Ok(secret) = std::str::from_utf8(&bytes[..end]) else { return };
    let text = &bytes[(end + 1).min(bytes.len())..];
    let scrubbing = Scrubbing::of(&[secret]);
    let (whole, hits) = scrub(&scrubbing, text, text.len().max(1));
    assert_eq!(whole.len(), text.len());
    if hits == 0 {
        assert_eq!(whole, text);
        assert!(secret.len() < 16 || !text.windows(secret.len()).any(|part| part == secret.as_bytes()), "{bytes:?}");
    }
    for size in [1, 7] {
        let (pieces, found) = scrub(&scrubbing, text, size);
        assert_eq!(pieces.len(), text.len());
        assert!(hits > 0 || (found == 0 && pieces == text), "{size}: {bytes:?}");
        check_frames(&scrubbing, text, size);
    }
    for coding in ["gzip", "deflate", "br", "zstd"] {
        assert_eq!(decoded(coding, text, 1), decoded(coding, text, 100), "{coding}: {bytes:?}");
    }
}

fn scrub(scrubbing: &Scrubbing, text: &[u8], size: usize) -> (Vec<u8>, u32) {
    let mut out = Vec::new();
    let hits = scrubbing.scrub(text.chunks(size).map(Bytes::copy_from_slice), |piece| out.extend_from_slice(&piece));
    (out, hits)
}

fn check_frames(scrubbing: &Scrubbing, text: &[u8], size: usize) {
    if let Some((out, hits)) = scrubbing.frames(text.chunks(size).map(Bytes::copy_from_slice)) {
        assert_eq!(out.len(), text.len());
        assert!(hits > 0 || out == text, "{text:?}");
    }
}
