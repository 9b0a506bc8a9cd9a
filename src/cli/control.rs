//! The gateway of this home, asked by its own command line with the key that it wrote down for it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nexus::app::{ITSELF, LocalGateway};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::context::Context;
use super::surroundings::reachable;

const PATIENCE: Duration = Duration::from_secs(5);
/// Of an answer.
const LIMIT: usize = 4 * 1024 * 1024;

/// What it answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

/// What the gateway of this home answers to `path`, by the address that it wrote down; `None` where none is up.
///
/// # Errors
/// Where one should be up and doesn't answer as one.
pub(super) fn ask(context: &Context, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Option<Answer>> {
    let Some(gateway) = context.home.local_gateway()? else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async { timeout(PATIENCE, converse(&gateway, method, path, body)).await };
    let place = || format!("the gateway on {} (process {}) does not answer", gateway.address, gateway.process);
    let answer = runtime.block_on(asked).context("no answer came in time").flatten().with_context(place)?;
    Ok(Some(answer))
}

async fn converse(gateway: &LocalGateway, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
    let address = reachable(gateway.address);
    let mut request = Request::builder().method(method).uri(path).header(HOST, &address);
    request = request.header("x-api-key", gateway.key.expose().as_str());
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::new(body.map(ToString::to_string).unwrap_or_default().into()))?;
    let stream = TcpStream::connect(&address).await?;
    if !gateway.tls {
        return exchange(stream, request).await;
    }
    let (config, name) = trust(gateway)?;
    exchange(TlsConnector::from(config).connect(name, stream).await?, request).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let read = Limited::new(body, LIMIT).collect().await;
    driver.abort();
    let bytes = read.map_err(|_long_or_broken| anyhow::anyhow!("its answer is too long or broke off"))?.to_bytes();
    // Not everything that it says is JSON.
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_text| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
    Ok(Answer { status: head.status, body })
}

/// It has to show the certificate that it wrote down for us; whoever signed the one of the configuration is for others to know.
fn trust(gateway: &LocalGateway) -> anyhow::Result<(Arc<ClientConfig>, ServerName<'static>)> {
    let certificate = STANDARD.decode(&gateway.certificate).ok().filter(|bytes| !bytes.is_empty());
    let certificate = certificate.context("it wrote down no certificate of its own; start it anew")?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok((Arc::new(config.with_root_certificates(roots).with_no_client_auth()), ServerName::try_from(ITSELF)?))
}
