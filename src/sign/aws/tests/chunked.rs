//! Chunked bodies against the examples of the S3 API Reference, and in every split.

use bytes::Bytes;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{Case, LIST};
use crate::sign::aws::{ChunkError, Rechunk, Scope};

/// What a caller writes where its signatures stand.
const PLACEHOLDER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

const HEADERS: [(&str, &str); 5] = [
    ("content-encoding", "aws-chunked"),
    ("content-length", "66824"),
    ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    ("x-amz-decoded-content-length", "66560"),
    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
];

const WITH_TRAILER: [(&str, &str); 5] = [
    ("content-encoding", "aws-chunked"),
    ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
    ("x-amz-decoded-content-length", "66560"),
    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ("x-amz-trailer", "x-amz-checksum-crc32c"),
];

fn example(headers: &'static [(&'static str, &'static str)]) -> Case<'static> {
    Case { method: "PUT", host: "s3.amazonaws.com", target: "/examplebucket/chunkObject.txt", headers, ..LIST }
}

fn rechunk(case: &Case<'_>) -> Rechunk {
    case.sign(&case.plan_in_header().unwrap(), &case.target.parse().unwrap()).unwrap().1.unwrap()
}

fn plain(trailers: bool) -> Rechunk {
    let scope = Scope::new("us-east-1", "s3").unwrap();
    Rechunk::new(Zeroizing::new(vec![7; 32]), "20130524T000000Z", &scope, PLACEHOLDER.to_owned(), trailers)
}

fn chunk(data: &[u8], signature: &str) -> Vec<u8> {
    let mut chunk = format!("{:x};chunk-signature={signature}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

fn run(mut rechunk: Rechunk, pieces: &[&[u8]]) -> Result<Vec<u8>, ChunkError> {
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&rechunk.feed(piece)?);
    }
    rechunk.finish().map(|()| out)
}

/// The 65 KiB of `a` in chunks of 64 KiB, with these signatures.
fn example_body(signatures: [&str; 3]) -> Vec<u8> {
    let [first, second, last] = signatures;
    [chunk(&[b'a'; 65_536], first), chunk(&[b'a'; 1024], second), chunk(b"", last)].concat()
}

#[test]
fn the_signatures_of_the_chunked_example_are_made() {
    let case = example(&HEADERS);
    assert_eq!(case.in_header().signature(), "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
    assert_eq!(case.in_header().body, crate::sign::aws::Body::Chunked);
    let body = example_body([PLACEHOLDER; 3]);
    assert_eq!(body.len(), 66_824);
    let expected = example_body([
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]);
    assert!(run(rechunk(&case), &[&body]).unwrap() == expected);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert!(run(rechunk(&case), &bytes).unwrap() == expected, "byte by byte");
}

fn trailer_example(signatures: [&str; 3], trailer: &str, line_end: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let end = format!(
        "0;chunk-signature={last}\r\nx-amz-checksum-crc32c:sOO8/Q=={line_end}x-amz-trailer-signature:{trailer}\r\n\r\n"
    );
    [chunk(&[b'a'; 65_536], first), chunk(&[b'a'; 1024], second), end.into_bytes()].concat()
}

#[test]
fn the_signatures_of_the_trailer_example_are_made() {
    let case = example(&WITH_TRAILER);
    assert_eq!(case.in_header().signature(), "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
    // The second line end is minio-go's.
    for line_end in ["\r\n", "\n\r\n", "\n"] {
        let expected = trailer_example(
            [
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            ],
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
            line_end,
        );
        let body = trailer_example([PLACEHOLDER; 3], PLACEHOLDER, line_end);
        assert!(run(rechunk(&case), &[&body]).unwrap() == expected, "{line_end:?}");
    }
}

#[test]
fn several_trailers_are_signed_by_name_in_small_letters() {
    let body = |trailers: &str, signature| {
        format!("0;chunk-signature={PLACEHOLDER}\r\n{trailers}x-amz-trailer-signature:{signature}\r\n\r\n")
    };
    let signature = |trailers| {
        let out = String::from_utf8(run(plain(true), &[body(trailers, PLACEHOLDER).as_bytes()]).unwrap()).unwrap();
        out.split("x-amz-trailer-signature:").nth(1).unwrap().to_owned()
    };
    assert_eq!(signature("b:2\r\na:1\r\n"), signature("A: 1\r\nb:2 \r\n"));
    assert_ne!(signature("b:2\r\na:1\r\n"), signature("b:1\r\na:2\r\n"));
}

#[test]
fn no_part_of_a_chunk_goes_before_all_of_it_has_come() {
    let mut rechunk = plain(false);
    let whole = chunk(b"hello", PLACEHOLDER);
    assert_eq!(rechunk.feed(&whole[..whole.len() - 1]).unwrap(), Bytes::new());
    assert_eq!(rechunk.finish(), Err(ChunkError::Cut));
    assert_eq!(rechunk.feed(b"\n").unwrap().len(), whole.len());
}

#[test]
fn i7_malformed_chunking_is_refused_and_nothing_of_it_goes_on() {
    let good = String::from_utf8([chunk(b"hello", PLACEHOLDER), chunk(b"", PLACEHOLDER)].concat()).unwrap();
    let refused = |from: &str, to: &str| run(plain(false), &[good.replacen(from, to, 1).as_bytes()]).unwrap_err();
    for (from, to, error) in [
        ("5;", ";", ChunkError::Header),
        ("5;", "-5;", ChunkError::Header),
        ("5;", "0x5;", ChunkError::Header),
        ("5;", " 5;", ChunkError::Header),
        ("5;", "000000005;", ChunkError::Header),
        ("5;", "800001;", ChunkError::Size),
        ("5;", "ffffffff;", ChunkError::Size),
        ("5;", "4;", ChunkError::End),
        ("5;", "6;", ChunkError::End),
        (";chunk-signature=", ";", ChunkError::Header),
        (";chunk-signature=", ";x=y;chunk-signature=", ChunkError::Header),
        ("=fe", "=e", ChunkError::Header),
        ("=fe", "=ffe", ChunkError::Header),
        ("=fe", "=zz", ChunkError::Header),
        ("\r\nhello", "\nhello", ChunkError::Header),
        ("hello\r\n", "hello\n", ChunkError::End),
        ("hello\r\n", "hello", ChunkError::End),
    ] {
        assert_eq!(refused(from, to), error, "{from} -> {to}");
    }
    assert_eq!(run(plain(false), &[good.as_bytes(), b"x"]), Err(ChunkError::Beyond));
    assert_eq!(run(plain(false), &[]), Err(ChunkError::Cut));
    assert_eq!(run(plain(false), &[&[b'0'; 200]]), Err(ChunkError::Header), "a line without an end");
    let mut broken = plain(false);
    assert_eq!(broken.feed(b"hello\n"), Err(ChunkError::Header));
    assert_eq!((broken.feed(good.as_bytes()), broken.finish()), (Err(ChunkError::Broken), Err(ChunkError::Broken)));
}

#[test]
fn i7_malformed_trailers_are_refused() {
    let run = |rest: &str| run(plain(true), &[format!("0;chunk-signature={PLACEHOLDER}\r\n{rest}").as_bytes()]);
    let end = format!("x-amz-trailer-signature:{PLACEHOLDER}\r\n\r\n");
    assert!(run(&format!("a:1\r\n{end}")).is_ok());
    for wrong in [
        end.clone(),
        String::from("\r\n"),
        format!("a:1\r\n\r\n{end}"),
        format!("a:1\n\r\n\r\n{end}"),
        format!("no colon\r\n{end}"),
        format!(":1\r\n{end}"),
        format!("a b:1\r\n{end}"),
        format!("a:1\r\r\n{end}"),
        format!("a:{}\r\n{end}", "x".repeat(5_000)),
        format!("{}{end}", "a:1\r\n".repeat(17)),
        format!("a:1\r\nx-amz-trailer-signature:{PLACEHOLDER}\n\r\n"),
        format!("a:1\r\nx-amz-trailer-signature:{PLACEHOLDER}\r\nb:2\r\n\r\n"),
        String::from("a:1\r\nx-amz-trailer-signature:0123\r\n\r\n"),
    ] {
        assert_eq!(run(&wrong), Err(ChunkError::Trailer), "{wrong:?}");
    }
    assert_eq!(run(&format!("a:1\r\nx-amz-trailer-signature:{PLACEHOLDER}\r\n")), Err(ChunkError::Cut));
}

/// The payload of a chunked body and where its signatures stand, read without the code under test.
fn unparsed(mut body: &[u8]) -> (Vec<u8>, Vec<String>) {
    let (mut payload, mut signatures) = (Vec::new(), Vec::new());
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let (size, signature) = std::str::from_utf8(&body[..end]).unwrap().split_once(";chunk-signature=").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        signatures.push(signature.to_owned());
        payload.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
        if size == 0 {
            assert!(body.is_empty());
            return (payload, signatures);
        }
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_output_of_the_same_length_and_payload(
        data in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
    ) {
        let mut body: Vec<u8> = data.iter().flat_map(|part| chunk(part, PLACEHOLDER)).collect();
        body.extend(chunk(b"", PLACEHOLDER));
        let whole = run(plain(false), &[&body]).unwrap();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([0, body.len()]).collect();
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&run(plain(false), &pieces).unwrap(), &whole);
        prop_assert_eq!(whole.len(), body.len());
        let ((payload, signatures), (before, _)) = (unparsed(&whole), unparsed(&body));
        prop_assert_eq!(payload, before);
        prop_assert!(signatures.iter().all(|signature| signature != PLACEHOLDER));
    }

    #[test]
    fn i7_no_bytes_panic_it(bytes in proptest::collection::vec(any::<u8>(), 0..400), trailers: bool) {
        let mut rechunk = plain(trailers);
        let _refused = rechunk.feed(&bytes).is_err();
        prop_assert!(rechunk.finish().is_err());
    }
}
