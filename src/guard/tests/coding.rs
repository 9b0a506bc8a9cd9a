//! What other programs have coded is decoded in any pieces; nothing takes more room than a piece, or makes much of little.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::guard::{Coding, Decoder, Error};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("into a vector");
    encoder.finish().expect("into a vector")
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("into a vector");
    encoder.finish().expect("into a vector")
}

fn bare(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("into a vector");
    encoder.finish().expect("into a vector")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).expect("into a vector")
}

/// RFC 7932 §9.2: a window of 16 bits, then blocks that are not compressed, each of at most 65,536 bytes.
fn brotli(text: &[u8]) -> Vec<u8> {
    let (mut bits, mut count, mut out) = (0_u64, 0, Vec::new());
    let mut put = |value: u64, width: u32, bytes: &[u8], out: &mut Vec<u8>, align: bool| {
        bits |= value << count;
        count += width;
        while count >= 8 || (align && count > 0) {
            out.push((bits & 0xff) as u8);
            (bits, count) = (bits >> 8, count.saturating_sub(8));
        }
        out.extend_from_slice(bytes);
    };
    put(0, 1, &[], &mut out, false);
    for piece in text.chunks(0x1_0000) {
        // Not the last one, four nibbles of length, the length less one, not compressed.
        put(0b000, 3, &[], &mut out, false);
        put(piece.len() as u64 - 1, 16, &[], &mut out, false);
        put(1, 1, piece, &mut out, true);
    }
    put(0b11, 2, &[], &mut out, true);
    out
}

fn decoded(codings: &[Coding], bytes: &[u8], size: usize) -> Result<Vec<u8>, Error> {
    decoded_by(Decoder::new(codings).expect("few"), bytes, size)
}

fn decoded_by(mut decoder: Decoder, bytes: &[u8], size: usize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(piece) = decoder.next()? {
            assert!(!piece.is_empty() && piece.len() <= 32 * 1024);
            out.extend(piece);
        }
    }
    decoder.finish().map(|()| out)
}

fn text() -> Vec<u8> {
    (0..10_000_u32)
        .flat_map(|number| format!("line {} of it\n", number.wrapping_mul(2_654_435_761) % 9973).into_bytes())
        .collect()
}

#[test]
fn t40_every_coding_is_undone_in_any_pieces() {
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    let text = text();
    let twice = [gzip(&text[..1000]), gzip(&text[1000..])].concat();
    let frames = [zstd(&text[..1000]), zstd(&text[1000..])].concat();
    let padded = [gzip(&text), vec![0; 100]].concat();
    let rows: [(&str, &[Coding], Vec<u8>); 9] = [
        ("gzip", &[Gzip], gzip(&text)),
        ("two members", &[Gzip], twice),
        ("padding", &[Gzip], padded),
        ("zlib", &[Deflate], zlib(&text)),
        ("bare", &[Deflate], bare(&text)),
        ("br", &[Brotli], brotli(&text)),
        ("zstd", &[Zstd], zstd(&text)),
        ("two frames", &[Zstd], frames),
        ("gzip in zstd", &[Gzip, Zstd], zstd(&gzip(&text))),
    ];
    for (name, codings, bytes) in rows {
        for size in [1, 997, bytes.len()] {
            assert!(decoded(codings, &bytes, size).expect(name) == text, "{name} in pieces of {size}");
        }
        let half = decoded(codings, &bytes[..bytes.len() / 2], 1000);
        assert!(matches!(half, Err(Error::Truncated)), "{name}: {:?}", half.map(|text| text.len()));
        assert!(decoded(codings, b"no such thing at all, nothing of the kind", 1000).is_err(), "{name}");
        assert!(decoded(codings, b"", 1).expect(name).is_empty(), "{name}");
    }
    assert!(Decoder::new(&[Gzip, Gzip, Gzip]).is_none());
}

#[test]
fn t113_what_makes_gigabytes_of_kilobytes_is_broken_off() {
    let zeroes = vec![0; 4 * 1024 * 1024];
    for (coding, bytes) in [(Coding::Zstd, zstd(&zeroes)), (Coding::Gzip, gzip(&zeroes))] {
        let decoder = |allowance| Decoder::with_allowance(&[coding], allowance).expect("one");
        let outcome = decoded_by(decoder(1024 * 1024), &bytes, 64 * 1024);
        assert!(matches!(outcome, Err(Error::Expands)), "{coding:?}");
        assert_eq!(decoded_by(decoder(4 * 1024 * 1024), &bytes, 64 * 1024).expect("few enough").len(), zeroes.len());
    }
}

#[test]
fn a_large_window_is_refused() {
    // A frame header that asks for 128 MiB (RFC 8878 §3.1.1.1.2).
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00];
    assert!(decoded(&[Coding::Zstd], &header, 100).is_err());
}
