//! Step 6: the request as the service gets it, and its way there. Injection happens when the head goes out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};

use super::content;
use super::hold::{Held, Hold};
use super::replay::{Inflow, Replay, RequestBody, Resigning};
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::Opened;
use crate::broker::Permit;
use crate::model::{Authority, Target};
use crate::provider::{InjectError, InjectRule, Plan, Prepared, Ready, Rechunk, put_signature_on};
use crate::upstream::{Destination, Error, Sent, Versions, Written, request_written, written};

/// A request without any credential: what is sent has one put over it.
pub(super) struct Outbound {
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) agent: Arc<str>,
    /// The request asks for another protocol: HTTP/1.1 it is.
    pub(super) upgrade: bool,
    /// What the caller's own signature said, where it is to be made anew.
    pub(super) plan: Plan,
}

/// What is sent, as often as it takes. No request leaves without `opened`, the proof that the log names it (I8).
pub(super) struct Sending<'a> {
    pub(super) outbound: &'a Outbound,
    /// Who asks: it may be revoked before the second send.
    pub(super) agent: &'a Arc<Agent>,
    pub(super) replay: &'a Replay,
    pub(super) opened: &'a Opened,
    /// Why it went out once more on account of the connection, for the record.
    pub(super) resent: RefCell<Vec<&'static str>>,
    /// Whether the last one was signed.
    pub(super) signed: Cell<bool>,
}

impl<'a> Sending<'a> {
    /// Nothing has been sent yet.
    pub(super) fn new(outbound: &'a Outbound, agent: &'a Arc<Agent>, replay: &'a Replay, opened: &'a Opened) -> Self {
        Self { outbound, agent, replay, opened, resent: RefCell::default(), signed: Cell::default() }
    }

    /// Why a request that met `error` may go out once more: the service did not act on it, or nothing came back and the method is
    /// idempotent (RFC 9110 §9.2.2); and the body is at hand.
    fn again_after(&self, error: &Error) -> Option<&'static str> {
        match error {
            _ if !self.replay.repeatable() => None,
            Error::Unprocessed { why, .. } => Some(why),
            Error::Stale { .. } if self.outbound.target.method.is_idempotent() => Some("stale_connection"),
            _ => None,
        }
    }
}

/// Hosts that kept silent while a body was held for their word, and until when they are not waited for again.
#[derive(Debug, Default)]
pub(super) struct Expectations(RefCell<HashMap<Authority, Instant>>);

/// A host that was asked for a 100 knows none.
const KNOWS_NO_100: Duration = Duration::from_secs(600);
/// Over HTTP/2 silence says nothing about the host: it is only kept from costing each upload the wait.
const SILENT: Duration = Duration::from_secs(60);
const REMEMBERED: usize = 10_000;
/// A larger body goes out while the service's answer is listened for.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

impl Expectations {
    fn worthwhile(&self, authority: &Authority) -> bool {
        self.0.borrow().get(authority).is_none_or(|until| *until < Instant::now())
    }

    fn ignored(&self, authority: &Authority, span: Duration) {
        let mut hosts = self.0.borrow_mut();
        if hosts.len() < REMEMBERED {
            hosts.insert(authority.clone(), Instant::now() + span);
        }
    }

    /// Forgets what is old.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.0.borrow_mut().retain(|_authority, until| *until > now);
    }
}

impl Worker {
    /// Sends with the credential of `permit`.
    ///
    /// A request that met a dead or a closing connection is sent once more on another one where that is safe.
    pub(super) async fn forward(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        permit: Option<&Permit>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        let outcome = self.send_once(sending, permit).await;
        let Some(why) = outcome.as_ref().err().and_then(|error| sending.again_after(error)) else { return outcome };
        sending.resent.borrow_mut().push(why);
        Box::pin(self.send_once(sending, permit)).await
    }

    async fn send_once(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        permit: Option<&Permit>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        if self.should_hold(sending, permit) {
            return Box::pin(self.send_expecting(sending, permit)).await;
        }
        self.send_held(sending, permit, None).await
    }

    async fn send_expecting(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        permit: Option<&Permit>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        let hold = Arc::<Hold>::default();
        let sent = self.send_held(sending, permit, Some(&hold)).await?;
        hold.answered();
        let status = sent.response.status();
        // RFC 9110 §15.5.18: it does not do expectations. Nothing of the body is gone yet.
        if status == StatusCode::EXPECTATION_FAILED && sending.replay.repeatable() {
            self.expectations.ignored(&sending.outbound.target.authority, KNOWS_NO_100);
            sending.resent.borrow_mut().push("expectation_failed");
            return self.send_held(sending, permit, None).await;
        }
        // Refused for what the head says: the body stays here, for the second send or until the answer has ended (RFC 9110 §10.1.1).
        if !(status.is_client_error() || status.is_server_error()) {
            hold.release();
        }
        Ok(sent)
    }

    async fn send_held(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        permit: Option<&Permit>,
        hold: Option<&Arc<Hold>>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        tracing::trace!(id = sending.opened.id().as_str(), "a request leaves");
        let put_on = permit.map(PutOn::of);
        match put_on.as_ref().filter(|put_on| put_on.prepared.depends_on_the_request()) {
            // Its state is large, and few have it.
            Some(put_on) => Box::pin(self.send_rewritten(sending, put_on, hold)).await,
            None => self.send_as((sending.outbound, sending.replay, None), put_on.as_ref(), hold).await,
        }
    }

    async fn send_rewritten(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        put_on: &PutOn<'_>,
        hold: Option<&Arc<Hold>>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        let Rewritten { outbound, replay, rechunk } = rewrite(sending, put_on).map_err(unsendable)?;
        let resigning = rechunk.map(|rechunk| Box::new(Resigning::new(rechunk, self.room(&outbound.agent))));
        self.send_as((&outbound, replay.as_ref().unwrap_or(sending.replay), resigning), None, hold).await
    }

    async fn send_as(
        self: &Rc<Self>,
        (outbound, replay, resigning): (&Outbound, &Replay, Option<Box<Resigning>>),
        put_on: Option<&PutOn<'_>>,
        hold: Option<&Arc<Hold>>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        let at_once = |whole: &&Bytes| whole.len() <= WRITTEN_AT_ONCE;
        let to = Destination {
            scheme: outbound.target.scheme,
            authority: &outbound.target.authority,
            versions: if outbound.upgrade { Versions::Http1 } else { Versions::Any },
            agent: &outbound.agent,
            progress: replay.progress(),
            head_method: outbound.target.method == Method::HEAD,
            upgrade: outbound.upgrade,
            whole: replay.whole().filter(at_once),
            on_http2: &|| hold.into_iter().for_each(|hold| hold.only_at_limit()),
        };
        let at_hand = replay.at_hand().filter(at_once);
        let mut sent = match at_hand.and_then(|whole| self.pool.claim(&to).map(|connection| (connection, whole))) {
            Some((connection, whole)) => match bytes_of(outbound, put_on, whole) {
                Ok(bytes) => Box::pin(self.pool.send_claimed(&to, connection, &bytes)).await?,
                Err(error) => {
                    self.pool.give_back(connection);
                    return Err(unsendable(error));
                }
            },
            // Its state is large, and most find a connection.
            None => Box::pin(self.send_by_engine(&to, (outbound, replay, resigning), put_on, hold)).await?,
        };
        if authenticates_connection(&outbound.headers, sent.response.headers()) {
            sent.lease.retire();
            sent.response.body_mut().retire();
        }
        Ok(sent)
    }

    async fn send_by_engine(
        self: &Rc<Self>,
        to: &Destination<'_>,
        (outbound, replay, resigning): (&Outbound, &Replay, Option<Box<Resigning>>),
        put_on: Option<&PutOn<'_>>,
        hold: Option<&Arc<Hold>>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        let held = hold.map(|hold| self.held(hold, &outbound.target.authority));
        let body = replay.body(held).ok_or_else(|| gone(&outbound.target.authority))?.signed_by(resigning);
        let mut request = build(outbound, put_on, body).map_err(unsendable)?;
        if let Some(hold) = hold {
            expect_continue(&mut request, hold);
        }
        self.pool.send(to, &mut Some(request)).await
    }

    /// A body that can't be kept waits for the service's word, so that a 401 costs nothing: from its beginning over HTTP/1.1, where
    /// `Expect` asks for that word; where it would no longer be kept over HTTP/2.
    fn should_hold(&self, sending: &Sending<'_>, permit: Option<&Permit>) -> bool {
        let &Sending { outbound, replay, .. } = sending;
        permit.is_some()
            && replay.whole().is_none()
            && !replay.is_empty()
            && replay.exceeds_limit()
            && self.expectations.worthwhile(&outbound.target.authority)
    }

    /// A reader's end of `hold`: a host that keeps silent for too long is remembered.
    fn held(self: &Rc<Self>, hold: &Arc<Hold>, authority: &Authority) -> Held {
        let (worker, authority, asked) = (Rc::clone(self), authority.clone(), Arc::clone(hold));
        let silent = move || {
            let span = if asked.is_at_limit() { SILENT } else { KNOWS_NO_100 };
            worker.expectations.ignored(&authority, span);
        };
        Held::new(Arc::clone(hold), self.proxy.settings.expect_timeout, Box::new(silent))
    }
}

fn unsendable(cause: InjectError) -> Error {
    Error::Unsendable { cause: Box::new(cause) }
}

fn gone(authority: &Authority) -> Error {
    Error::Unreachable { authority: authority.clone(), cause: std::io::ErrorKind::BrokenPipe.into() }
}

/// RFC 9110 §10.1.1.
fn expect_continue(request: &mut Request<RequestBody>, hold: &Arc<Hold>) {
    request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
    let released = Arc::clone(hold);
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            released.release();
        }
    });
}

/// NTLM and Negotiate authenticate the connection, not the request (RFC 4559 §6): whoever came next on it would be taken for the
/// one before (I6).
fn authenticates_connection(request: &HeaderMap, response: &HeaderMap) -> bool {
    let bound = |value: &HeaderValue| {
        let mut words = value.as_bytes().split(|byte| matches!(byte, b' ' | b',')).map(<[u8]>::trim_ascii);
        words.any(|word| word.eq_ignore_ascii_case(b"ntlm") || word.eq_ignore_ascii_case(b"negotiate"))
    };
    request.get_all(AUTHORIZATION).iter().chain(response.get_all(WWW_AUTHENTICATE)).any(bound)
}

/// What goes onto a request: a credential, and the fields that its rule insists on where the caller sent none.
struct PutOn<'a> {
    prepared: &'a Prepared,
    rule: Option<&'a InjectRule>,
}

impl<'a> PutOn<'a> {
    fn of(permit: &'a Permit) -> Self {
        Self { prepared: permit.prepared(), rule: permit.provider().inject.get(permit.rule()) }
    }
}

/// A request with its credential where fields that are always the same can't hold it.
struct Rewritten {
    outbound: Outbound,
    /// Another body than the caller's.
    replay: Option<Replay>,
    /// What signs the pieces of the caller's.
    rechunk: Option<Rechunk>,
}

/// Puts the credential into the body, and the signature on. A body that changes as a whole is at hand.
fn rewrite(sending: &Sending<'_>, put_on: &PutOn<'_>) -> Result<Rewritten, InjectError> {
    let (Sending { outbound, replay, .. }, prepared) = (sending, put_on.prepared);
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
    sending.signed.set(!signed.headers.is_empty());
    put_signature_on(signed, &mut headers, &mut path);
    if let (Some(whole), Some(chunks)) = (&whole, &mut rechunk) {
        changed = Some(chunks.all(whole).map_err(|error| InjectError::Sign(Box::new(error)))?);
        rechunk = None;
    }
    let target = Target { scheme: *scheme, authority: authority.clone(), method: method.clone(), path };
    let outbound =
        Outbound { target, headers, agent: Arc::clone(&outbound.agent), upgrade: outbound.upgrade, plan: Plan::default() };
    let replay = changed.map(|body| Replay::keep(Inflow::Whole(body), usize::MAX, None));
    Ok(Rewritten { outbound, replay, rechunk })
}

/// Parts to a request in origin-form with `Host`; the pool turns it into HTTP/2's form where that is spoken.
fn build<B>(outbound: &Outbound, put_on: Option<&PutOn<'_>>, body: B) -> Result<Request<B>, InjectError> {
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
fn bytes_of(outbound: &Outbound, put_on: Option<&PutOn<'_>>, whole: &Bytes) -> Result<Written, InjectError> {
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

/// `Host` as it is written on the wire: no default port.
pub(super) fn host_value(target: &Target) -> Option<HeaderValue> {
    HeaderValue::from_str(&target.authority.as_written(target.scheme)).ok()
}

/// Sets `Host`, keeping its place in the order if it has one.
pub(super) fn set_host(headers: &mut HeaderMap, target: &Target) {
    // Nearly always it is there already, as it has to be.
    let mut said = headers.get_all(HOST).iter();
    let plain = said.next().is_some_and(|host| target.authority.is_plainly(target.scheme, host.as_bytes()));
    if plain && said.next().is_none() {
        return;
    }
    if let Some(value) = host_value(target) {
        headers.insert(HOST, value);
    }
}

#[cfg(test)]
mod tests {
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
