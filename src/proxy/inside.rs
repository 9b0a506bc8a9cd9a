//! Requests on one stream: hyper's server on either version, one exchange per request, and the end of idle streams.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::activity::{self, Activity, Busy};
use super::body::ResponseBody;
use super::door::Door;
use super::exchange::{Answer, Asked};
use super::refusal::Refusal;
use super::upgrade::{self, Relay};
use super::worker::Worker;
use crate::audit::Kind;
use crate::head::{Gate, Malformed, Metered, Verdict, check_h2_request};
use crate::local::LocalExecutor;

/// The engine's own bound of a head is this at least; past it there is no answer of ours.
const LEAST_LIST: u32 = 256 * 1024;
/// A TLS close or the like may take this long.
pub(super) const GOODBYE: Duration = Duration::from_secs(1);
/// How long requests go on whose agent was revoked.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often a stream is looked at whose requests may come from agents that end.
const LOOK_AT_STRANGERS: Duration = Duration::from_millis(900);

/// What the requests of one stream share.
struct Stream {
    door: Door,
    verdict: Option<Arc<Verdict>>,
    requests: Cell<u64>,
    relay: RefCell<Option<Relay>>,
    activity: Rc<Activity>,
}

impl Stream {
    fn new(door: Door, verdict: Option<Arc<Verdict>>) -> Rc<Self> {
        Rc::new(Self { door, verdict, requests: Cell::new(0), relay: RefCell::new(None), activity: Activity::new() })
    }

    /// The malformed head that this request stands for, if it does.
    fn malformed(&self) -> Option<Malformed> {
        self.requests.set(self.requests.get() + 1);
        self.verdict.as_ref()?.malformed_at(self.requests.get())
    }

    fn head_late(&self, limit: Duration) -> bool {
        self.verdict.as_ref().and_then(|verdict| verdict.incomplete_since()).is_some_and(|since| since.elapsed() > limit)
    }
}

impl Worker {
    /// Serves HTTP/1.1 behind the gate until the stream ends or becomes something else.
    pub(super) async fn http1<S>(self: &Rc<Self>, stream: S, buffer: BytesMut, door: Door)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (gate, verdict) = Gate::requests(stream, buffer, self.proxy.settings.head);
        let stream = Stream::new(door, Some(verdict));
        let service = {
            let (worker, stream) = (Rc::clone(self), Rc::clone(&stream));
            service_fn(move |request| {
                let (worker, stream, asked) = (Rc::clone(&worker), Rc::clone(&stream), Asked::new(request));
                // On the heap while it lasts: an idle stream holds no exchange.
                Box::pin(async move { Ok::<_, Infallible>(worker.serve_http1(&stream, asked).await) })
            })
        };
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(None).auto_date_header(false);
        let mut connection = builder.serve_connection(TokioIo::new(gate), service);
        let driven = Driven {
            poll: |context: &mut Context<'_>, shut: bool| {
                if shut {
                    Pin::new(&mut connection).graceful_shutdown();
                }
                connection.poll_without_shutdown(context).map_err(drop)
            },
        };
        if self.drive(driven, &stream).await.is_err() {
            return;
        }
        let parts = connection.into_parts();
        let relay = stream.relay.borrow_mut().take();
        let mut gate = parts.io.into_inner();
        match relay {
            Some(relay) => Box::pin(self.relay(gate, BytesMut::from(parts.read_buf), relay)).await,
            None => drop(tokio::time::timeout(GOODBYE, gate.shutdown()).await),
        }
    }

    /// Serves HTTP/2 until the stream ends.
    pub(super) async fn http2<S>(self: &Rc<Self>, stream: S, door: Door)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let shared = Stream::new(door, None);
        let service = {
            let (worker, stream) = (Rc::clone(self), Rc::clone(&shared));
            service_fn(move |request| {
                let (worker, stream) = (Rc::clone(&worker), Rc::clone(&stream));
                async move { Ok::<_, Infallible>(worker.serve_http2(&stream, request).await) }
            })
        };
        let connection = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.proxy.settings.http2_streams)
            // Above our own bound, so that it is we who say what is wrong.
            .max_header_list_size(self.proxy.settings.head.head.saturating_mul(4).max(LEAST_LIST))
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_send_buf_size(256 * 1024)
            .keep_alive_interval(Duration::from_secs(60))
            .keep_alive_timeout(Duration::from_secs(20))
            .auto_date_header(false)
            .enable_connect_protocol()
            .serve_connection(TokioIo::new(Metered::requests(stream)), service);
        let mut connection = std::pin::pin!(connection);
        let driven = Driven {
            poll: |context: &mut Context<'_>, shut: bool| {
                if shut {
                    connection.as_mut().graceful_shutdown();
                }
                connection.as_mut().poll(context).map_err(drop)
            },
        };
        if self.drive(driven, &shared).await.is_err() {
            tracing::debug!("an HTTP/2 stream broke off");
        }
    }

    /// Runs a connection, ends it when it has been idle too long or its caller takes nothing of what it asked for, lets it finish when the proxy drains.
    async fn drive<P>(&self, mut driven: Driven<P>, stream: &Stream) -> Result<(), ()>
    where
        P: FnMut(&mut Context<'_>, bool) -> Poll<Result<(), ()>>,
    {
        let (mut draining, mut agents) = (self.proxy.draining.clone(), self.proxy.agents.changes());
        let mut shut = *draining.borrow();
        let settings = &self.proxy.settings;
        let look = activity::look(settings);
        loop {
            let poll = std::future::poll_fn(|context| (driven.poll)(context, std::mem::take(&mut shut)));
            tokio::select! {
                outcome = poll => return outcome,
                changed = agents.changed() => {
                    // Whoever may not act any more is looked at soon.
                    if changed.is_err() {
                        return Err(());
                    }
                }
                () = tokio::time::sleep(self.next_look(&stream.door, look)) => {
                    let idle = stream.activity.idle_for();
                    shut = idle > settings.keep_alive;
                    if stream.activity.is_busy() && self.revoked(&stream.door) {
                        stream.activity.agent_revoked();
                        return Err(());
                    }
                    let unread = idle > settings.keep_alive + 2 * look || stream.activity.stalled_for() > settings.idle_timeout + look;
                    if unread || stream.head_late(settings.head_timeout) {
                        return Err(());
                    }
                }
                changed = draining.changed() => {
                    if changed.is_err() {
                        return Err(());
                    }
                    shut = true;
                }
            }
        }
    }

    /// A response that has no end, such as a stream of events, ends with its agent.
    pub(super) fn revoked(&self, door: &Door) -> bool {
        door.agent().is_some_and(|agent| !self.proxy.still_known(&agent))
    }

    /// Streams are looked at every `look`, when the time of their agent is up, and a moment after it was revoked: what is refused for
    /// that is told in this moment.
    pub(super) fn next_look(&self, door: &Door, look: Duration) -> Duration {
        if self.revoked(door) {
            return look.min(LAST_WORDS);
        }
        let left = match door {
            Door::Inside(inside) => inside.agent.as_ref().and_then(|agent| agent.time_left(SystemTime::now())),
            // Whose request comes next is not known yet.
            Door::Open(_) => self.proxy.agents.any_ends().then_some(LOOK_AT_STRANGERS),
        };
        left.filter(|left| !left.is_zero()).map_or(look, |left| left.min(look))
    }

    async fn serve_http1(self: &Rc<Self>, stream: &Rc<Stream>, mut asked: Box<Asked>) -> Response<ResponseBody> {
        if let Some(malformed) = stream.malformed() {
            return self.refuse_malformed(&stream.door, malformed);
        }
        let number = stream.requests.get();
        let answer = self.exchange(&stream.door, &mut asked, Busy::new(&stream.activity)).await;
        match answer {
            Answer::Response(response) => {
                if let Some(verdict) = &stream.verdict {
                    verdict.resume(number);
                }
                let empty = response.status() == StatusCode::NOT_MODIFIED && response.headers().contains_key(CONTENT_LENGTH);
                if empty { response.map(|_ended| ResponseBody::unannounced()) } else { response }
            }
            Answer::Switched(response, relay) => {
                *stream.relay.borrow_mut() = Some(*relay);
                if let Some(verdict) = &stream.verdict {
                    verdict.raw(number);
                }
                response
            }
        }
    }

    async fn serve_http2(self: &Rc<Self>, stream: &Rc<Stream>, mut request: Request<Incoming>) -> Response<ResponseBody> {
        let upgrade = request.extensions().get::<hyper::ext::Protocol>().is_some().then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        if let Err(malformed) = check_h2_request(&parts, &self.proxy.settings.head) {
            return self.refuse_malformed(&stream.door, malformed);
        }
        if upgrade.is_some() && !upgrade::is_websocket(&parts.method, &parts.extensions) {
            return self.refuse_malformed(&stream.door, Malformed::Upgrade);
        }
        let mut asked = Asked::new(Request::from_parts(parts, body));
        match self.exchange(&stream.door, &mut asked, Busy::new(&stream.activity)).await {
            Answer::Response(response) => response,
            Answer::Switched(response, relay) => {
                let (mut parts, body) = response.into_parts();
                upgrade::to_http2(&mut parts);
                if let Some(upgrade) = upgrade {
                    let worker = Rc::clone(self);
                    tokio::task::spawn_local(async move {
                        if let Ok(upgraded) = upgrade.await {
                            worker.relay(TokioIo::new(upgraded), BytesMut::new(), *relay).await;
                        }
                    });
                }
                Response::from_parts(parts, body)
            }
        }
    }

    fn refuse_malformed(&self, door: &Door, malformed: Malformed) -> Response<ResponseBody> {
        door.used();
        let mut entry = self.spool.begin(Kind::Request);
        super::authenticate::note_source(&mut entry, door.origin());
        if let Door::Inside(inside) = door {
            entry.authority(&inside.authority);
            if let Some(agent) = &inside.agent {
                super::authenticate::note_agent(&mut entry, agent);
            }
        }
        entry.note(malformed.kind());
        super::connect::refuse(entry, &Refusal::Malformed(malformed))
    }
}

/// A connection that is polled and can be asked to finish.
struct Driven<P> {
    poll: P,
}
