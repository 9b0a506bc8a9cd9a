//! The way to token endpoints: one verified connection per call, no pool, no redirects.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HOST, RETRY_AFTER};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::head::{Gate, Limits};
use crate::model::{Authority, Scheme, Secret};
use crate::oauth::{BoxFuture, Cause, REPLY_LIMIT, TokenEndpoint, TokenReply, TokenRequest};
use crate::upstream::{Dialler, Versions};

/// On whose behalf names are looked up: no agent can be called so.
const OURSELVES: &str = "(nexus)";

/// Token endpoints over the same dialler as everything else: addresses checked, TLS verified.
pub(super) struct Endpoint(pub(super) Arc<Dialler>);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the address of the token endpoint is not an https URL")]
    Url,
    #[error("the token endpoint broke off")]
    Broken(#[from] hyper::Error),
    #[error("the reply of the token endpoint is too long or broke off")]
    Body,
}

impl TokenEndpoint for Endpoint {
    fn send(&self, request: TokenRequest) -> BoxFuture<'_, Result<TokenReply, Cause>> {
        Box::pin(async move { exchange(&self.0, request).await })
    }
}

async fn exchange(dialler: &Dialler, request: TokenRequest) -> Result<TokenReply, Cause> {
    let uri: Uri = request.url.parse().map_err(|_malformed| -> Cause { Arc::new(Error::Url) })?;
    let https = uri.scheme_str() == Some("https");
    let named = uri.authority().filter(|_| https).and_then(|named| Authority::parse(named.as_str(), Some(443)).ok());
    let authority = named.ok_or_else(|| -> Cause { Arc::new(Error::Url) })?;
    let connected = dialler.connect(Scheme::Https, &authority, Versions::Http1, &Arc::from(OURSELVES)).await;
    let connected = connected.map_err(|error| -> Cause { Arc::new(error) })?;
    let (gate, expectation) = Gate::responses(connected.stream, Limits::default());
    talk(TokioIo::new(gate), &expectation, &uri, request).await.map_err(|error| -> Cause { Arc::new(error) })
}

async fn talk(
    stream: TokioIo<Gate<crate::upstream::Stream>>,
    expectation: &crate::head::Expectation,
    uri: &Uri,
    request: TokenRequest,
) -> Result<TokenReply, Error> {
    let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(stream).await?;
    let driver = tokio::spawn(connection);
    expectation.expect(false, false);
    let mut sent = Request::new(Full::new(request.body()));
    *sent.method_mut() = request.method;
    *sent.uri_mut() = uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()).ok_or(Error::Url)?;
    sent.headers_mut().insert(HOST, host);
    for (name, value) in request.headers {
        sent.headers_mut().append(name, value);
    }
    let (parts, body) = sender.send_request(sent).await?.into_parts();
    let limited = Limited::new(body, REPLY_LIMIT + 1).collect().await.map_err(|_long| Error::Body)?;
    driver.abort();
    let field = |name| parts.headers.get(name).cloned();
    Ok(TokenReply {
        status: parts.status,
        content_type: field(CONTENT_TYPE),
        retry_after: field(RETRY_AFTER),
        date: field(DATE),
        body: Secret::new(limited.to_bytes().to_vec()),
    })
}
