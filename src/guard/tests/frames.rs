//! WebSocket messages: a secret is found across the frames of a message, and everything else stays as it is.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{SECRETS, needles, stand_in};
use crate::guard::{Frames, Scrubber};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const PING: u8 = 9;
const FIN: u8 = 0x80;

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(u8::try_from(length).expect("small")),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend(u16::try_from(length).expect("small").to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

fn pass(bytes: &[u8], size: usize) -> (Vec<u8>, u32) {
    let mut frames = Frames::new(Scrubber::new(Arc::clone(&needles(&SECRETS[..1]))));
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        frames.feed(Bytes::copy_from_slice(piece), &mut out, &stand_in).expect("readable");
    }
    frames.finish(&mut out, &stand_in);
    (out, frames.take_hits())
}

#[test]
fn t43_a_secret_is_found_across_the_frames_of_a_message() {
    let secret = SECRETS[0].as_bytes();
    let placeholder = b"ghp_PlaceholderPlaceholderPlaceholder012";
    for cut in 0..=secret.len() {
        let bytes = |secret: &[u8]| {
            let fragments =
                [frame(TEXT, &secret[..cut]), frame(FIN | PING, b"beat"), frame(FIN | CONTINUATION, &secret[cut..])];
            [fragments.concat(), frame(FIN | TEXT, secret), frame(FIN | PING, secret)].concat()
        };
        for size in [1, 7, 1000] {
            assert_eq!(pass(&bytes(secret), size), (bytes(placeholder), 3), "cut at {cut}, pieces of {size}");
        }
    }
}

#[test]
fn a_secret_in_two_messages_is_two_halves() {
    let halves = [frame(FIN | TEXT, &SECRETS[0].as_bytes()[..20]), frame(FIN | TEXT, &SECRETS[0].as_bytes()[20..])].concat();
    assert_eq!(pass(&halves, 1), (halves, 0));
}

#[test]
fn a_message_goes_out_when_it_ends_whatever_it_ends_with() {
    let mut frames = Frames::new(Scrubber::new(needles(&SECRETS[..1])));
    let message = frame(FIN | TEXT, b"ghp_0123");
    let mut out = Vec::new();
    frames.feed(message.clone().into(), &mut out, &stand_in).expect("readable");
    assert_eq!(out, message);
}

#[test]
fn what_can_not_be_read_ends_the_stream() {
    for bytes in [&[0xc1, 0][..], &[0x81, 0x85, 1, 2, 3, 4], &[0x89, 126, 0, 126]] {
        let mut frames = Frames::new(Scrubber::new(needles(&SECRETS[..1])));
        assert!(frames.feed(Bytes::copy_from_slice(bytes), &mut Vec::new(), &stand_in).is_err(), "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn clean_frames_are_the_same_byte_for_byte(
        payloads in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..400)), 0..6),
        size in 1_usize..500,
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|(last, payload)| frame(if *last { FIN | 2 } else { 2 }, payload)).collect();
        prop_assert_eq!(pass(&bytes, size), (bytes, 0));
    }

    #[test]
    fn i7_any_bytes_are_frames_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..300) {
        let mut frames = Frames::new(Scrubber::new(needles(&SECRETS[..1])));
        let mut out = Vec::new();
        let read = bytes.chunks(size).try_for_each(|piece| frames.feed(Bytes::copy_from_slice(piece), &mut out, &stand_in));
        frames.finish(&mut out, &stand_in);
        prop_assert!(read.is_err() || out == bytes);
    }
}
