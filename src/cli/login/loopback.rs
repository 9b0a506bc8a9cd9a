//! The server that a browser is sent to after consenting: one path of one authority on loopback (RFC 8252 §7.3), nothing else.

use std::convert::Infallible;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::page::Page;
use super::redirect::Redirect;
use crate::cli::context::Hint;

/// A browser has a few connections. Whoever opens many and says nothing holds each for [`HEAD_TIMEOUT`] at most.
const CONNECTIONS: usize = 128;
/// From the first byte to the last of a request and its answer; a redemption takes its time.
const LIFE: Duration = Duration::from_secs(120);
/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
const HEAD_LIMIT: usize = 64 * 1024;

/// Something that came to the redirect URI.
pub(super) struct Arrival {
    /// The address without its query.
    pub(super) redirect: String,
    pub(super) query: String,
    /// What its sender is shown.
    pub(super) answer: oneshot::Sender<Page>,
    /// Told when that was sent; `None` where it was pasted.
    pub(super) sent: Option<oneshot::Receiver<()>>,
}

/// Listens, not yet serving.
pub(super) struct Loopback {
    listeners: Vec<TcpListener>,
    authority: String,
    path: String,
}

impl Loopback {
    /// Listens where `redirect` leads; `None` where that is elsewhere. A port of 0 becomes one that is free.
    pub(super) async fn bind(redirect: &mut Redirect) -> anyhow::Result<Option<Self>> {
        let mut listeners = Vec::new();
        for address in redirect.listens.clone() {
            match TcpListener::bind(SocketAddr::new(address, redirect.port)).await {
                Ok(listener) => listeners.push(listener),
                // Where there is no IPv6, `localhost` is the other. One that somebody else has would hear the answer.
                Err(error) if !listeners.is_empty() && is_no_address(&error) => {}
                Err(error) => {
                    let message =
                        format!("cannot listen at {} for the answer ({error}); register another redirect URI", redirect.uri());
                    anyhow::bail!(Hint::new(message, "nexus login PROVIDER --port N"));
                }
            }
        }
        let Some(first) = listeners.first() else { return Ok(None) };
        if redirect.port == 0 {
            *redirect = Redirect::own(first.local_addr().context("the port is not known")?.port());
        }
        Ok(Some(Self { listeners, authority: redirect.authority.clone(), path: redirect.path.clone() }))
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(self, arrivals: mpsc::Sender<Arrival>) {
        let Self { listeners, authority, path } = self;
        let door = Arc::new(Door { authority, path, arrivals });
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut all = tokio::task::JoinSet::new();
        for listener in listeners {
            let (door, places) = (Arc::clone(&door), Arc::clone(&places));
            all.spawn(async move {
                let mut open = tokio::task::JoinSet::new();
                while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                    let Ok((stream, _peer)) = listener.accept().await else {
                        // Too many files are open, most likely.
                        sleep(PAUSE).await;
                        continue;
                    };
                    let door = Arc::clone(&door);
                    open.spawn(async move {
                        door.talk(stream).await;
                        drop(place);
                    });
                    while open.try_join_next().is_some() {}
                }
            });
        }
        while all.join_next().await.is_some() {}
    }
}

struct Door {
    authority: String,
    path: String,
    arrivals: mpsc::Sender<Arrival>,
}

impl Door {
    /// One request and its answer.
    async fn talk(self: Arc<Self>, stream: TcpStream) {
        let (sender, receiver) = oneshot::channel();
        let sent = Arc::new(Mutex::new(Some(receiver)));
        let service = service_fn(move |request| {
            let (door, sent) = (Arc::clone(&self), Arc::clone(&sent));
            async move {
                let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok::<_, Infallible>(door.answer(&request, sent).await.into_response())
            }
        });
        let mut server = http1::Builder::new();
        server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_LIMIT);
        // A browser that breaks off is none of our business.
        drop(timeout(LIFE, server.serve_connection(TokioIo::new(stream), service)).await);
        drop(sender);
    }

    async fn answer(&self, request: &Request<Incoming>, sent: Option<oneshot::Receiver<()>>) -> Page {
        if !self.is_asked(request) {
            return Page::nothing_here();
        }
        let (answer, page) = oneshot::channel();
        let redirect = format!("http://{}{}", self.authority, request.uri().path());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let arrival = Arrival { redirect, query, answer, sent };
        match self.arrivals.send(arrival).await {
            Ok(()) => page.await.unwrap_or_else(|_ended| Page::nothing_here()),
            Err(_ended) => Page::nothing_here(),
        }
    }

    /// A page elsewhere whose name was made to lead here (DNS rebinding) names itself in `Host`.
    fn is_asked<B>(&self, request: &Request<B>) -> bool {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().is_some_and(|host| host.as_bytes() == self.authority.as_bytes()) && hosts.next().is_none();
        host && request.method() == Method::GET && request.uri().authority().is_none() && request.uri().path() == self.path
    }
}

/// Reads addresses that a person pastes, until standard input ends.
pub(super) fn pasted(arrivals: mpsc::Sender<Arrival>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let text = line.trim();
            if text.is_empty() {
                continue;
            }
            let (redirect, rest) = text.split_once('?').unwrap_or((text, ""));
            let query = rest.split('#').next().unwrap_or_default().to_owned();
            let (answer, _page) = oneshot::channel();
            let arrival = Arrival { redirect: redirect.to_owned(), query, answer, sent: None };
            if arrivals.blocking_send(arrival).is_err() {
                return;
            }
        }
    });
}

impl Page {
    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.html())));
        *response.status_mut() = self.status;
        for (name, value) in self.headers() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Whether this machine has no such address at all.
fn is_no_address(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, Unsupported};
    matches!(error.kind(), AddrNotAvailable | Unsupported)
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_the_redirect_uri_at_its_own_authority_is_answered() {
        let (arrivals, _receiver) = mpsc::channel(1);
        let door = Door { authority: "127.0.0.1:8093".into(), path: "/callback".into(), arrivals };
        let asked = |method: &str, target: &str, hosts: &[&str]| {
            let mut request = Request::builder().method(method).uri(target);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            door.is_asked(&request.body(()).unwrap())
        };
        assert!(asked("GET", "/callback?code=1&state=2", &["127.0.0.1:8093"]));
        for (method, target, hosts) in [
            ("POST", "/callback", &["127.0.0.1:8093"][..]),
            ("GET", "/", &["127.0.0.1:8093"]),
            ("GET", "/callback/", &["127.0.0.1:8093"]),
            ("GET", "/callback%2f", &["127.0.0.1:8093"]),
            ("GET", "/callback", &["evil.example:8093"]),
            ("GET", "/callback", &["localhost:8093"]),
            ("GET", "/callback", &["127.0.0.1"]),
            ("GET", "/callback", &[]),
            ("GET", "/callback", &["127.0.0.1:8093", "evil.example"]),
            ("GET", "http://127.0.0.1:8093/callback", &["127.0.0.1:8093"]),
        ] {
            assert!(!asked(method, target, hosts), "{method} {target} {hosts:?}");
        }
    }
}
