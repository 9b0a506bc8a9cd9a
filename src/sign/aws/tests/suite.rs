//! The general vectors of AWS: `aws-signing-test-suite/v4` of awslabs/aws-c-auth, the cases with a normalized path and an unsigned body.

use super::{Case, Signing};

/// Name, request line, header fields, and the signatures in header and query.
type Vector = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

#[rustfmt::skip]
const VECTORS: &[Vector] = &[
    ("get-header-key-duplicate", "GET /",
     &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea", "3349ee0b81b4b589da0ff28a395c3591e04de515651dd74f298fa992d1507a97"),
    ("get-header-value-order", "GET /",
     &[("my-header1", "value4"), ("my-header1", "value1"), ("my-header1", "value3"), ("my-header1", "value2")],
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01", "313720e71ca6202fdcfa9b20f88de01a4eb0638a83c833b1c184359a4eda864e"),
    ("get-header-value-trim", "GET /",
     &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736", "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4"),
    ("get-relative-normalized", "GET /example/..",
     &[],
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    ("get-relative-relative-normalized", "GET /example1/example2/../..",
     &[],
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    ("get-slash-dot-slash-normalized", "GET /./",
     &[],
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    ("get-slash-normalized", "GET //",
     &[],
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    ("get-slash-pointless-dot-normalized", "GET /./example",
     &[],
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5", "35034b1a0bdd969f346975386daf8aedfd4976573b8348cf4f67eaa41c5857de"),
    ("get-slashes-normalized", "GET //example//",
     &[],
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84", "c1834e8fb0307243711f0f907f6ab7311ed300d87f13792d7ee4da89ab93e082"),
    ("get-unreserved", "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     &[],
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f", "95968482db1b9e0fadef6efc1bd24689f77c77d9ef56919c96a28cc92e0d6005"),
    ("get-utf8", "GET /ሴ",
     &[],
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85", "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44"),
    ("get-vanilla", "GET /",
     &[],
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"),
    ("get-vanilla-empty-query-key", "GET /?Param1=value1",
     &[],
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb", "49096700cbbaa5753443850f40df10f904fc2fdb544dc9512203cc77c471a9de"),
    ("get-vanilla-query-order-encoded", "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
     &[],
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac", "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787"),
    ("get-vanilla-query-order-key-case", "GET /?Param2=value2&Param1=value1",
     &[],
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500", "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"),
    ("get-vanilla-query-unreserved", "GET /?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     &[],
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197", "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf"),
    ("get-vanilla-utf8-query", "GET /?ሴ=bar",
     &[],
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04", "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600"),
    ("post-header-key-sort", "POST /",
     &[("my-header1", "value1")],
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c", "c09d07e0d55871f10f2a6d350d994acf6825a3cae70673d7def55616e6119dd7"),
    ("post-header-value-case", "POST /",
     &[("my-header1", "VALUE1")],
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d", "0698bc9e4f7f9139065ba2909c0e99da257e8e2a42492a097bcd46d792391fed"),
    ("post-vanilla", "POST /",
     &[],
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", "2ce6e6d2e0cf2f9d1b55fafec88cd20574c31dc2e7631979f71ba2310083e95b"),
    ("post-vanilla-query", "POST /?Param1=value1",
     &[],
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11", "a9ef26247f293bffe40eeff86a0480ba8c14d31503b2e0c3399e3a16bf1a3682"),
];

fn case(vector: &Vector) -> Case<'static> {
    let (_name, line, headers, ..) = *vector;
    let (method, target) = line.split_once(' ').unwrap();
    Case {
        method,
        host: "example.amazonaws.com",
        target,
        headers,
        body: Some(b""),
        scope: ("us-east-1", "service"),
        time: 1_440_938_160, // 20150830T123600Z
        keys: ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    }
}

#[test]
fn the_signatures_of_the_test_suite_are_made_in_the_header() {
    for vector in VECTORS {
        assert_eq!(case(vector).in_header().signature(), vector.3, "{}", vector.0);
    }
}

#[test]
fn the_signatures_of_the_test_suite_are_made_in_the_query() {
    for vector in VECTORS {
        assert_eq!(case(vector).in_query(3600).signature(), vector.4, "{}", vector.0);
    }
}

#[test]
fn a_session_token_is_signed_in_either_place() {
    const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    let vector = VECTORS.iter().find(|vector| vector.0 == "get-vanilla").unwrap();
    let mut case = case(vector);
    case.keys.2 = Some(TOKEN);
    // `get-vanilla-with-session-token`.
    let in_header = case.in_header();
    assert_eq!(in_header.signature(), "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8");
    assert_eq!(in_header.header("x-amz-security-token"), TOKEN);
    let Signing { signed, .. } = in_header;
    assert!(signed.headers.iter().filter(|(_, value)| value.is_sensitive()).count() == 2, "{signed:?}");
    assert_eq!(case.in_query(3600).signature(), "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c");
}
