//! Spans on their way to a collector: in batches, over OTLP/HTTP, never waited for.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>, in JSON, as the export of the audit log has it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::config::Config;
use super::endpoint::{Call, call, is_reachable};
use super::home::{Home, read_text};
use super::parts::{self, BuildError};
use super::settings;
use crate::model::Secret;
use crate::telemetry::{Telemetry, Traces};
use crate::upstream::Dialler;

/// Spans of one request to the collector.
const BATCH: usize = 512;
/// How long the first of them waits for more.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch is sent, at most, and the pause after the first try; it is doubled after each.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What takes spans to the collector.
pub(super) struct Exporter {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    spans: mpsc::Receiver<Vec<u8>>,
    dialler: Dialler,
    traces: Arc<Traces>,
}

/// Where spans go, and the fields that go with them.
type Destination = (String, Vec<(HeaderName, HeaderValue)>);

/// What `telemetry` says of a collector.
pub(super) fn destination(home: &Home, config: &Config) -> Result<Option<Destination>, BuildError> {
    let ours = &config.telemetry;
    let refuse = |key, why: &str| BuildError::Config { key, why: why.to_owned() };
    if !(0.0..=1.0).contains(&ours.sample) {
        return Err(refuse("telemetry.sample", "must be between 0 and 1"));
    }
    let Some(base) = &ours.otlp else { return Ok(None) };
    // The specification's default path, below whatever path the base has.
    let url = format!("{}/v1/traces", base.trim_end_matches('/'));
    if !is_reachable(&url) {
        return Err(refuse("telemetry.otlp", "must be an https URL; http is for collectors on loopback addresses"));
    }
    let file = ours.otlp_headers_file.as_deref();
    let headers = file.map(|file| headers(&home.path().join(file))).transpose()?.unwrap_or_default();
    Ok(Some((url, headers)))
}

/// What counts, and makes spans where `telemetry.otlp` names a collector; and what takes them there.
pub(super) fn prepare(home: &Home, config: &Config) -> Result<(Arc<Telemetry>, Option<Exporter>), BuildError> {
    let telemetry = Arc::<Telemetry>::default();
    let Some((url, headers)) = destination(home, config)? else { return Ok((telemetry, None)) };
    let mut upstream = settings::upstream(home, config)?;
    // It is where a person says it is.
    upstream.allow_private = vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    if url.starts_with("http:") {
        upstream.parent = None;
    }
    let dialler = Dialler::new(upstream, &parts::crypto()).map_err(BuildError::Tls)?;
    let seed = getrandom::u64().map_err(|cause| BuildError::Thread(cause.into()))?;
    let (traces, spans) = Traces::new(config.telemetry.sample, seed);
    let traces = Arc::new(traces);
    telemetry.trace(Arc::clone(&traces));
    Ok((telemetry, Some(Exporter { url, headers, spans, dialler, traces })))
}

/// `NAME: VALUE` in each line, what is behind `#` aside.
fn headers(file: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, BuildError> {
    let refuse = |why: String| BuildError::Config { key: "telemetry.otlp_headers_file", why };
    let text = read_text(file, 64 * 1024)?.map(Secret::new).ok_or_else(|| refuse(format!("there is no {}", file.display())))?;
    let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate();
    lines
        .map(|(number, line)| {
            let field = line.split_once(':').and_then(|(name, value)| {
                let mut value = HeaderValue::from_str(value.trim()).ok()?;
                value.set_sensitive(true);
                Some((name.trim().parse().ok()?, value))
            });
            field.ok_or_else(|| refuse(format!("its field {} is not NAME: VALUE", number + 1)))
        })
        .collect()
}

impl Exporter {
    /// Sends batches until it is to end, then what still waits.
    pub(super) async fn run(mut self) {
        let traces = Arc::clone(&self.traces);
        loop {
            let first = tokio::select! {
                first = self.spans.recv() => first,
                () = traces.ending() => None,
            };
            let Some(first) = first else { break };
            let batch = self.gather(first).await;
            self.send(batch).await;
        }
        let mut rest = Vec::new();
        while let Ok(span) = self.spans.try_recv() {
            rest.push(span);
        }
        for batch in rest.chunks(BATCH) {
            self.send(batch.to_vec()).await;
        }
        traces.over();
    }

    async fn gather(&mut self, first: Vec<u8>) -> Vec<Vec<u8>> {
        let (mut batch, until) = (vec![first], Instant::now() + DELAY);
        let traces = Arc::clone(&self.traces);
        while batch.len() < BATCH {
            tokio::select! {
                more = timeout_at(until, self.spans.recv()) => match more {
                    Ok(Some(span)) => batch.push(span),
                    Ok(None) | Err(_) => break,
                },
                // Whoever ends does not wait for more; the word is said once, so it is passed on.
                () = traces.ending() => break,
            }
        }
        batch
    }

    /// Sends `batch`, a few times where the collector says that it may take it later.
    async fn send(&self, batch: Vec<Vec<u8>>) {
        let (count, body) = (batch.len(), request(&batch));
        let mut pause = PAUSE;
        for number in 1..=TRIES {
            let outcome = timeout(PATIENCE, self.post(body.clone()))
                .await
                .unwrap_or_else(|_late| Err(("it did not answer in time".into(), Some(pause))));
            match outcome {
                Ok(()) => return self.traces.exported(count),
                Err((why, Some(wait))) if number < TRIES && !self.traces.is_ending() => {
                    tracing::debug!(error = why, "the collector did not take spans yet");
                    sleep(wait.clamp(pause, LONGEST_PAUSE)).await;
                    pause = pause.saturating_mul(2);
                }
                Err((why, _)) => {
                    self.traces.failed(count);
                    return tracing::warn!(error = why, count, "the collector did not take spans; they are given up");
                }
            }
        }
    }

    /// One try; an error comes with how long to wait for the next one, if there may be one.
    async fn post(&self, body: Bytes) -> Result<(), (String, Option<Duration>)> {
        let mut headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static("nexus-otlp/1")),
        ];
        headers.extend(self.headers.iter().cloned());
        let asked = Call { method: Method::POST, url: &self.url, headers, body, on_loopback: true };
        let answer = call(&self.dialler, asked).await.map_err(|error| (super::webhook::with_causes(&*error), Some(PAUSE)))?;
        let later = matches!(
            answer.status(),
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        if answer.status().is_success() {
            return Ok(());
        }
        let said = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        Err((format!("it answered {}", answer.status()), later.then(|| said.unwrap_or(PAUSE))))
    }
}

/// `ExportTraceServiceRequest`.
fn request(batch: &[Vec<u8>]) -> Bytes {
    let resource = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"nexus"}}}},{{"key":"service.version","value":{{"stringValue":"{}"}}}}]}},"scopeSpans":[{{"scope":{{"name":"nexus"}},"spans":["#,
        env!("CARGO_PKG_VERSION")
    );
    let mut body = resource.into_bytes();
    body.extend_from_slice(&batch.join(&b","[..]));
    body.extend_from_slice(b"]}]}]}");
    Bytes::from(body)
}
