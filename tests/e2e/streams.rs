//! Bodies that take their time: events that arrive at once, gigabytes in little memory, back-pressure both ways, and silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::harness::{
    Authority, Body, Builder, Call, Caller, Nexus, Offers, Session, Upstream, answer, channel, empty, request, run, run_within,
};

const PROVIDER: &str = r#"
name = "stream"
title = "Stream"
slots = ["authorization"]
[[inject]]
hosts = ["h1.stream.test", "h2.stream.test"]
strategy = { bearer = "{api_key}" }
"#;
const KEY: &str = "stream-key-0123456789abcdef";
const MIB: u64 = 1024 * 1024;
/// Coprime to every buffer size: a byte out of place is seen.
const PATTERN: usize = 65_521;

fn pattern() -> Bytes {
    (0..PATTERN).map(|number| (number % 253) as u8).collect()
}

/// Checks a stream of [`pattern`]s piece by piece.
struct Checker {
    expected: Bytes,
    count: u64,
}

impl Checker {
    fn new() -> Self {
        Self { expected: pattern(), count: 0 }
    }

    fn take(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let at = usize::try_from(self.count % PATTERN as u64).expect("a position");
            let length = data.len().min(PATTERN - at);
            assert!(data[..length] == self.expected[at..at + length], "wrong bytes near {}", self.count);
            self.count += length as u64;
            data = &data[length..];
        }
    }
}

/// A body of `total` bytes; `sent` finds the counter of what the other side took.
fn patterns<C: Send + Sync + 'static>(total: u64, counters: Arc<C>, sent: fn(&C) -> &AtomicU64) -> Body {
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        let (piece, mut left) = (pattern(), total);
        while left > 0 {
            let length = usize::try_from(left.min(PATTERN as u64)).expect("a length");
            if sender.send_data(piece.slice(..length)).await.is_err() {
                return;
            }
            left -= length as u64;
            sent(&counters).fetch_add(length as u64, Ordering::SeqCst);
        }
    });
    body
}

async fn service<H, F>(ca: &Authority, offers: Offers, handler: H) -> (Upstream, &'static str)
where
    H: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let host = if offers == Offers::Http1 { "h1.stream.test" } else { "h2.stream.test" };
    (Upstream::serve(ca, &[host], offers, handler).await, host)
}

fn home(ca: &Authority, (service, host): &(Upstream, &str)) -> Builder {
    let builder = Builder::new(ca).resolve(host, service.address).provider("stream", PROVIDER);
    builder.register("stream", &[("api_key", KEY)])
}

async fn session(nexus: &Nexus, offers: Offers, host: &str) -> Session {
    if offers == Offers::Http1 { Caller::new(nexus).http1(host).await } else { Caller::new(nexus).http2(host).await }
}

async fn next(body: &mut Incoming) -> Bytes {
    body.frame().await.expect("more").expect("sound").into_data().expect("data")
}

/// Nothing follows.
async fn ended(body: &mut Incoming) {
    let rest = body.collect().await.expect("a sound end").to_bytes();
    assert!(rest.is_empty(), "{rest:?}");
}

/// Waits until `count` stands still: the other side is held back.
async fn standing_still(count: &AtomicU64) -> u64 {
    let (mut last, mut same) = (0, 0);
    let mut look = tokio::time::interval(Duration::from_millis(10));
    while same < 30 || last == 0 {
        look.tick().await;
        let now = count.load(Ordering::SeqCst);
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// Sends each event when it is handed out; an empty one ends the answer.
async fn event_service(ca: &Authority, offers: Offers, events: UnboundedReceiver<&'static str>) -> (Upstream, &'static str) {
    let events = Arc::new(tokio::sync::Mutex::new(events));
    service(ca, offers, move |_call| {
        let (mut sender, body) = channel();
        let events = Arc::clone(&events);
        tokio::spawn(async move {
            let mut events = events.lock().await;
            while let Some(event) = events.recv().await.filter(|event| !event.is_empty()) {
                sender.send_data(Bytes::from_static(event.as_bytes())).await.expect("a reader");
            }
        });
        let mut response = Response::new(body);
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/event-stream"));
        std::future::ready(response)
    })
    .await
}

#[test]
fn an_event_arrives_while_its_stream_is_open() {
    run(async {
        let ca = Authority::new();
        for up in [Offers::Http1, Offers::Http2] {
            let (hand_out, events) = tokio::sync::mpsc::unbounded_channel();
            let service = event_service(&ca, up, events).await;
            let nexus = home(&ca, &service).start();
            for down in [Offers::Http1, Offers::Http2] {
                let mut session = session(&nexus, down, service.1).await;
                let response = session.begin(request(Method::GET, "/events", empty())).await.expect("a head");
                let mut body = response.into_body();
                for event in ["data: one\n\n", "data: two\n\n"] {
                    hand_out.send(event).expect("the service");
                    assert_eq!(next(&mut body).await, event.as_bytes(), "{down:?} to {up:?}");
                }
                hand_out.send("").expect("the service");
                ended(&mut body).await;
            }
        }
    });
}

#[test]
fn events_end_with_the_rule_that_let_them_on() {
    run(async {
        let ca = Authority::new();
        let (hand_out, events) = tokio::sync::mpsc::unbounded_channel();
        let service = event_service(&ca, Offers::Http1, events).await;
        for down in [Offers::Http1, Offers::Http2] {
            let ends = jiff::Timestamp::now() + Duration::from_millis(1500);
            let rule =
                format!("[[rule]]\nname = \"today\"\nhosts = \"{}\"\naction = \"allow\"\nexpires = \"{ends}\"\n", service.1);
            let nexus = home(&ca, &service).config(&format!("[policy]\ndefault = \"deny\"\n{rule}")).start();
            let mut session = session(&nexus, down, service.1).await;
            let response = session.begin(request(Method::GET, "/events", empty())).await.expect("a head");
            let mut body = response.into_body();
            hand_out.send("data: one\n\n").expect("the service");
            assert_eq!(next(&mut body).await, "data: one\n\n".as_bytes(), "{down:?}");
            assert!(matches!(body.frame().await, Some(Err(_))), "it breaks off, {down:?}");
            assert!(jiff::Timestamp::now() >= ends);
            assert_eq!(nexus.notes("/events").await, ["rule_over", "broken_off"]);
            // Lets the service's sender of this answer go.
            hand_out.send("").expect("the service");
        }
    });
}

#[test]
fn a_caller_that_reads_nothing_stops_the_service() {
    run(async {
        let ca = Authority::new();
        for version in [Offers::Http1, Offers::Http2] {
            let sent = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&sent);
            let service = service(&ca, version, move |_call| {
                let counted = Arc::clone(&counted);
                async move { Response::new(patterns(256 * MIB, counted, |count| count)) }
            })
            .await;
            let nexus = home(&ca, &service).start();
            let mut session = session(&nexus, version, service.1).await;
            let response = session.begin(request(Method::GET, "/endless", empty())).await.expect("a head");
            let held = standing_still(&sent).await;
            assert!(held < 32 * MIB, "{held} bytes went nowhere, {version:?}");
            let mut checker = Checker::new();
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                checker.take(&frame.expect("sound").into_data().expect("data"));
            }
            assert_eq!(checker.count, 256 * MIB, "{version:?}");
        }
    });
}

#[test]
fn a_service_that_reads_nothing_stops_the_caller() {
    run(async {
        let ca = Authority::new();
        for version in [Offers::Http1, Offers::Http2] {
            let go = Arc::new(tokio::sync::Notify::new());
            let wait = Arc::clone(&go);
            let service = service(&ca, version, move |mut call| {
                let wait = Arc::clone(&wait);
                async move {
                    wait.notified().await;
                    let mut checker = Checker::new();
                    while let Some(frame) = call.body.frame().await {
                        checker.take(&frame.expect("sound").into_data().expect("data"));
                    }
                    answer(200, checker.count.to_string())
                }
            })
            .await;
            let nexus = home(&ca, &service).start();
            let sent = Arc::new(AtomicU64::new(0));
            let body = patterns(256 * MIB, Arc::clone(&sent), |count| count);
            let mut session = session(&nexus, version, service.1).await;
            let sending = session.send(request(Method::PUT, "/upload", body));
            let release = async {
                let held = standing_still(&sent).await;
                assert!(held < 32 * MIB, "{held} bytes went nowhere, {version:?}");
                go.notify_one();
            };
            let (reply, ()) = tokio::join!(sending, release);
            assert_eq!(reply.text(), (256 * MIB).to_string(), "{version:?}");
        }
    });
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// What has passed, as the peers of the proxy count it.
#[derive(Default)]
struct Passed {
    sent_down: AtomicU64,
    sent_up: AtomicU64,
}

/// 1 GiB each way, or 10 with `NEXUS_TEST_ALL=1`. Each reader stops now and then until its writer is held back.
#[test]
fn gigabytes_pass_in_sixteen_mebibytes() {
    let all = std::env::var_os("NEXUS_TEST_ALL").is_some_and(|all| all == "1");
    let total = if all { 10 * 1024 * MIB } else { 1024 * MIB };
    run_within(Duration::from_secs(if all { 1200 } else { 240 }), async move {
        let ca = Authority::new();
        for version in [Offers::Http1, Offers::Http2] {
            let passed = Arc::new(Passed::default());
            let shared = Arc::clone(&passed);
            let service = service(&ca, version, move |call| respond(call, total, Arc::clone(&shared))).await;
            let nexus = home(&ca, &service).spawn().await;
            let mut session = session(&nexus, version, service.1).await;
            for _ in 0..20 {
                assert_eq!(session.get("/warm").await.status, 200);
            }
            let pid = nexus.pid();
            let idle = resident(pid);
            let response = session.begin(request(Method::GET, "/down", empty())).await.expect("a head");
            let (count, mut most) = read_slowly(response.into_body(), total, &passed.sent_down, || resident(pid)).await;
            assert_eq!(count, total);
            let uploading =
                session.send(request(Method::PUT, "/up", patterns(total, Arc::clone(&passed), |passed| &passed.sent_up)));
            let looking = async {
                let mut look = tokio::time::interval(Duration::from_millis(20));
                while passed.sent_up.load(Ordering::SeqCst) < total {
                    look.tick().await;
                    most = most.max(resident(pid));
                }
            };
            let (reply, ()) = tokio::join!(uploading, looking);
            assert_eq!(reply.text(), total.to_string());
            let grown = most.saturating_sub(idle);
            assert!(grown <= 16 * MIB, "{} KiB more than the {} KiB when idle, {version:?}", grown / 1024, idle / 1024);
        }
    });
}

async fn respond(call: Call, total: u64, passed: Arc<Passed>) -> Response<Body> {
    match call.seen.path.as_str() {
        "/down" => Response::new(patterns(total, passed, |passed| &passed.sent_down)),
        "/up" => answer(200, read_slowly(call.body, total, &passed.sent_up, || 0).await.0.to_string()),
        _ => answer(200, "warm"),
    }
}

/// Reads to the end and stops three times until the other side is held back: everything between is full then, and measured.
async fn read_slowly(mut body: Incoming, total: u64, sent: &AtomicU64, measure: impl Fn() -> u64) -> (u64, u64) {
    let (mut checker, mut stop_at, mut most) = (Checker::new(), total / 4, 0);
    while let Some(frame) = body.frame().await {
        checker.take(&frame.expect("sound").into_data().expect("data"));
        if checker.count >= stop_at && stop_at < total {
            stop_at += total / 4;
            standing_still(sent).await;
            most = most.max(measure());
        }
    }
    (checker.count, most)
}

/// A service whose `/silent` says one word and no more, and whose other paths do as the test says.
async fn talkative(ca: &Authority) -> (Upstream, &'static str) {
    service(ca, Offers::Http2, |mut call| async move {
        if call.seen.path == "/long" {
            return Response::new(patterns(64 * MIB, Arc::default(), |count| count));
        }
        let (mut sender, body) = channel();
        tokio::spawn(async move {
            sender.send_data(Bytes::from_static(b"word")).await.expect("a reader");
            if call.seen.path == "/both" {
                while call.body.frame().await.is_some_and(|frame| frame.is_ok()) {}
                sender.send_data(Bytes::from_static(b" end")).await.expect("a reader");
            } else {
                std::future::pending::<()>().await;
            }
        });
        Response::new(body)
    })
    .await
}

/// Ends when the proxy has broken off a silent answer that began now: its idle time is over.
async fn idle_time_is_over(nexus: &Nexus, host: &str) {
    let mut session = Caller::new(nexus).http1(host).await;
    let mut body = session.begin(request(Method::GET, "/silent", empty())).await.expect("a head").into_body();
    assert_eq!(next(&mut body).await, "word");
    assert!(body.frame().await.expect("an end").is_err(), "a silent answer must not look whole");
}

#[test]
fn silence_ends_but_a_caller_may_take_its_time() {
    run(async {
        let ca = Authority::new();
        let service = talkative(&ca).await;
        let nexus = home(&ca, &service).config("[upstream]\nidle_timeout_secs = 1").start();
        let mut session = Caller::new(&nexus).http1(service.1).await;
        let mut body = session.begin(request(Method::GET, "/long", empty())).await.expect("a head").into_body();
        let mut checker = Checker::new();
        checker.take(&next(&mut body).await);
        idle_time_is_over(&nexus, service.1).await;
        while let Some(frame) = body.frame().await {
            checker.take(&frame.expect("sound").into_data().expect("data"));
        }
        assert_eq!(checker.count, 64 * MIB);
        assert!(nexus.notes("/silent").await.contains(&"broken_off".to_owned()));
    });
}

#[test]
fn an_upload_keeps_its_answer_alive() {
    run(async {
        let ca = Authority::new();
        let service = talkative(&ca).await;
        let nexus = home(&ca, &service).config("[upstream]\nidle_timeout_secs = 1").start();
        let mut session = Caller::new(&nexus).http2(service.1).await;
        let (mut sender, body) = channel();
        sender.send_data(Bytes::from_static(b"x")).await.expect("a reader");
        let mut answer = session.begin(request(Method::POST, "/both", body)).await.expect("a head").into_body();
        assert_eq!(next(&mut answer).await, "word");
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        let mut over = std::pin::pin!(async {
            idle_time_is_over(&nexus, service.1).await;
            idle_time_is_over(&nexus, service.1).await;
        });
        loop {
            tokio::select! {
                () = &mut over => break,
                _ = beat.tick() => sender.send_data(Bytes::from_static(b"x")).await.expect("a reader"),
            }
        }
        drop(sender);
        assert_eq!(next(&mut answer).await, " end");
        ended(&mut answer).await;
    });
}
