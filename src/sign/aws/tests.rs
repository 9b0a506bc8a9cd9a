//! Signatures against vectors of AWS and of botocore, and what is refused.

mod asked;
mod botocore;
mod chunked;
mod hosts;
mod s3;
mod suite;

use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Body, Defaults, Error, Keys, Plan, Rechunk, sign};
use crate::model::Secret;
use crate::sign::{Signed, Unsigned};

/// The keys in AWS's documents, and the moment of its S3 examples.
pub(super) const EXAMPLE: (&str, &str, Option<&str>) =
    ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None);
pub(super) const MAY_2013: u64 = 1_369_353_600; // 20130524T000000Z
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A request as a caller's SDK makes it, before it is signed with a placeholder.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) target: &'a str,
    /// All of which the caller signs.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: Option<&'a [u8]>,
    /// Region and service.
    pub(super) scope: (&'a str, &'a str),
    /// Seconds since 1970.
    pub(super) time: u64,
    /// The stored key: id, secret and token.
    pub(super) keys: (&'a str, &'a str, Option<&'a str>),
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Signing {
    pub(super) signed: Signed,
    pub(super) body: Body,
}

impl Signing {
    pub(super) fn header(&self, name: &str) -> &str {
        self.signed.headers.iter().find(|(found, _)| found == name).unwrap().1.to_str().unwrap()
    }

    pub(super) fn signature(&self) -> &str {
        match &self.signed.target {
            None => self.header("authorization").rsplit_once("Signature=").unwrap().1,
            Some(target) => {
                let rest = target.query().unwrap().split_once("X-Amz-Signature=").unwrap().1;
                rest.split('&').next().unwrap()
            }
        }
    }
}

impl Case<'_> {
    fn header_map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn signed_headers(&self) -> String {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).chain(["host"]).collect();
        names.sort_unstable();
        names.dedup();
        names.join(";")
    }

    /// The test suite's `example.amazonaws.com` signs for a service of another name.
    fn defaults(&self) -> Defaults<'_> {
        Defaults { service: (self.host == "example.amazonaws.com").then_some(self.scope.1), region: None }
    }

    fn credential(&self) -> String {
        format!("PLACEHOLDER/20010203/{}/{}/aws4_request", self.scope.0, self.scope.1)
    }

    /// The plan for it, signed with a placeholder in the header, years ago.
    pub(super) fn plan_in_header(&self) -> Result<Plan, Error> {
        let mut headers = self.header_map();
        let signed = format!("{};x-amz-date;x-amz-security-token", self.signed_headers());
        let text = format!("AWS4-HMAC-SHA256 Credential={}, SignedHeaders={signed}, Signature={NOTHING}", self.credential());
        headers.insert(AUTHORIZATION, text.parse().unwrap());
        headers.insert("x-amz-date", "20010203T040506Z".parse().unwrap());
        headers.insert("x-amz-security-token", "placeholder".parse().unwrap());
        Plan::of(&headers, &self.target.parse().unwrap(), self.host, &self.defaults())
    }

    pub(super) fn presigned_target(&self, expires: u32) -> PathAndQuery {
        let credential = self.credential().replace('/', "%2F");
        let signed = self.signed_headers().replace(';', "%3B");
        let sign = if self.target.contains('?') { '&' } else { '?' };
        format!(
            "{}{sign}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date=20010203T040506Z\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders={signed}&X-Amz-Security-Token=a%2Bb&X-Amz-Signature={NOTHING}",
            self.target
        )
        .parse()
        .unwrap()
    }

    pub(super) fn sign(&self, plan: &Plan, target: &PathAndQuery) -> Result<(Signed, Option<Rechunk>), Error> {
        let secret = Secret::new(self.keys.1.to_owned());
        let token = self.keys.2.map(|token| Secret::new(token.to_owned()));
        let keys = Keys { access_key_id: self.keys.0, secret_access_key: &secret, session_token: token.as_ref() };
        let unsigned = Unsigned {
            method: &Method::from_bytes(self.method.as_bytes()).unwrap(),
            host: self.host,
            target,
            headers: &self.header_map(),
            body: self.body,
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(self.time),
        };
        sign(&unsigned, &keys, plan)
    }

    /// Signed with a placeholder in the header, and anew.
    pub(super) fn in_header(&self) -> Signing {
        let plan = self.plan_in_header().unwrap();
        let (signed, _rechunk) = self.sign(&plan, &self.target.parse().unwrap()).unwrap();
        Signing { signed, body: plan.body() }
    }

    /// Presigned with a placeholder, and anew.
    pub(super) fn in_query(&self, expires: u32) -> Signing {
        let target = self.presigned_target(expires);
        let plan = Plan::of(&self.header_map(), &target, self.host, &self.defaults()).unwrap();
        let (signed, rechunk) = self.sign(&plan, &target).unwrap();
        assert!(signed.headers.is_empty() && rechunk.is_none());
        Signing { signed, body: plan.body() }
    }
}

const LIST: Case<'static> = Case {
    method: "GET",
    host: "examplebucket.s3.amazonaws.com",
    target: "/?max-keys=2&prefix=J",
    headers: &[],
    body: None,
    scope: ("us-east-1", "s3"),
    time: MAY_2013,
    keys: EXAMPLE,
};

fn refused(case: &Case<'_>) -> String {
    let plan = case.plan_in_header();
    let error = plan.and_then(|plan| case.sign(&plan, &case.target.parse().unwrap()).map(|_| ())).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("wJalr"), "{error:?}");
    error.to_string()
}

#[test]
fn what_a_proxy_changes_is_never_signed_and_what_amazon_names_always() {
    let case = Case {
        headers: &[
            ("user-agent", "a"),
            ("te", "trailers"),
            ("x-amzn-trace-id", "b"),
            ("connection", "c"),
            ("range", "bytes=0-9"),
        ],
        ..LIST
    };
    let plan = case.plan_in_header().unwrap();
    let later =
        Case { headers: &[("range", "bytes=0-9"), ("user-agent", "z"), ("x-amz-meta-late", "1"), ("accept", "x")], ..LIST };
    let (signed, _) = later.sign(&plan, &case.target.parse().unwrap()).unwrap();
    let text = signed.headers.iter().find(|(name, _)| *name == AUTHORIZATION).unwrap().1.to_str().unwrap();
    assert!(text.contains("SignedHeaders=host;range;x-amz-content-sha256;x-amz-date;x-amz-meta-late,"), "{text}");
}

#[test]
fn a_request_without_a_signature_is_signed_for_its_host() {
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let target: PathAndQuery = "/".parse().unwrap();
    let plan = Plan::of(&headers, &target, "bedrock-runtime.eu-west-1.amazonaws.com", &Defaults::default()).unwrap();
    assert_eq!((plan.scope.region.as_str(), plan.scope.service.as_str(), plan.body()), ("eu-west-1", "bedrock", Body::Whole));
    let case = Case { headers: &[("content-type", "application/json"), ("accept", "*/*")], body: Some(b"{}"), ..LIST };
    let (signed, _) = case.sign(&plan, &target).unwrap();
    let text = signed.headers.iter().find(|(name, _)| *name == AUTHORIZATION).unwrap().1.to_str().unwrap();
    assert!(text.contains("SignedHeaders=content-type;host;x-amz-date,"), "{text}");
}

#[test]
fn a_body_that_nothing_is_said_of_is_needed_and_one_for_s3_streams_unsigned() {
    let headers = HeaderMap::new();
    let plan = |host| Plan::of(&headers, &"/key".parse().unwrap(), host, &Defaults::default()).unwrap();
    assert_eq!(plan("sqs.us-east-1.amazonaws.com").body(), Body::Whole);
    assert_eq!(plan("bucket.s3.eu-west-1.amazonaws.com").body(), Body::Streamed);
    let lacking = Case { host: "sqs.us-east-1.amazonaws.com", scope: ("us-east-1", "sqs"), ..LIST };
    assert!(refused(&lacking).contains("the body was not kept"));
    assert_eq!(LIST.in_header().header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
}

#[test]
fn payloads_that_cannot_be_signed_anew_are_refused() {
    let stated = |word| refused(&Case { headers: &[("x-amz-content-sha256", word)], ..LIST });
    assert!(stated("STREAMING-AWS4-HMAC-SHA256-EVENTS").contains("event stream"));
    assert!(stated("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD").contains("SigV4A"));
    assert!(stated("STREAMING-AWS4-HMAC-SHA256-PAYLOADS").contains("x-amz-content-sha256 is"));
    assert!(stated(&NOTHING.replace('0', "A")).contains("lower-case hex"));
    assert!(refused(&Case { headers: &[("x-amz-s3session-token", "t")], ..LIST }).contains("directory bucket"));
    let twice = Case { headers: &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("x-amz-content-sha256", NOTHING)], ..LIST };
    assert!(refused(&twice).contains("UNSIGNED-PAYLOAD, 000"));
    let chunks = Case { headers: &[("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")], ..LIST };
    let plan = Plan::of(&chunks.header_map(), &chunks.presigned_target(60), chunks.host, &Defaults::default());
    assert!(matches!(plan, Err(Error::PresignedChunks)));
}

#[test]
fn i1_keys_that_cannot_sign_are_refused_without_showing_them() {
    for (id, secret, token, named) in [
        ("", "wJalr", None, "access key id"),
        ("AK/IA", "wJalr", None, "access key id"),
        ("AKIA, Credential=x", "wJalr", None, "access key id"),
        ("AKIA", "", None, "secret access key"),
        ("AKIA", "wJalr\n", None, "secret access key"),
        ("AKIA", "wJalr", Some("wJalr\r\nx: y"), "session token"),
    ] {
        let text = refused(&Case { keys: (id, secret, token), ..LIST });
        assert!(text.contains(named) && text.contains("register"), "{text}");
    }
}

#[test]
fn i1_a_signature_shows_no_secret() {
    let case = Case { keys: (EXAMPLE.0, EXAMPLE.1, Some("TOKENTOKEN")), ..LIST };
    let (plan, signing) = (case.plan_in_header().unwrap(), case.in_header());
    let shown = format!("{plan:?} {:?}", signing.signed.headers);
    assert!(!shown.contains("TOKENTOKEN") && !shown.contains(EXAMPLE.1) && !shown.contains(signing.signature()), "{shown}");
}

/// Keeps what is logged at the finest level.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn i1_the_signer_logs_nothing_even_where_everything_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("trace"))
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::trace!("the log is on");
        Case { keys: (EXAMPLE.0, EXAMPLE.1, Some("TOKENTOKEN")), ..LIST }.in_query(60);
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("the log is on") && !text.contains("TOKENTOKEN") && !text.contains("canonical"), "{text}");
}

#[test]
fn i7_no_target_and_no_header_makes_the_signer_panic() {
    let long = format!("/?q={}", "(".repeat(40_000));
    assert!(refused(&Case { target: &long, ..LIST }).contains("too long"));
    let deep = format!("/{}", "(".repeat(40_000));
    assert!(
        refused(&Case {
            target: &deep,
            host: "sqs.us-east-1.amazonaws.com",
            scope: ("us-east-1", "sqs"),
            body: Some(b""),
            ..LIST
        })
        .contains("too long")
    );
    let many = format!("/?{}", "&".repeat(60_000));
    assert!(refused(&Case { target: &many, ..LIST }).contains("too long"));
    assert!(refused(&Case { target: "/?q=%ff", ..LIST }).contains("UTF-8"));
    assert!(refused(&Case { time: 300_000_000_000, ..LIST }).contains("clock"));
    // As long as it may get, with the longest growth.
    let most = format!("/{}?q={}", "(".repeat(9_000), "(".repeat(9_000));
    Case { target: &most, ..LIST }.in_header();
    Case { target: &most, ..LIST }.in_query(60);
    Case { target: "*", host: "h.amazonaws.com", scope: ("us-east-1", "h"), body: Some(b""), ..LIST }.in_header();
}

#[test]
fn a_header_that_is_not_text_is_refused_where_it_would_be_signed() {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-meta-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    let plan = LIST.plan_in_header().unwrap();
    let secret = Secret::new(EXAMPLE.1.to_owned());
    let keys = Keys { access_key_id: EXAMPLE.0, secret_access_key: &secret, session_token: None };
    let target = "/".parse().unwrap();
    let mut unsigned = Unsigned {
        method: &Method::GET,
        host: LIST.host,
        target: &target,
        headers: &headers,
        body: None,
        time: SystemTime::now(),
    };
    assert!(matches!(sign(&unsigned, &keys, &plan), Err(Error::HeaderText(name)) if name == "x-amz-meta-name"));
    let left = HeaderMap::from_iter([(HeaderName::from_static("x-amz-security-token"), HeaderValue::from_static("caller's"))]);
    unsigned.headers = &left;
    assert!(matches!(sign(&unsigned, &keys, &plan), Err(Error::LeftOver)));
}

#[test]
fn another_time_makes_another_signature_and_the_same_time_the_same() {
    let (first, again) = (LIST.in_header(), LIST.in_header());
    assert_eq!(first.signature(), again.signature());
    assert_ne!(first.signature(), Case { time: LIST.time + 1, ..LIST }.in_header().signature());
}
