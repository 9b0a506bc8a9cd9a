//! Requests on one stream: hyper's server on either version, one exchange per request, and the end of idle streams.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::body::ResponseBody;
use super::door::Door;
use super::exchange::{Answer, Asked};
use super::refusal::Refusal;
use super::upgrade::{self, Relay};
use super::worker::Worker;
use crate::audit::Kind;
use crate::head::{Gate, Malformed, Metered, Verdict, check_h2_request};
use crate::local::LocalExecutor;

/// How often a quiet stream is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// A TLS close or the like may take this long.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the requests of one stream share.
struct Stream {
    door: Door,
    verdict: Option<Arc<Verdict>>,
    requests: Cell<u64>,
    relay: RefCell<Option<Relay>>,
    activity: Rc<Activity>,
}

#[derive(Debug)]
struct Activity {
    /// Requests under way.
    busy: Cell<usize>,
    /// Those whose response is on its way to the caller.
    answering: Cell<usize>,
    /// When a request or a piece of a response last ended.
    last: Cell<Instant>,
}

/// A request whose response has not ended.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Rc<Activity>,
    answering: Cell<bool>,
}

impl Busy {
    fn new(activity: &Rc<Activity>) -> Self {
        activity.busy.set(activity.busy.get() + 1);
        Self { activity: Rc::clone(activity), answering: Cell::new(false) }
    }

    /// A response begins, or a piece of it was taken by the caller.
    pub(super) fn moved(&self) {
        if !self.answering.replace(true) {
            self.activity.answering.set(self.activity.answering.get() + 1);
        }
        self.activity.last.set(Instant::now());
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.busy.set(self.activity.busy.get() - 1);
        self.activity.answering.set(self.activity.answering.get() - usize::from(self.answering.get()));
        self.activity.last.set(Instant::now());
    }
}

impl Stream {
    fn new(door: Door, verdict: Option<Arc<Verdict>>) -> Rc<Self> {
        let activity = Rc::new(Activity { busy: Cell::new(0), answering: Cell::new(0), last: Cell::new(Instant::now()) });
        Rc::new(Self { door, verdict, requests: Cell::new(0), relay: RefCell::new(None), activity })
    }

    /// The malformed head that this request stands for, if it does.
    fn malformed(&self) -> Option<Malformed> {
        self.requests.set(self.requests.get() + 1);
        self.verdict.as_ref()?.malformed_at(self.requests.get())
    }

    fn idle_for(&self) -> Duration {
        if self.activity.busy.get() > 0 { Duration::ZERO } else { self.activity.last.get().elapsed() }
    }

    /// How long the caller has taken nothing of any response, when responses are all it waits for.
    fn stalled_for(&self) -> Duration {
        let answering = self.activity.answering.get();
        if answering > 0 && answering == self.activity.busy.get() { self.activity.last.get().elapsed() } else { Duration::ZERO }
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
            .max_header_list_size(64 * 1024)
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
        let mut draining = self.proxy.draining.clone();
        let mut shut = *draining.borrow();
        let settings = &self.proxy.settings;
        let look = LOOK.min(settings.head_timeout / 2).min(settings.keep_alive / 2).max(Duration::from_millis(100));
        loop {
            let poll = std::future::poll_fn(|context| (driven.poll)(context, std::mem::take(&mut shut)));
            tokio::select! {
                outcome = poll => return outcome,
                () = tokio::time::sleep(look) => {
                    let idle = stream.idle_for();
                    shut = idle > settings.keep_alive;
                    if stream.activity.busy.get() > 0 && self.revoked(&stream.door) {
                        return Err(());
                    }
                    let unread = idle > settings.keep_alive + 2 * look || stream.stalled_for() > settings.idle_timeout + look;
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
    fn revoked(&self, door: &Door) -> bool {
        door.agent().is_some_and(|agent| !self.proxy.still_known(&agent))
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
        if let Err(malformed) = check_h2_request(&parts) {
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
        entry.source(door.origin().peer);
        if let Door::Inside(inside) = door {
            entry.authority(&inside.authority);
            if let Some(agent) = &inside.agent {
                entry.agent(&agent.name);
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
