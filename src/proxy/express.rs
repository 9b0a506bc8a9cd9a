//! The short way for a request inside a tunnel: HTTP/1.1, its body small and at hand, nothing unusual about its head.
//!
//! It is read, exchanged and answered by the task that holds the stream, without an engine's task or channel between. Whatever is not
//! as plain as that (an upgrade, `Expect`, a body that still comes, a malformed head) goes to the engine with all that was read of it,
//! and so does the rest of the stream.

use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::activity::{self, Activity, Busy};
use super::beside;
use super::door::Door;
use super::exchange::{Answer, Asked};
use super::respond::Caller;
use super::worker::Worker;
use crate::head::{Declared, Form, Head, Parser, Shape, fields_of};

/// Bodies up to this size are read before the request goes on.
const BODY_LIMIT: u64 = 16 * 1024;
/// How long all the rest of such a body is waited for.
const BODY_PATIENCE: Duration = Duration::from_millis(500);
/// What is read at once.
const PIECE: usize = 4 * 1024;

/// How the lane ended.
enum End {
    /// The next request is not for it.
    Engine,
    /// Between requests, or after the last one.
    Over,
    /// In the middle of something.
    Broken,
}

/// What stands at the front of the buffer.
enum Next {
    /// A plain request of so many bytes, body included.
    Plain(Head, usize),
    Engine,
    Closed,
}

impl Worker {
    /// Serves the plain requests on `stream`, then hands over to the engine if there are others.
    pub(super) async fn express<S>(self: &Rc<Self>, mut stream: S, door: Door)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let mut buffer = BytesMut::new();
        let activity = Activity::new();
        let end = {
            let lane = pin!(self.lane(&mut stream, &mut buffer, &door, &activity));
            beside::either(lane, pin!(self.watch(&activity, &door))).await
        };
        match end {
            End::Engine => Box::pin(self.http1(stream, buffer, door)).await,
            End::Over => drop(tokio::time::timeout(super::inside::GOODBYE, stream.shutdown()).await),
            End::Broken => {}
        }
    }

    async fn lane<S>(self: &Rc<Self>, stream: &mut S, buffer: &mut BytesMut, door: &Door, activity: &Rc<Activity>) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if *self.proxy.draining.borrow() {
                return End::Over;
            }
            let (head, length) = match self.next_plain(stream, buffer, activity).await {
                Next::Plain(head, length) => (head, length),
                Next::Engine => return End::Engine,
                Next::Closed => return End::Over,
            };
            let whole = buffer.split_to(length).freeze();
            let Some(mut asked) = asked(&head, &whole) else {
                *buffer = BytesMut::from_iter(whole.into_iter().chain(buffer.split()));
                return End::Engine;
            };
            if buffer.is_empty() {
                *buffer = BytesMut::new();
            }
            let is_head = asked.is_head();
            let busy = Busy::new(activity);
            let answer = {
                let exchange = pin!(self.exchange(door, &mut asked, busy));
                Caller { stream: &mut *stream, ahead: &mut *buffer }.stays_for(exchange).await
            };
            // Upgrades take the engine's way, so nothing switches here.
            let Some(Answer::Response(response)) = answer else { return End::Broken };
            drop(asked);
            let last = *self.proxy.draining.borrow();
            let mut caller = Caller { stream: &mut *stream, ahead: &mut *buffer };
            if caller.respond(response, is_head, last).await.is_err() {
                return End::Broken;
            }
            if last {
                return End::Over;
            }
        }
    }

    /// Waits for a request and its body. How long a head may take is [`Self::watch`]'s business.
    async fn next_plain<S>(&self, stream: &mut S, buffer: &mut BytesMut, activity: &Activity) -> Next
    where
        S: AsyncRead + Unpin,
    {
        let mut parser = Parser::new(Shape::Request);
        while buffer.is_empty() {
            if !matches!(read_some(stream, buffer).await, Ok(1..)) {
                return Next::Closed;
            }
        }
        let head = loop {
            match parser.feed(buffer, &self.proxy.settings.head) {
                Ok(Some(head)) => break head,
                Ok(None) => activity.head_begun(),
                Err(_malformed) => return Next::Engine,
            }
            if !matches!(read_some(stream, buffer).await, Ok(1..)) {
                return Next::Closed;
            }
        };
        activity.head_complete();
        let limit = BODY_LIMIT.min(self.proxy.settings.replay_memory as u64);
        let Some(length) = plain_length(&head, limit) else { return Next::Engine };
        if buffer.len() < length {
            // Whoever is slow with its body, or breaks it off, is given to the engine, which sends it on as it comes.
            let rest = async { while buffer.len() < length && matches!(read_some(stream, buffer).await, Ok(1..)) {} };
            drop(tokio::time::timeout(BODY_PATIENCE, rest).await);
        }
        if buffer.len() < length { Next::Engine } else { Next::Plain(head, length) }
    }

    /// Ends a stream that is idle, or stuck, for too long, or idle when the proxy drains; or busy for an agent that may not act any more.
    async fn watch(&self, activity: &Activity, door: &Door) -> End {
        let settings = &self.proxy.settings;
        let look = activity::look(settings);
        let (mut draining, mut agents) = (self.proxy.draining.clone(), self.proxy.agents.changes());
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.next_look(door, look)) => {}
                changed = agents.changed() => {
                    if changed.is_err() {
                        return End::Broken;
                    }
                    // Whoever may not act any more is looked at soon.
                    continue;
                }
                stopped = draining.wait_for(|draining| *draining) => {
                    if stopped.is_err() {
                        return End::Broken;
                    }
                    if !activity.is_busy() {
                        return End::Over;
                    }
                    // The lane ends after the response that is under way.
                    tokio::time::sleep(look).await;
                }
            }
            if activity.is_busy() && self.revoked(door) {
                activity.agent_revoked();
                return End::Broken;
            }
            if activity.head_late(settings.head_timeout) || activity.stalled_for() > settings.idle_timeout + look {
                return End::Broken;
            }
            if activity.idle_for() > settings.keep_alive {
                return End::Over;
            }
        }
    }
}

/// The length of a plain request with its body of at most `limit` bytes; `None` where the engine is to have it.
fn plain_length(head: &Head, limit: u64) -> Option<usize> {
    if head.form() != Some(Form::Origin) || head.version() != Version::HTTP_11 || head.wants_upgrade() || head.asks_of_hop() {
        return None;
    }
    let body = match head.declared() {
        Declared::Nothing => 0,
        Declared::Length(length) if length <= limit => usize::try_from(length).ok()?,
        Declared::Length(_) | Declared::Chunked => return None,
    };
    Some(head.len() + body)
}

/// The request in `whole`, as the exchange takes it.
fn asked(head: &Head, whole: &Bytes) -> Option<Box<Asked>> {
    let view = head.view(whole);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(view.method.as_bytes()).ok()?;
    parts.uri = http::Uri::from_maybe_shared(whole.slice_ref(view.target.as_bytes())).ok()?;
    parts.version = head.version();
    parts.headers = fields_of(&view, whole).ok()?;
    Some(Asked::whole(parts, whole.slice(head.len()..)))
}

async fn read_some<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> std::io::Result<usize> {
    // While nothing comes, nothing is held: the first bytes go by way of the stack.
    if !buffer.is_empty() {
        buffer.reserve(PIECE);
        return stream.read_buf(buffer).await;
    }
    std::future::poll_fn(|context| {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        std::task::ready!(Pin::new(&mut *stream).poll_read(context, &mut piece))?;
        buffer.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    })
    .await
}
