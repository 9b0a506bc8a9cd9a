//! Step 6: the request as the service gets it, and its way there. Injection happens when the head goes out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, EXPECT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};

use super::hold::{Held, Hold};
use super::outbound::Outbound;
use super::put_on::{PutOn, Rewritten, build, bytes_of, rewrite};
use super::replay::{Replay, RequestBody, Resigning};
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::Opened;
use crate::broker::Permit;
use crate::model::{Authority, Scheme};
use crate::provider::InjectError;
use crate::telemetry;
use crate::upstream::{Destination, Error, Sent, Versions};

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
        let put_on = permit.map(PutOn::of);
        let began = Instant::now();
        let outcome = match put_on.as_ref().is_some_and(PutOn::depends_on_the_request) || self.should_hold(sending, permit) {
            // It is rare, and its state is large.
            true => Box::pin(self.send_once(sending, permit)).await,
            false => self.send_as(sending.opened, (sending.outbound, sending.replay, None), put_on.as_ref(), None).await,
        };
        self.count_sent(sending, permit, &outcome, began);
        let Some(why) = outcome.as_ref().err().and_then(|error| sending.again_after(error)) else { return outcome };
        sending.resent.borrow_mut().push(why);
        let began = Instant::now();
        let outcome = Box::pin(self.send_once(sending, permit)).await;
        self.count_sent(sending, permit, &outcome, began);
        outcome
    }

    fn count_sent(
        &self,
        sending: &Sending<'_>,
        permit: Option<&Permit>,
        outcome: &Result<Box<Sent<RequestBody>>, Error>,
        began: Instant,
    ) {
        let target = &sending.outbound.target;
        let what = (telemetry::Method::of(target.method.as_str().as_bytes()), target.scheme == Scheme::Https);
        let provider = permit.map_or("", |permit| permit.provider().id.as_str());
        let status = outcome.as_ref().ok().map(|sent| sent.response.status().as_u16());
        self.recorder.sent(what, provider, status, began.elapsed());
    }

    async fn send_once(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        permit: Option<&Permit>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        match self.should_hold(sending, permit) {
            true => self.send_expecting(sending, permit).await,
            false => self.send_held(sending, permit, None).await,
        }
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
        let put_on = permit.map(PutOn::of);
        match put_on.as_ref().filter(|put_on| put_on.depends_on_the_request()) {
            Some(put_on) => self.send_rewritten(sending, put_on, hold).await,
            None => self.send_as(sending.opened, (sending.outbound, sending.replay, None), put_on.as_ref(), hold).await,
        }
    }

    async fn send_rewritten(
        self: &Rc<Self>,
        sending: &Sending<'_>,
        put_on: &PutOn<'_>,
        hold: Option<&Arc<Hold>>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        let Rewritten { outbound, replay, rechunk, signed } =
            rewrite(sending.outbound, sending.replay, put_on).map_err(unsendable)?;
        sending.signed.set(signed);
        let resigning = rechunk.map(|rechunk| Box::new(Resigning::new(rechunk, self.room(&outbound.agent))));
        self.send_as(sending.opened, (&outbound, replay.as_ref().unwrap_or(sending.replay), resigning), None, hold).await
    }

    async fn send_as(
        self: &Rc<Self>,
        opened: &Opened,
        (outbound, replay, resigning): (&Outbound, &Replay, Option<Box<Resigning>>),
        put_on: Option<&PutOn<'_>>,
        hold: Option<&Arc<Hold>>,
    ) -> Result<Box<Sent<RequestBody>>, Error> {
        tracing::trace!(id = opened.id().as_str(), "a request leaves");
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
