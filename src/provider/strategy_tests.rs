//! Tests of `strategy`: what goes on the wire, and what never leaks on the way.

use std::collections::BTreeMap;

use proptest::prelude::*;

use http::header::{HeaderMap, HeaderValue};
use http::uri::PathAndQuery;

use super::super::prepared::{Prepared, prepare};
use super::*;

fn template(text: &str) -> Template {
    text.parse().expect("a template")
}

fn with(placements: &[Placement], pairs: &[(&str, &str)]) -> Result<Option<Prepared>, InjectError> {
    let fields: BTreeMap<String, Secret<String>> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect();
    prepare(placements, &|name| fields.get(name))
}

fn sent(placement: Placement, pairs: &[(&str, &str)]) -> (HeaderMap, String) {
    let prepared = with(&[placement], pairs).expect("prepares").expect("has its fields");
    let (mut headers, mut target) = (HeaderMap::new(), PathAndQuery::from_static("/v1?a=1"));
    headers.insert("authorization", HeaderValue::from_static("mine"));
    headers.insert("cookie", HeaderValue::from_static("a=1; s=mine"));
    prepared.apply(&mut headers, &mut target).expect("applies");
    (headers, target.to_string())
}

fn basic(username: &str, password: &str) -> Placement {
    Placement::Basic { username: template(username), password: template(password) }
}

fn header(value: &str) -> Placement {
    Placement::Header { name: HeaderName::from_static("x-api-key"), value: template(value) }
}

#[test]
fn bearer_replaces_what_was_there() {
    let (headers, target) = sent(Placement::Bearer(template("{access_token|api_key}")), &[("api_key", "k")]);
    assert_eq!(headers.get_all("authorization").iter().collect::<Vec<_>>(), ["Bearer k"]);
    assert_eq!(target, "/v1?a=1");
}

#[test]
fn basic_is_utf8_and_may_have_an_empty_half() {
    // The example of RFC 7617 §2.1.
    let (headers, _) = sent(basic("{username}", "{password}"), &[("username", "test"), ("password", "123\u{a3}")]);
    assert_eq!(headers["authorization"], "Basic dGVzdDoxMjPCow==");
    assert_eq!(sent(basic("{api_key}", ""), &[("api_key", "sk")]).0["authorization"], "Basic c2s6");
    assert_eq!(sent(basic("", "{api_key}"), &[("api_key", "sk")]).0["authorization"], "Basic OnNr");
    assert_eq!(sent(basic("x-access-token", "{t}"), &[("t", "a:b")]).0["authorization"], "Basic eC1hY2Nlc3MtdG9rZW46YTpi");
    assert!(matches!(with(&[basic("{u}", "{p}")], &[("u", "a:b"), ("p", "c")]), Err(InjectError::Colon)));
}

#[test]
fn headers_take_a_raw_value_or_an_odd_scheme_word() {
    assert_eq!(sent(header("{api_key}"), &[("api_key", "k")]).0["x-api-key"], "k");
    assert_eq!(sent(header("Token token={api_key}"), &[("api_key", "k")]).0["x-api-key"], "Token token=k");
}

#[test]
fn a_query_parameter_is_encoded_and_replaces_its_namesakes() {
    let placement = Placement::Query { name: "a".to_owned(), value: template("{api_key}") };
    assert_eq!(sent(placement, &[("api_key", "k/+& =é")]).1, "/v1?a=k%2F%2B%26%20%3D%C3%A9");
    let placement = Placement::Query { name: "key".to_owned(), value: template("{api_key}") };
    assert_eq!(sent(placement, &[("api_key", "k")]).1, "/v1?a=1&key=k");
}

#[test]
fn a_cookie_joins_the_others() {
    let placement = || Placement::Cookie { name: "s".to_owned(), value: template("{session}") };
    let (headers, _) = sent(placement(), &[("session", "k")]);
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; s=k"]);
    for bad in ["a;b", "a,b", "a b", "a\"b", "a\\b", "é"] {
        assert!(matches!(with(&[placement()], &[("session", bad)]), Err(InjectError::Character { .. })), "{bad}");
    }
}

#[test]
fn several_placements_go_on_together_or_not_at_all() {
    let both = [Placement::Bearer(template("{access_token}")), header("{api_key}")];
    let prepared = with(&both, &[("access_token", "t"), ("api_key", "k")]).expect("prepares").expect("has its fields");
    assert_eq!(prepared.headers.len(), 2);
    assert!(with(&both, &[("access_token", "t")]).expect("lacks a field").is_none());
    assert!(with(&both, &[("access_token", "t"), ("api_key", "")]).expect("an empty field is none").is_none());
}

#[test]
fn i4_control_bytes_in_a_credential_are_refused_by_field_name() {
    let placements = [
        Placement::Bearer(template("{f}")),
        basic("u", "{f}"),
        basic("{f}", ""),
        header("{f}"),
        Placement::Query { name: "q".to_owned(), value: template("{f}") },
        Placement::Cookie { name: "c".to_owned(), value: template("{f}") },
    ];
    for value in ["s3cret\r\nx: y", "s3cret\n", "\0s3cret", "s3cret\u{7f}", "s3cret\t", "s3\u{85}cret"] {
        for placement in &placements {
            let error = with(std::slice::from_ref(placement), &[("f", value)]).expect_err("a control byte");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("f holds") && !shown.contains("s3"), "{shown}");
        }
    }
    for value in [" s3cret", "s3cret ", "s3cret\u{e9}"] {
        let error = with(&[header("{f}")], &[("f", value)]).expect_err("an odd character").to_string();
        assert!(error.starts_with("f holds") && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn i1_nothing_that_is_prepared_prints_its_secret() {
    let placements = [
        Placement::Bearer(template("{f}")),
        header("{f}"),
        Placement::Query { name: "q".to_owned(), value: template("{f}") },
        Placement::Cookie { name: "c".to_owned(), value: template("{f}") },
    ];
    let prepared = with(&placements, &[("f", "s3cret")]).expect("prepares").expect("has its fields");
    let (mut headers, mut target) = (HeaderMap::new(), PathAndQuery::from_static("/"));
    prepared.apply(&mut headers, &mut target).expect("applies");
    let shown = format!("{prepared:?} {headers:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(headers.values().all(HeaderValue::is_sensitive));
}

#[test]
fn i1_the_guard_learns_secrets_and_blobs_but_no_user_names() {
    let secrets = |placement: Placement, pairs: &[(&str, &str)]| -> Vec<String> {
        let prepared = with(&[placement], pairs).expect("prepares").expect("has its fields");
        prepared.secrets().iter().map(|secret| secret.expose().clone()).collect()
    };
    assert_eq!(secrets(basic("{u}", "{p}"), &[("u", "me"), ("p", "pw")]), ["pw", "bWU6cHc="]);
    assert_eq!(secrets(basic("{u}", ""), &[("u", "sk")]), ["sk", "c2s6"]);
    assert_eq!(secrets(Placement::Bearer(template("{t}")), &[("t", "tok")]), ["tok"]);
}

#[test]
fn a_target_without_room_is_an_error() {
    let prepared = with(&[Placement::Query { name: "q".to_owned(), value: template("{f}") }], &[("f", &"a".repeat(70_000))]);
    let prepared = prepared.expect("prepares").expect("has its fields");
    let mut target = PathAndQuery::from_static("/");
    assert!(matches!(prepared.apply(&mut HeaderMap::new(), &mut target), Err(InjectError::Target(_))));
    assert_eq!(target.as_str(), "/");
}

proptest! {
    #[test]
    fn i4_any_credential_gives_one_header_or_an_error(value in "\\PC{0,20}|[ -~\\r\\n\\t]{0,20}") {
        for placement in [Placement::Bearer(template("{f}")), basic("u", "{f}"), Placement::Query { name: "q".to_owned(), value: template("{f}") }] {
            let Ok(Some(prepared)) = with(&[placement], &[("f", &value)]) else { continue };
            let (mut headers, mut target) = (HeaderMap::new(), PathAndQuery::from_static("/p?a=1"));
            prepared.apply(&mut headers, &mut target).expect("applies");
            prop_assert!(headers.len() <= 1 && target.path() == "/p");
            prop_assert!(target.query().is_some_and(|query| query.matches(['&', ';', '#']).count() <= 1));
        }
    }
}
