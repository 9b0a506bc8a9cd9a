//! Any split of any spelling is found, clean text stays as it is, whatever the secret.

mod coding;
mod frames;

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use proptest::prelude::*;

use super::{Needles, Scrubber, StandIn};
use crate::model::Secret;

const SECRETS: [&str; 9] = [
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "sk-proj-AbCd_EfGh-1234",
    "a/b+c=d%e&f\\g\"h'i<j>k",
    "0123456789abcdef",
    "----------------",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "%2567%2567%2567%2567",
    // Of any four of its letters an escaping function touches one, and JSON another than HTML.
    " 0\"2[: aaa  :a a",
];

fn needles(secrets: &[&str]) -> Arc<Needles> {
    let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
    Arc::new(Needles::new(&secrets))
}

fn stand_in() -> StandIn {
    StandIn { prefix: "ghp_".into(), tail: "PlaceholderPlaceholderPlaceholder012".into() }
}

/// What comes out of `pieces`, and how many spellings were replaced.
fn scrub(needles: &Arc<Needles>, pieces: &[&[u8]]) -> (Vec<u8>, u32) {
    let mut scrubber = Scrubber::new(Arc::clone(needles));
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(scrubber.feed(Bytes::copy_from_slice(piece), false, &stand_in));
    }
    out.extend(scrubber.finish(&stand_in));
    (out, scrubber.take_hits())
}

fn escaped(secret: &str, odd_only: bool, escape: impl Fn(u8) -> String) -> String {
    let one = |byte: u8| if odd_only && byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { escape(byte) };
    secret.bytes().map(one).collect()
}

/// `secret` as services write it.
fn spellings(secret: &str) -> Vec<String> {
    let hex = |upper: bool| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            let written = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
            written.expect("into a string");
            text
        })
    };
    let mut found = vec![secret.to_owned(), hex(false), hex(true)];
    for around in ["", "x", "xy", "user:", "a much longer beginning"] {
        let pair = format!("{around}{secret}");
        found.extend([STANDARD.encode(&pair), URL_SAFE.encode(format!("{pair}~?>")), URL_SAFE_NO_PAD.encode(&pair)]);
        found.push(escaped(&STANDARD.encode(&pair), true, |byte| format!("%{byte:02X}")));
        found.push(STANDARD.encode(&pair).replace('/', "\\/"));
    }
    for odd_only in [true, false] {
        found.push(escaped(secret, odd_only, |byte| format!("%{byte:02x}")));
        found.push(escaped(secret, odd_only, |byte| format!("%{byte:02X}")));
        found.push(escaped(secret, odd_only, |byte| format!("\\u{byte:04x}")));
        found.push(escaped(secret, odd_only, |byte| format!("\\u{byte:04X}")));
        found.push(escaped(secret, odd_only, |byte| format!("\\x{byte:02x}")));
        found.push(escaped(secret, odd_only, |byte| format!("&#{byte};")));
        found.push(escaped(secret, odd_only, |byte| format!("&#x{byte:x};")));
        found.push(escaped(secret, odd_only, |byte| format!("&#{byte:03};")));
        found.push(escaped(secret, odd_only, |byte| format!("\\{byte:03o}")));
        found.push(escaped(secret, odd_only, |byte| format!("\\u{{{byte:x}}}")));
        found.push(escaped(secret, odd_only, |byte| format!("\\u{{{byte:X}}}")));
        found.push(escaped(secret, odd_only, |byte| format!("={byte:02X}")));
    }
    let json = serde_json::to_string(secret).expect("text");
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).expect("quotes around it");
    found.extend([json.to_owned(), json.replace('/', "\\/")]);
    found.push(escaped(&escaped(secret, true, |byte| format!("%{byte:02X}")), true, |byte| format!("%{byte:02X}")));
    found
}

/// What of `secret` is still to be read in `out`, in the spelling that was put in.
fn is_clean(out: &[u8], secret: &str, spelling: &str) -> bool {
    let holds = |part: &[u8]| memchr::memmem::find(out, part).is_some();
    !holds(spelling.as_bytes()) && !holds(secret.as_bytes())
}

#[test]
fn t39_t41_every_spelling_is_found_wherever_it_is_split() {
    for secret in SECRETS {
        let needles = needles(&[secret]);
        for spelling in spellings(secret) {
            let text = format!("{{\"before\": \"{spelling}\", \"after\": 1}}\n");
            let bytes = text.as_bytes();
            for cut in 0..=bytes.len() {
                let (out, hits) = scrub(&needles, &[&bytes[..cut], &bytes[cut..]]);
                assert!(hits == 1 && out.len() == bytes.len(), "{secret} {text} at {cut}: {hits}");
                assert!(is_clean(&out, secret, &spelling), "{text} at {cut}: {}", String::from_utf8_lossy(&out));
                assert!(out.starts_with(b"{\"before\": \"") && out.ends_with(b"\", \"after\": 1}\n"), "{text} at {cut}");
            }
            let letters: Vec<&[u8]> = bytes.chunks(1).collect();
            let (out, hits) = scrub(&needles, &letters);
            assert!(hits == 1 && is_clean(&out, secret, &spelling), "{text}: {}", String::from_utf8_lossy(&out));
        }
    }
}

#[test]
fn what_stands_in_is_a_whole_placeholder_in_the_same_coding() {
    let secret = SECRETS[0];
    let needles = needles(&[secret]);
    let placeholder = "ghp_PlaceholderPlaceholderPlaceholder012";
    let seen = |text: &str| String::from_utf8(scrub(&needles, &[text.as_bytes()]).0).expect("text");
    assert_eq!(seen(&format!("Bearer {secret}, {secret}")), format!("Bearer {placeholder}, {placeholder}"));
    let read = STANDARD.decode(seen(&STANDARD.encode(format!("abc{secret}")))).expect("base64");
    assert!(read.starts_with(&[b"abc", &placeholder.as_bytes()[..39]].concat()), "{}", String::from_utf8_lossy(&read));
    let long = escaped(secret, false, |byte| format!("%{byte:02x}"));
    assert!(seen(&long).starts_with("ghp_000") && seen(&long).ends_with("PlaceholderPlaceholderPlaceholder012"));
}

#[test]
fn short_secrets_are_not_looked_for_and_parts_stay() {
    assert!(needles(&["fifteen-letters", ""]).is_empty());
    let text = b"ghp_0123456789abcdefghijklmnopqrstuvwxy? ghp_****wxyz %67hp \\u0067";
    assert_eq!(scrub(&needles(&SECRETS[..1]), &[text]), (text.to_vec(), 0));
}

#[test]
fn a_message_that_ends_like_a_secret_begins_goes_out_whole() {
    let needles = needles(&SECRETS[..2]);
    for message in ["data: {}\n\n", "an end: g", "gh", "ghp", "s", "sk-", "\\u00", "%6", "100%"] {
        let mut scrubber = Scrubber::new(Arc::clone(&needles));
        assert_eq!(scrubber.feed(Bytes::copy_from_slice(message.as_bytes()), false, &stand_in), message.as_bytes());
    }
    let mut scrubber = Scrubber::new(Arc::clone(&needles));
    assert_eq!(&scrubber.feed(Bytes::from_static(b"text ghp_0"), false, &stand_in)[..], b"text ");
    assert_eq!(&scrubber.feed(Bytes::from_static(b"2"), false, &stand_in)[..], b"ghp_02");
}

#[test]
fn several_secrets_and_many_are_told_apart() {
    let all = needles(&SECRETS);
    let text = SECRETS.join(" | ");
    let (out, hits) = scrub(&all, &[text.as_bytes()]);
    assert!(hits >= 8 && out.len() == text.len());
    assert!(SECRETS.iter().all(|secret| is_clean(&out, secret, secret)), "{}", String::from_utf8_lossy(&out));
    let many: Vec<String> = (0..40).map(|number| format!("secret-{number:03}-{}", "xyz".repeat(number + 3))).collect();
    let borrowed: Vec<&str> = many.iter().map(String::as_str).collect();
    let text = borrowed.join("\n");
    assert_eq!(scrub(&needles(&borrowed), &[text.as_bytes()]).1, 40);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn clean_text_is_the_same_byte_for_byte(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(scrub(&needles(&SECRETS), &pieces), (pieces.concat(), 0));
    }

    #[test]
    fn i7_any_secret_is_found_in_any_pieces(
        secret in "[ -~]{16,80}",
        before in "[ -~]{0,40}",
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let all = spellings(&secret);
        let spelling = &all[which.index(all.len())];
        let text = format!("{before} {spelling} and more");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
        let (out, hits) = scrub(&needles(&[&secret]), &pieces);
        prop_assert!(hits >= 1 && out.len() == text.len() && is_clean(&out, &secret, spelling), "{:?}", String::from_utf8_lossy(&out));
    }
}
