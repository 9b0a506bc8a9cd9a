//! The vectors of RFC 7616 §3.9 and RFC 2617 §3.5, and ones made by Python's hashlib.

use std::sync::atomic::AtomicU32;
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};

use super::super::Unsigned;
use super::*;
use crate::model::Secret;

fn challenges(fields: &[&str]) -> HeaderMap {
    let value = |field: &&str| (WWW_AUTHENTICATE, HeaderValue::from_bytes(field.as_bytes()).expect("a value"));
    fields.iter().map(value).collect()
}

fn strongest(fields: &[&str]) -> Challenge {
    Challenge::strongest(&challenges(fields)).expect("well-formed").expect("a digest challenge")
}

fn session(fields: &[&str], cnonce: &str) -> Session {
    Session::new(strongest(fields), cnonce.to_owned()).expect("a session")
}

fn answer(session: &Session, login: (&str, &str), method: &Method, target: &'static str, body: Option<&[u8]>) -> String {
    let (headers, target) = (HeaderMap::new(), PathAndQuery::from_static(target));
    let time = SystemTime::UNIX_EPOCH;
    let request = Unsigned { method, host: "example.org", target: &target, headers: &headers, body, time };
    let secret = |text: &str| Secret::new(text.to_owned());
    let signed = session.sign(&secret(login.0), &secret(login.1), &request).expect("signs");
    let [(name, value)] = signed.headers.as_slice() else { panic!("one header") };
    assert!(name == AUTHORIZATION && value.is_sensitive());
    String::from_utf8(value.as_bytes().to_vec()).expect("UTF-8")
}

/// The value of one parameter.
fn part(credentials: &str, name: &str) -> Option<String> {
    let list = challenge::parse(credentials.as_bytes()).expect("the grammar of challenges");
    list.first()?.get(name).map(|value| String::from_utf8(value.to_vec()).expect("UTF-8"))
}

const MUFASA: (&str, &str) = ("Mufasa", "Circle of Life");

fn rfc_7616(algorithm: &str) -> String {
    format!(
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
    )
}

#[test]
fn rfc_7616_3_9_1_is_answered_with_the_stronger_hash() {
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let both = session(&[&rfc_7616("MD5"), &rfc_7616("SHA-256")], cnonce);
    assert_eq!(
        answer(&both, MUFASA, &Method::GET, "/dir/index.html", None),
        "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
         uri=\"/dir/index.html\", response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\", \
         algorithm=SHA-256, opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", qop=auth, nc=00000001, \
         cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\""
    );
    let weak = answer(&session(&[&rfc_7616("MD5")], cnonce), MUFASA, &Method::GET, "/dir/index.html", None);
    assert_eq!(part(&weak, "response").as_deref(), Some("8ca523f5e9506fed4657c9700eebdbec"));
}

/// §3.9.2 with the values of erratum 4897: the printed ones are of a SHA-512 that was cut short.
#[test]
fn rfc_7616_3_9_2_is_answered_with_a_hashed_user_name() {
    let field = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", \
         charset=UTF-8, userhash=true";
    let jason = ("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
    let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
    let text = answer(&session(&[field], cnonce), jason, &Method::GET, "/doe.json", None);
    assert_eq!(part(&text, "username").as_deref(), Some("793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"));
    assert_eq!(part(&text, "response").as_deref(), Some("3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"));
    assert_eq!(part(&text, "userhash").as_deref(), Some("true"));
    let plain = field.replace("userhash=true", "userhash=false");
    let text = answer(&session(&[&plain], cnonce), jason, &Method::GET, "/doe.json", None);
    assert!(text.starts_with("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm=") && !text.contains("userhash"), "{text}");
}

#[test]
fn rfc_2617_3_5_is_answered_without_an_algorithm() {
    let field = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let text = answer(&session(&[field], "0a4f113b"), ("Mufasa", "Circle Of Life"), &Method::GET, "/dir/index.html", None);
    assert_eq!(part(&text, "response").as_deref(), Some("6629fae49393a05397450978507c4ef1"));
    assert_eq!(part(&text, "algorithm"), None);
    assert_eq!(part(&text, "opaque").as_deref(), Some("5ccc069c403ebaf9f0171e9517f40e41"));
}

/// RFC 2069's form; the value by Python.
#[test]
fn a_challenge_without_qop_is_answered_the_old_way() {
    let field = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let text = answer(&session(&[field], "c"), ("Mufasa", "CircleOfLife"), &Method::GET, "/dir/index.html", None);
    assert_eq!(part(&text, "response").as_deref(), Some("1949323746fe6a43ef61f9606e7febea"));
    assert!(!text.contains("nc=") && !text.contains("cnonce") && !text.contains("qop"), "{text}");
}

/// `H(H(H(u:r:p):n:c):n:00000002:c:auth-int:H(POST:/x?y=1:H(body)))` with SHA-256 by Python.
#[test]
fn a_session_key_covers_body_and_count() {
    let session = session(&["Digest realm=r, nonce=n, algorithm=sha-256-SESS, qop=auth-int"], "c");
    let send = || answer(&session, ("u", "p"), &Method::POST, "/x?y=1", Some(b"body"));
    assert_eq!(part(&send(), "nc").as_deref(), Some("00000001"));
    let second = send();
    assert_eq!(part(&second, "nc").as_deref(), Some("00000002"));
    assert_eq!(part(&second, "response").as_deref(), Some("7e2d361e648ab832e389aad5014f13b6bb2c2b31b6bb7d485dcac072ed500c67"));
    assert_eq!(part(&second, "algorithm").as_deref(), Some("SHA-256-sess"));
}

#[test]
fn the_strongest_challenge_wins_wherever_it_stands() {
    let one = |algorithm: &str| format!("Digest realm=r, nonce=n, qop=auth, algorithm={algorithm}");
    let of = |fields: &[&str]| strongest(fields).algorithm;
    assert_eq!(of(&[&one("MD5"), "Basic realm=\"r\"", &one("SHA-512-256")]), Some("SHA-512-256"));
    assert_eq!(of(&[&format!("Negotiate, {}, {}, Bearer", one("SHA-256-sess"), one("SHA-256"))]), Some("SHA-256-sess"));
    assert_eq!(of(&[&one("SHA-1024"), &one("MD5-sess")]), Some("MD5-sess"));
    assert_eq!(of(&["Digest realm=\"x", &one("MD5")]), Some("MD5"));
    assert!(strongest(&["Digest realm=r, nonce=n, stale=TRUE"]).is_stale());
}

#[test]
fn a_response_without_a_digest_challenge_has_none() {
    let none = |fields: &[&str]| Challenge::strongest(&challenges(fields)).expect("well-formed").is_none();
    assert!(none(&[]) && none(&["Basic realm=\"Digest\"", "Bearer"]));
}

#[test]
fn a_challenge_that_can_not_be_answered_says_why() {
    let error = |field| Challenge::strongest(&challenges(&[field])).expect_err("a refusal");
    for field in
        ["Digest realm=r", "Digest nonce=n", "Digest realm=r, nonce=n, realm=s", "Digest realm=\"r", "Digest realm=r nonce=n"]
    {
        assert!(matches!(error(field), Error::Malformed), "{field}");
    }
    assert!(matches!(error("Digest realm=r, nonce=n, algorithm=MD5-sess"), Error::Malformed));
    for field in ["Digest realm=r, nonce=n, algorithm=SHA1", "Digest realm=r, nonce=n, qop=\"auth-conf\""] {
        assert!(matches!(error(field), Error::Unsupported), "{field}");
    }
}

#[test]
fn what_is_quoted_is_written_as_it_was_read() {
    let field = r#"Digest realm="a \"b\" \\ é", nonce="n\"", qop=auth"#;
    let text = answer(&session(&[field], "c"), (r#"u"\"#, "p"), &Method::GET, "/", None);
    assert!(text.starts_with(r#"Digest username="u\"\\", realm="a \"b\" \\ é", nonce="n\"", uri="/", "#), "{text}");
}

#[test]
fn a_used_up_nonce_and_a_body_that_is_not_there_are_errors() {
    let refused = |session: &Session, user: &str| {
        let (headers, target) = (HeaderMap::new(), PathAndQuery::from_static("/"));
        let time = SystemTime::UNIX_EPOCH;
        let request = Unsigned { method: &Method::GET, host: "a", target: &target, headers: &headers, body: None, time };
        session.sign(&Secret::new(user.to_owned()), &Secret::new("hunter2".to_owned()), &request).expect_err("a refusal")
    };
    let mut last = session(&["Digest realm=r, nonce=n, qop=auth"], "c");
    last.used = AtomicU32::new(u32::MAX);
    assert!(matches!(refused(&last, "u"), Error::UsedUp));
    assert!(matches!(refused(&last, "u"), Error::UsedUp));
    let body = session(&["Digest realm=r, nonce=n, qop=auth-int"], "c");
    assert!(matches!(refused(&body, "u"), Error::NoBody));
    assert!(matches!(refused(&body, "u\r\nx: y"), Error::Control));
    for cnonce in ["", "a b", "a\n"] {
        let refused = Session::new(strongest(&["Digest realm=r, nonce=n"]), cnonce.to_owned());
        assert!(matches!(refused, Err(Error::Cnonce)));
    }
}
