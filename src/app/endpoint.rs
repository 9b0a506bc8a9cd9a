//! The way to token endpoints and webhooks: one verified connection per call, no pool, no redirects.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HOST, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::head::{Gate, Limits};
use crate::model::{Authority, Host, Scheme, Secret};
use crate::oauth::{BoxFuture, Cause, REPLY_LIMIT, TokenEndpoint, TokenReply, TokenRequest};
use crate::upstream::{Dialler, Versions};

/// On whose behalf names are looked up: no agent can be called so.
const OURSELVES: &str = "(nexus)";

/// Token endpoints over the same dialler as everything else: addresses checked, TLS verified.
pub(super) struct Endpoint(pub(super) Arc<Dialler>);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the address is not an https URL")]
    Url,
    #[error("the other side broke off")]
    Broken(#[from] hyper::Error),
    #[error("the reply is too long or broke off")]
    Body,
}

/// One request, and the length of the answer that is read.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// https; http where that is to a loopback address and `on_loopback`.
    pub(super) url: &'a str,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    /// What never leaves this machine needs no TLS.
    pub(super) on_loopback: bool,
}

impl TokenEndpoint for Endpoint {
    fn send(&self, request: TokenRequest) -> BoxFuture<'_, Result<TokenReply, Cause>> {
        Box::pin(async move {
            let body = request.body();
            let answer = call(
                &self.0,
                Call { method: request.method, url: &request.url, headers: request.headers, body, on_loopback: false },
            )
            .await?;
            let (parts, body) = answer.into_parts();
            let field = |name| parts.headers.get(name).cloned();
            Ok(TokenReply {
                status: parts.status,
                content_type: field(CONTENT_TYPE),
                retry_after: field(RETRY_AFTER),
                date: field(DATE),
                body: Secret::new(body.to_vec()),
            })
        })
    }
}

/// Sends `call`, over verified TLS unless it stays on this machine, to an address that callers might have reached too.
pub(super) async fn call(dialler: &Dialler, call: Call<'_>) -> Result<Response<Bytes>, Cause> {
    let uri: Uri = call.url.parse().map_err(|_malformed| -> Cause { Arc::new(Error::Url) })?;
    let (scheme, authority) = place(&uri, call.on_loopback).ok_or_else(|| -> Cause { Arc::new(Error::Url) })?;
    let connected = dialler.connect(scheme, &authority, Versions::Http1, &Arc::from(OURSELVES)).await;
    let connected = connected.map_err(|error| -> Cause { Arc::new(error) })?;
    let (gate, expectation) = Gate::responses(connected.stream, Limits::default());
    talk(TokioIo::new(gate), &expectation, &uri, call).await.map_err(|error| -> Cause { Arc::new(error) })
}

/// Whether `url` is one that [`call`] takes, also where that is on loopback.
pub(super) fn is_reachable(url: &str) -> bool {
    url.parse().is_ok_and(|uri: Uri| place(&uri, true).is_some())
}

/// Where `uri` leads: over TLS, or to a loopback address if that may be.
fn place(uri: &Uri, on_loopback: bool) -> Option<(Scheme, Authority)> {
    let scheme = match uri.scheme_str()? {
        "https" => Scheme::Https,
        "http" if on_loopback => Scheme::Http,
        _ => return None,
    };
    let authority = Authority::parse(uri.authority()?.as_str(), Some(scheme.default_port())).ok()?;
    let loopback = matches!(authority.host, Host::Ip(address) if address.is_loopback());
    (scheme == Scheme::Https || loopback).then_some((scheme, authority))
}

async fn talk(
    stream: TokioIo<Gate<crate::upstream::Stream>>,
    expectation: &crate::head::Expectation,
    uri: &Uri,
    call: Call<'_>,
) -> Result<Response<Bytes>, Error> {
    let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(stream).await?;
    let driver = tokio::spawn(connection);
    expectation.expect(false, false);
    let mut sent = Request::new(Full::new(call.body));
    *sent.method_mut() = call.method;
    *sent.uri_mut() = uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()).ok_or(Error::Url)?;
    sent.headers_mut().insert(HOST, host);
    for (name, value) in call.headers {
        sent.headers_mut().append(name, value);
    }
    let (parts, body) = sender.send_request(sent).await?.into_parts();
    let limited = Limited::new(body, REPLY_LIMIT + 1).collect().await.map_err(|_long| Error::Body)?;
    driver.abort();
    Ok(Response::from_parts(parts, limited.to_bytes()))
}
