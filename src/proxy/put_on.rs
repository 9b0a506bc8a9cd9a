//! A request with its credential: as the engine takes it, as it is written on the wire, or made anew where the body or a signature has it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Uri, Version};

use super::content;
use super::outbound::Outbound;
use super::replay::{Inflow, Replay};
use crate::broker::Permit;
use crate::model::Target;
use crate::provider::{InjectError, InjectRule, Plan, Prepared, Ready, Rechunk, put_signature_on};
use crate::upstream::{Written, request_written, written};

/// What goes onto a request: a credential, and the fields that its rule insists on where the caller sent none.
pub(super) struct PutOn<'a> {
    prepared: &'a Prepared,
    rule: Option<&'a InjectRule>,
}

impl<'a> PutOn<'a> {
    pub(super) fn of(permit: &'a Permit) -> Self {
        Self { prepared: permit.prepared(), rule: permit.provider().inject.get(permit.rule()) }
    }

    /// Whether it is made anew for each request.
    pub(super) fn depends_on_the_request(&self) -> bool {
        self.prepared.depends_on_the_request()
    }
}

/// A request with its credential where fields that are always the same can't hold it.
pub(super) struct Rewritten {
    pub(super) outbound: Outbound,
    /// Another body than the caller's.
    pub(super) replay: Option<Replay>,
    /// What signs the pieces of the caller's.
    pub(super) rechunk: Option<Rechunk>,
    /// Whether it bears a signature.
    pub(super) signed: bool,
}

/// Puts the credential into the body, and the signature on. A body that changes as a whole is at hand.
pub(super) fn rewrite(outbound: &Outbound, replay: &Replay, put_on: &PutOn<'_>) -> Result<Rewritten, InjectError> {
    let prepared = put_on.prepared;
    let mut request = build(outbound, Some(put_on), ())?;
    let mut headers = std::mem::take(request.headers_mut());
    let Target { scheme, authority, method, path } = &outbound.target;
    let mut path = request.uri().path_and_query().unwrap_or(path).clone();
    let mut changed = replay.whole().map(|whole| prepared.body(&headers, whole)).transpose()?.flatten().map(content::owned);
    if let Some(body) = &changed {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let whole = changed.clone().or_else(|| replay.whole().cloned());
    let (host, body) = (authority.as_written(*scheme), whole.as_deref());
    let ready = Ready { method, scheme: *scheme, host: &host, target: &path, headers: &headers, body };
    let (signed, mut rechunk) = prepared.sign(&ready, &outbound.plan)?;
    let is_signed = !signed.headers.is_empty();
    put_signature_on(signed, &mut headers, &mut path);
    if let (Some(whole), Some(chunks)) = (&whole, &mut rechunk) {
        changed = Some(chunks.all(whole).map_err(|error| InjectError::Sign(Box::new(error)))?);
        rechunk = None;
    }
    let target = Target { scheme: *scheme, authority: authority.clone(), method: method.clone(), path };
    let outbound =
        Outbound { target, headers, agent: Arc::clone(&outbound.agent), upgrade: outbound.upgrade, plan: Plan::default() };
    let replay = changed.map(|body| Replay::keep(Inflow::Whole(body), usize::MAX, None));
    Ok(Rewritten { outbound, replay, rechunk, signed: is_signed })
}

/// Parts to a request in origin-form with `Host`; the pool turns it into HTTP/2's form where that is spoken.
pub(super) fn build<B>(outbound: &Outbound, put_on: Option<&PutOn<'_>>, body: B) -> Result<Request<B>, InjectError> {
    let mut headers = outbound.headers.clone();
    let mut path = outbound.target.path.clone();
    if let Some(PutOn { prepared, rule }) = put_on {
        if let Some(rule) = rule {
            rule.add_headers(&mut headers);
        }
        prepared.apply(&mut headers, &mut path)?;
    }
    let mut request = Request::new(body);
    *request.method_mut() = outbound.target.method.clone();
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok(request)
}

/// What [`build`] makes, as it is written on the wire with the body `whole`; nearly always without a copy of the fields.
pub(super) fn bytes_of(outbound: &Outbound, put_on: Option<&PutOn<'_>>, whole: &Bytes) -> Result<Written, InjectError> {
    let Target { method, path, .. } = &outbound.target;
    let Some(PutOn { prepared, rule }) = put_on else {
        return Ok(written(method, path.as_str(), || outbound.headers.iter(), whole));
    };
    let required = rule.map(|rule| rule.headers.as_slice()).unwrap_or_default();
    let overlay = || prepared.overlay(&outbound.headers, required);
    if overlay().is_none() {
        let request = build(outbound, put_on, ())?;
        return Ok(request_written(&request, whole));
    }
    Ok(written(method, prepared.target(path)?.as_str(), || overlay().into_iter().flatten(), whole))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::model::{Credential, Scheme, Secret};
    use crate::provider::{Provider, parse, prepare};

    fn provider(strategy: &str) -> Provider {
        let text = format!(
            r#"
name = "acme"
title = "Acme"
slots = ["authorization", "x-key", "query:key", "cookie:session"]
[[inject]]
hosts = ["api.acme.test"]
headers = {{ "x-version" = "2", "accept" = "a/b" }}
strategy = {strategy}
"#
        );
        parse("acme.toml", &text).expect("a provider")
    }

    fn outbound(path: &str, fields: &[(&'static str, &'static str)]) -> Outbound {
        let target = Target {
            scheme: Scheme::Https,
            authority: "api.acme.test:443".parse().expect("an authority"),
            method: Method::POST,
            path: path.parse().expect("a path"),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Outbound { target, headers, agent: "a".into(), upgrade: false, plan: Plan::default() }
    }

    #[test]
    fn i2_what_is_written_without_a_copy_is_what_the_engine_would_be_given() {
        let strategies = [
            r#"{ bearer = "{api_key}" }"#,
            r#"{ header = { name = "x-key", value = "{api_key}" } }"#,
            r#"[{ header = { name = "x-key", value = "{api_key}" } }, { bearer = "{api_key}" }]"#,
            r#"{ query = { name = "key", value = "{api_key}" } }"#,
            r#"{ cookie = { name = "session", value = "{api_key}" } }"#,
        ];
        let fields: [&[(&str, &str)]; 4] = [
            &[("host", "api.acme.test"), ("x-a", "1"), ("x-b", "2"), ("x-a", "3")],
            &[("accept", "c/d"), ("content-length", "4"), ("cookie", "a=1; b=2")],
            // Nothing of the kind gets this far; were it to, it would go.
            &[("authorization", "Bearer theirs"), ("x-key", "theirs"), ("authorization", "Basic theirs")],
            &[],
        ];
        let mut credential = Credential::default();
        credential.set("api_key", Secret::new("sk-0123456789/+=".to_owned()));
        for strategy in strategies {
            let provider = provider(strategy);
            let rule = provider.inject.first().expect("a rule");
            let prepared = prepare(&rule.placements, &|name| credential.field(name)).expect("sendable").expect("all fields");
            for (fields, path) in
                fields.iter().flat_map(|fields| ["/", "/a?b=c&key=theirs&d", "/a?key="].map(|path| (fields, path)))
            {
                let outbound = outbound(path, fields);
                for put_on in [
                    None,
                    Some(PutOn { prepared: &prepared, rule: Some(rule) }),
                    Some(PutOn { prepared: &prepared, rule: None }),
                ] {
                    for whole in [Bytes::new(), Bytes::from_static(b"body")] {
                        let bytes = bytes_of(&outbound, put_on.as_ref(), &whole).expect("sendable");
                        let request = build(&outbound, put_on.as_ref(), ()).expect("sendable");
                        assert_eq!(lines(&bytes), lines(&request_written(&request, &whole)), "{strategy} {path} {fields:?}");
                    }
                }
            }
        }
    }

    /// The order of different fields says nothing (RFC 9110 §5.3).
    fn lines(bytes: &[u8]) -> (String, Vec<String>) {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines: Vec<String> = head.lines().map(ToOwned::to_owned).collect();
        lines[1..].sort_by_key(|line| line.split(':').next().map(ToOwned::to_owned));
        (body.to_owned(), lines)
    }
}
