//! Doors for the fuzz targets and property tests to what reads a stranger's bytes. Not an interface to build on.

mod auditing;
mod decider;
mod scrubbing;
mod texts;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::head::{Gate, Head, Limits, Malformed, Reader, Verdict, Watch};
use crate::model::Authority;

pub use auditing::Auditing;
pub use decider::Decider;
pub use scrubbing::{Scrubbing, decoded};
pub use texts::{Opened, Reading, config, graphql, policy_file, provider_file, vault_text};

/// Reads `bytes` as requests and tells what was read, as JSON: `messages`, each with `method`, `target`, `version`, `headers`,
/// `body` (hexadecimal) and `end` (a position), and `rest`: `complete`, `incomplete` or the kind of what is wrong.
pub fn read_requests(bytes: &[u8]) -> String {
    let mut reader = Reader::requests(Arc::new(Verdict::default()), Limits::default());
    let mut recorder = Recorder::default();
    let step = reader.advance(bytes, &mut recorder);
    let rest = match step.malformed {
        Some(malformed) => malformed.kind(),
        None if step.clean == bytes.len() && reader.may_end() => "complete",
        None => "incomplete",
    };
    json!({ "messages": recorder.messages, "rest": rest }).to_string()
}

/// Reads `bytes` as requests by way of the gate and the HTTP engine behind it, and tells what the service saw, as JSON like
/// [`read_requests`] but without `end` and `rest`.
///
/// # Errors
/// When no runtime can be built.
pub fn serve_requests(bytes: &[u8]) -> io::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let messages = runtime.block_on(serve(bytes))?;
    Ok(json!({ "messages": messages }).to_string())
}

/// What came out of a gate.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// The bytes it handed on.
    pub bytes: Vec<u8>,
    /// `end`, `waits`, `cut` or the kind of a malformed body.
    pub outcome: &'static str,
    /// How many heads it handed on.
    pub requests: u64,
    /// Which of them stands for a malformed one, and of what kind.
    pub malformed: Option<(u64, &'static str)>,
}

/// Sends `pieces` through a request gate, one read each, then the end of the stream.
pub fn pass_requests(pieces: &[&[u8]]) -> Passed {
    let (mut gate, verdict) = Gate::requests(Script::new(pieces), BytesMut::new(), Limits::default());
    let (bytes, outcome) = drain(&mut gate);
    let malformed = verdict.malformed().map(|(number, malformed)| (number, malformed.kind()));
    Passed { bytes, outcome, requests: verdict.requests_seen(), malformed }
}

/// Reads a CONNECT request; what the target's host and port are, if all of it is valid.
pub fn connect_line(bytes: &[u8]) -> Option<String> {
    let head = Head::parse(bytes, &Limits::default()).ok().flatten().filter(Head::is_connect)?;
    head.view(bytes).target.parse().ok().map(|authority: Authority| authority.to_string())
}

/// Collects what a reader reads.
#[derive(Default)]
struct Recorder {
    messages: Vec<Value>,
    open: Option<Value>,
    body: Vec<u8>,
}

impl Watch for Recorder {
    fn head(&mut self, head: &Head, bytes: &[u8]) {
        let view = head.view(bytes);
        let fields: Vec<_> = view.fields().map(|(name, value)| [text(name).to_lowercase(), text(value)]).collect();
        let version = format!("{:?}", head.version());
        self.open = Some(json!({ "method": view.method, "target": view.target, "version": version, "headers": fields }));
    }

    fn data(&mut self, data: &[u8]) {
        self.body.extend_from_slice(data);
    }

    fn end(&mut self, at: usize) {
        let Some(Value::Object(mut message)) = self.open.take() else { return };
        message.insert("body".to_owned(), json!(hexadecimal(&self.body)));
        message.insert("end".to_owned(), json!(at));
        self.messages.push(Value::Object(message));
        self.body.clear();
    }
}

async fn serve(bytes: &[u8]) -> io::Result<Vec<Value>> {
    let (mut caller, stream) = tokio::io::duplex(bytes.len().max(1) * 2 + 64 * 1024);
    caller.write_all(bytes).await?;
    caller.shutdown().await?;
    let (gate, verdict) = Gate::requests(stream, BytesMut::new(), Limits::default());
    let (messages, count) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let service = service_fn(|request: Request<Incoming>| async {
        let message = describe(request, count.fetch_add(1, Ordering::Relaxed) + 1, &verdict).await;
        messages.lock().unwrap_or_else(PoisonError::into_inner).extend(message);
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let engine = hyper::server::conn::http1::Builder::new().half_close(true).serve_connection(TokioIo::new(gate), service);
    // A malformed tail ends the connection with an error; what was served before it is what counts.
    engine.await.unwrap_or_default();
    Ok(messages.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What the service sees of a request that is not the stand-in for a malformed one and whose body is whole.
async fn describe(request: Request<Incoming>, number: u64, verdict: &Verdict) -> Option<Value> {
    verdict.resume(number);
    let (parts, body) = request.into_parts();
    if verdict.malformed_at(number).is_some() {
        return None;
    }
    let body = body.collect().await.ok()?.to_bytes();
    let fields: Vec<_> = parts.headers.iter().map(|(name, value)| [name.to_string(), text(value.as_bytes())]).collect();
    let (target, version) = (parts.uri.to_string(), format!("{:?}", parts.version));
    let method = parts.method.as_str();
    Some(json!({ "method": method, "target": target, "version": version, "headers": fields, "body": hexadecimal(&body) }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a gate dry without a runtime.
pub(crate) fn drain<S: AsyncRead + Unpin>(gate: &mut Gate<S>) -> (Vec<u8>, &'static str) {
    let mut bytes = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let mut space = [0; 512];
        let mut into = ReadBuf::new(&mut space);
        let outcome = match Pin::new(&mut *gate).poll_read(&mut context, &mut into) {
            Poll::Pending => "waits",
            Poll::Ready(Ok(())) if into.filled().is_empty() => "end",
            Poll::Ready(Ok(())) => {
                bytes.extend_from_slice(into.filled());
                continue;
            }
            Poll::Ready(Err(error)) => Malformed::in_chain(&error).map_or("cut", Malformed::kind),
        };
        return (bytes, outcome);
    }
}

/// A stream that gives the pieces it was told to, one read each, and takes whatever is written.
#[derive(Debug)]
pub(crate) struct Script(VecDeque<Vec<u8>>);

impl Script {
    pub(crate) fn new(pieces: &[&[u8]]) -> Self {
        Self(pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| piece.to_vec()).collect())
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let pieces = &mut self.get_mut().0;
        if let Some(mut piece) = pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(into.remaining()));
            into.put_slice(&piece);
            if !rest.is_empty() {
                pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
