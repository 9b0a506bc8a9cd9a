//! Traces: a caller's goes on through Nexus, spans reach a collector as OpenTelemetry has them, and a collector that is away costs nobody
//! anything.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Request};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::attack::{HOST, KEY, home, service};
use crate::harness::{Authority, Body, Builder, Caller, Nexus, Offers, Upstream, answer, empty, full, request, run};

const COLLECTOR: &str = "otel.test";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector that answers with the first words of `script`, then 200, and passes on what it took.
struct Collector {
    upstream: Upstream,
    taken: mpsc::UnboundedReceiver<Value>,
}

impl Collector {
    async fn new(ca: &Authority, script: &'static [u16]) -> Self {
        let (pass, taken) = mpsc::unbounded_channel();
        let number = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::serve(ca, &[COLLECTOR], Offers::Both, move |mut call| {
            let (pass, number) = (pass.clone(), Arc::clone(&number));
            async move {
                let body = call.read().await.expect("a body");
                assert_eq!(
                    (call.seen.path.as_str(), call.seen.header("content-type")),
                    ("/base/v1/traces", Some("application/json"))
                );
                assert_eq!(call.seen.header("x-collector-key"), Some("collector-key-0123456789"));
                let status = script.get(number.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(200);
                if status == 200 {
                    drop(pass.send(serde_json::from_slice(&body).expect("JSON")));
                }
                answer(status, "{}")
            }
        })
        .await;
        Self { upstream, taken }
    }

    /// The next `count` spans, and the requests that they came in.
    async fn spans(&mut self, count: usize) -> (Vec<Value>, Vec<Value>) {
        let (mut spans, mut requests) = (Vec::new(), Vec::new());
        while spans.len() < count {
            let request = self.taken.recv().await.expect("a batch");
            spans.extend(request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").clone());
            requests.push(request);
        }
        assert_eq!(spans.len(), count);
        (spans, requests)
    }
}

/// A home that traces, to `collector`.
fn traced(builder: Builder, collector: &Upstream) -> Builder {
    let file = builder.home().path().join("otlp.headers");
    let text = "# whose it is\nX-Collector-Key: collector-key-0123456789\n";
    nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
    let config = format!("[telemetry]\notlp = \"https://{COLLECTOR}/base/\"\notlp_headers_file = \"otlp.headers\"\n");
    builder.config(&config).resolve(COLLECTOR, collector.address)
}

fn get(path: &str, traceparent: &[&str]) -> Request<Body> {
    let mut get = request(Method::GET, &format!("https://{HOST}{path}"), empty());
    for value in traceparent {
        get.headers_mut().append("traceparent", value.parse().expect("a value"));
    }
    get.headers_mut().insert("tracestate", "vendor=1".parse().expect("a value"));
    get
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s Value {
    let all = span["attributes"].as_array().expect("attributes");
    all.iter().find(|attribute| attribute["key"] == key).map_or(&Value::Null, |attribute| {
        attribute["value"].as_object().and_then(|value| value.values().next()).expect("a value")
    })
}

async fn metric(nexus: &Nexus, line: &str) -> bool {
    nexus.gateway().get("/metrics").await.body.lines().any(|found| found == line)
}

#[test]
fn a_callers_trace_goes_on_and_its_span_is_told_without_secrets() {
    run(async {
        let ca = Authority::new();
        let (service, mut collector) = (service(&ca, Offers::Both).await, Collector::new(&ca, &[503]).await);
        let rules = "[[rule]]\nname = \"no delete\"\nhosts = [\"api.acme.test\"]\nmethods = [\"DELETE\"]\naction = \"deny\"\n";
        let nexus = traced(home(&ca, &service), &collector.upstream).config(rules).gateway().start();
        let mut session = Caller::new(&nexus).http1(HOST).await;
        assert_eq!(session.send(get("/one?key=private-value", &[PARENT])).await.status, 200);
        let seen = service.seen().pop().expect("a request");
        let said = seen.header("traceparent").expect("a trace").to_owned();
        assert!(said.starts_with(&format!("00-{TRACE}-")) && said.ends_with("-01") && said != PARENT, "{said}");
        assert_eq!(seen.header("tracestate"), Some("vendor=1"));
        assert_eq!(session.send(get("/none", &[])).await.status, 200);
        assert_eq!(service.seen().pop().expect("a request").header("traceparent"), None, "nobody asked for it");
        assert_eq!(
            session.send(get("/left-out", &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"])).await.status,
            200
        );
        let refused = request(Method::DELETE, &format!("https://{HOST}/x"), full("private-body"));
        assert_eq!(session.send(refused).await.status, 403);
        let (spans, requests) = collector.spans(3).await;
        let find = |path: &str| spans.iter().find(|span| attribute(span, "url.path") == path).expect("a span");
        let one = find("/one");
        assert_eq!((&one["traceId"], &one["parentSpanId"]), (&TRACE.into(), &"00f067aa0ba902b7".into()));
        assert_eq!(Some(&said[36..52]), one["spanId"].as_str(), "what the service does is below it");
        for (key, value) in [
            ("http.request.method", "GET"),
            ("server.address", HOST),
            ("server.port", "443"),
            ("http.response.status_code", "200"),
            ("nexus.provider", "acme"),
            ("nexus.connection", "acme"),
            ("nexus.verdict", "inject"),
            ("nexus.agent", "local"),
        ] {
            assert_eq!(attribute(one, key), value, "{one}");
        }
        assert_eq!(one["status"], Value::Null);
        let line = nexus.closed("/x").await;
        let refused = find("/x");
        assert_eq!((attribute(refused, "error.type"), attribute(refused, "nexus.request.id")), (&"policy".into(), &line["id"]));
        assert!(find("/none")["parentSpanId"].is_null() && find("/none")["traceId"] != TRACE);
        let all = Value::from(requests.clone()).to_string();
        for secret in [KEY, "private-value", "private-body", "collector-key"] {
            assert!(!all.contains(secret), "{secret}");
        }
        as_opentelemetry_has_it(&requests).await;
        assert!(metric(&nexus, "nexus_spans_total{outcome=\"exported\"} 3").await);
    });
}

/// By the definitions that OpenTelemetry publishes for Python.
async fn as_opentelemetry_has_it(requests: &[Value]) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    for request in requests {
        let mut command = Command::new(target.join("test-venv/bin/python"));
        command.arg(root.join("tests/e2e/programs/spans.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("tests/install.sh makes target/test-venv");
        child.stdin.take().expect("its input").write_all(request.to_string().as_bytes()).await.expect("a write");
        let done = child.wait_with_output().await.expect("an end");
        let count = request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").len();
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), count.to_string());
    }
}

#[test]
fn what_is_no_trace_begins_another_and_without_a_collector_all_goes_on_untouched() {
    run(async {
        let ca = Authority::new();
        let (service, collector) = (service(&ca, Offers::Both).await, Collector::new(&ca, &[]).await);
        let nexus = traced(home(&ca, &service), &collector.upstream).start();
        let mut session = Caller::new(&nexus).http1(HOST).await;
        for wrong in [&["nonsense"][..], &[PARENT, PARENT], &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"]] {
            assert_eq!(session.send(get("/x", wrong)).await.status, 200);
            let seen = service.seen().pop().expect("a request");
            let said = seen.header("traceparent").expect("one trace");
            assert!(said.len() == 55 && !said.contains(TRACE) && !said.contains(&"0".repeat(32)), "{said}");
            assert_eq!(seen.header("tracestate"), None);
        }
        let nexus = home(&ca, &service).start();
        let mut session = Caller::new(&nexus).http1(HOST).await;
        for value in [PARENT, "nonsense"] {
            assert_eq!(session.send(get("/x", &[value])).await.status, 200);
            let seen = service.seen().pop().expect("a request");
            assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(value), Some("vendor=1")));
        }
    });
}

#[test]
fn a_collector_that_is_away_stops_nobody_and_what_is_lost_is_counted() {
    run(async {
        let ca = Authority::new();
        let (service, collector) = (service(&ca, Offers::Both).await, Collector::new(&ca, &[400]).await);
        let nexus = traced(home(&ca, &service), &collector.upstream).gateway().start();
        assert_eq!(Caller::new(&nexus).http1(HOST).await.get("/x").await.status, 200);
        // What can't be taken is not sent again.
        while !metric(&nexus, "nexus_spans_total{outcome=\"failed\"} 1").await {
            tokio::task::yield_now().await;
        }
        assert_eq!(collector.upstream.count(), 1);
    });
}

#[test]
fn the_last_spans_are_sent_when_nexus_stops() {
    run(async {
        let ca = Authority::new();
        let (service, mut collector) = (service(&ca, Offers::Both).await, Collector::new(&ca, &[]).await);
        let mut nexus = traced(home(&ca, &service), &collector.upstream).start();
        assert_eq!(Caller::new(&nexus).http1(HOST).await.get("/last").await.status, 200);
        nexus.closed("/last").await;
        tokio::task::spawn_blocking(move || nexus.stop()).await.expect("it stops");
        let (spans, _requests) = collector.spans(1).await;
        assert_eq!(attribute(&spans[0], "url.path"), "/last");
    });
}

#[test]
fn an_address_without_tls_that_is_not_this_machine_is_no_collector() {
    let ca = Authority::new();
    for (text, wanted) in [
        ("otlp = \"http://otel.example.com:4318\"", "telemetry.otlp: "),
        ("otlp = \"ftp://127.0.0.1\"", "telemetry.otlp: "),
        ("otlp = \"https://otel.example.com\"\nsample = 2.0", "telemetry.sample: "),
        ("otlp = \"https://otel.example.com\"\notlp_headers_file = \"none\"", "telemetry.otlp_headers_file: "),
    ] {
        let builder = Builder::new(&ca).config(&format!("[telemetry]\n{text}"));
        builder.write_config();
        let config = builder.home().config(&[]).expect("a configuration");
        let said = nexus::app::check(builder.home(), &config, false).expect_err("refused").to_string();
        assert!(said.starts_with(wanted), "{said}");
    }
}
