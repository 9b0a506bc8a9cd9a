//! `Door`: one request to the gateway, over a connection of its own.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::response::Parts;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

use super::error::Error;
use super::settings::Url;
use crate::head::{Gate, Limits};
use crate::model::{Scheme, Secret};
use crate::upstream::{Dialler, Versions};

/// On whose behalf names are looked up: no agent can be called so.
const OURSELVES: &str = "(nexus)";

/// The longest answer that is read whole.
const ANSWER: usize = 1024 * 1024;

/// Of a refusal's reason, so many letters are shown.
const REASON: usize = 500;

/// Reads the key once more from where it was found.
pub(crate) type Reread = Box<dyn Fn() -> Option<Secret<String>> + Send + Sync>;

/// The way to one gateway.
pub(crate) struct Door {
    dialler: Dialler,
    url: Url,
    key: Mutex<Option<HeaderValue>>,
    reread: Option<Reread>,
}

/// An answer whose body is still to come; it ends when this is dropped.
pub(crate) struct Opened {
    pub(crate) response: Response<Incoming>,
    pub(crate) driver: Driver,
}

/// Speaks HTTP on the connection for as long as somebody listens.
pub(crate) struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    /// `key` goes with every request; `None` where it can't go into a header.
    pub(crate) fn new(dialler: Dialler, url: Url, key: Option<&Secret<String>>) -> Option<Self> {
        let key = match key {
            Some(key) => Some(bearer(key)?),
            None => None,
        };
        Some(Self { dialler, url, key: Mutex::new(key), reread: None })
    }

    /// The same, with a key that may be replaced where it was found.
    pub(crate) fn rereading(self, reread: Reread) -> Self {
        Self { reread: Some(reread), ..self }
    }

    /// Takes the key once more from where it was found; what is no key is passed over. May read the disk.
    pub(super) fn read_key_again(&self) {
        let Some(key) = self.reread.as_ref().and_then(|reread| bearer(&reread()?)) else { return };
        let mut known = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(&key) {
            tracing::info!(gateway = %self.url, "took another key for the gateway");
            *known = Some(key);
        }
    }

    /// Connects, which verifies its certificate, and sends nothing.
    pub(crate) async fn knock(&self) -> Result<(), Error> {
        self.dialler.connect(self.url.scheme, &self.url.authority, Versions::Http1, &Arc::from(OURSELVES)).await?;
        Ok(())
    }

    /// The certificates that whoever listens there shows; nothing is verified and nothing sent.
    pub(crate) async fn peek(&self, provider: &Arc<CryptoProvider>) -> Result<Vec<CertificateDer<'static>>, Error> {
        Ok(self.dialler.peek(&self.url.authority, provider, &Arc::from(OURSELVES)).await?)
    }

    /// Sends one request; the answer's body is not read yet. No redirect is followed.
    pub(crate) async fn open(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Opened, Error> {
        let stream = self.dialler.connect(self.url.scheme, &self.url.authority, Versions::Http1, &Arc::from(OURSELVES)).await?;
        if self.url.scheme == Scheme::Http && !stream.address.ip().is_loopback() {
            return Err(Error::Elsewhere);
        }
        let (gate, expectation) = Gate::responses(stream.stream, Limits::default());
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(gate)).await?;
        let driver = Driver(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the gateway ended");
            }
        }));
        expectation.expect(false, false);
        let response = sender.send_request(self.request(method, path, body)).await?;
        Ok(Opened { response, driver })
    }

    /// As [`Door::answer`]. Anything but 2xx is [`Error::Refused`], or [`Error::Stranger`].
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (head, body) = self.answer(method, path, body).await?;
        if head.status.is_success() { Ok(body) } else { Err(refused(&head, &body)) }
    }

    /// As [`Door::open`], the answer read whole, whatever its status.
    pub(crate) async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<(Parts, Zeroizing<Vec<u8>>), Error> {
        let opened = self.open(method, path, body).await?;
        let (head, body) = opened.response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(|_long_or_cut| Error::Long)?;
        Ok((head, Zeroizing::new(body.to_bytes().to_vec())))
    }

    fn request(&self, method: Method, path: &str, body: Option<Bytes>) -> Request<Full<Bytes>> {
        let has_body = body.is_some();
        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_else(|_invalid| http::Uri::from_static("/"));
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&self.url.authority.as_written(self.url.scheme)) {
            headers.insert(HOST, host);
        }
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        key.into_iter().for_each(|key| drop(headers.insert(AUTHORIZATION, key)));
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }
}

fn bearer(key: &Secret<String>) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {}", key.expose()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What an answer other than 2xx says for people, without anything that a terminal would obey. Only a problem document (RFC 9457) of a
/// gateway is the gateway's word.
pub(crate) fn refused(head: &Parts, body: &[u8]) -> Error {
    let status = head.status;
    let document: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let member = |name: &str| document.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let reason = member("detail").or_else(|| member("message")).or_else(|| member("title")).unwrap_or_default();
    let reason: String = reason.chars().filter(|letter| !letter.is_control()).take(REASON).collect();
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let is_problem = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    let same = document.as_ref().and_then(|document| document.get("status")?.as_u64()) == Some(status.as_u16().into());
    match member("type").as_deref().and_then(|kind| kind.strip_prefix("urn:nexus:problem:")) {
        Some(code) if is_problem && same => Error::Refused { status, code: code.to_owned(), reason },
        _ => Error::Stranger { status, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, kind: &str, body: &str) -> Error {
        let response = Response::builder().status(status).header(CONTENT_TYPE, kind).body(()).expect("an answer");
        refused(&response.into_parts().0, body.as_bytes())
    }

    #[test]
    fn only_the_gateways_own_word_ends_what_it_lends() {
        let problem = |code: &str, status: u16| {
            format!("{{\"type\":\"urn:nexus:problem:{code}\",\"status\":{status},\"code\":\"{code}\",\"detail\":\"why\"}}")
        };
        let json = "application/problem+json";
        for (status, code) in [(401, "no_key"), (403, "key_kind")] {
            let error = answered(status, json, &problem(code, status));
            assert!(error.is_a_denial() && error.to_string().ends_with(": why"), "{error}");
        }
        assert!(answered(404, json, &problem("not_found", 404)).is_missing());
        for (status, kind, body) in [
            (401, "text/html", "<h1>401</h1>".to_owned()),
            (401, json, String::new()),
            (401, "application/json", problem("no_key", 401)),
            (401, json, problem("no_key", 403)),
            (401, json, problem("no_key", 401).replace("nexus", "other")),
            (403, json, problem("browser", 403)),
            (403, json, problem("unknown_host", 403)),
            (429, json, problem("wrong_keys", 429)),
            (503, json, problem("full", 503)),
            (404, "text/plain", "not found".to_owned()),
            (404, json, problem("unknown_provider", 404)),
        ] {
            let error = answered(status, kind, &body);
            assert!(!error.is_a_denial() && !error.is_missing(), "{status} {body}");
        }
    }
}
