//! Threats 77, 79 and 112 from the service's side, over HTTP/2 by hand: a service that floods, stalls or breaks the protocol is cut
//! off, its caller gets an answer that says so, and others notice nothing (I6, I7).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::attack::{HOST, home};
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
    Service, WINDOW_UPDATE, field, frame,
};
use crate::harness::{Authority, Caller, Nexus, Offers, Upstream, answer, empty, eventually, request, run};

const STATUS_200: &[u8] = &[0x88];
/// `:status: 103`, literal (RFC 7541 §6.2.2).
const STATUS_103: &[u8] = &[0x08, 3, b'1', b'0', b'3'];

/// Resident memory of the child, in KiB.
fn memory(nexus: &Nexus) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", nexus.pid())).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Processor time of the child so far.
fn processor(nexus: &Nexus) -> Duration {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", nexus.pid())).expect("a status");
    let fields: Vec<u64> =
        status.rsplit(") ").next().expect("fields").split(' ').filter_map(|field| field.parse().ok()).collect();
    // The state is no number: utime and stime are the 11th and 12th of the rest, in hundredths of a second.
    Duration::from_millis((fields[10] + fields[11]) * 10)
}

/// What is said once, and then again and again.
type Attack = (&'static str, Vec<u8>, Vec<u8>);

fn attacks() -> Vec<Attack> {
    let head = |flags, block: &[u8]| frame(HEADERS, flags, 1, block);
    let long = field(b"x-a", &[b'a'; 1000]);
    let bomb = [&[0x88, 0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], &[b'a'; 4000], &[0xbe; 12_000]].concat();
    vec![
        ("ping", vec![], frame(PING, 0, 0, &[7; 8])),
        ("answers to no ping", vec![], frame(PING, ACK, 0, &[7; 8])),
        ("settings", vec![], frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
        ("priority", vec![], frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("a kind that nobody knows", vec![], frame(0xee, 0, 1, b"?")),
        ("a window of zero", vec![], frame(WINDOW_UPDATE, 0, 1, &[0; 4])),
        ("a connection window of zero", vec![], frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("windows that grow by one", vec![], frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("windows beyond measure", vec![], frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        ("a push", vec![], frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82])),
        ("resets", vec![], frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        ("resets of what nobody asked", vec![], frame(RST_STREAM, 0, 99, &[0, 0, 0, 8])),
        ("goaway", vec![], frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])),
        ("continuation", head(0, STATUS_200), frame(CONTINUATION, 0, 1, &long)),
        ("empty continuation", head(0, STATUS_200), frame(CONTINUATION, 0, 1, b"")),
        ("continuation of nothing", vec![], frame(CONTINUATION, END_HEADERS, 1, &long)),
        ("a head that means megabytes", head(END_HEADERS, &bomb), frame(PING, 0, 0, &[7; 8])),
        ("interim responses", vec![], frame(HEADERS, END_HEADERS, 1, STATUS_103)),
        ("large interim responses", vec![], frame(HEADERS, END_HEADERS, 1, &[STATUS_103, &long[..]].concat())),
        ("heads again and again", head(END_HEADERS, STATUS_200), head(END_HEADERS, STATUS_200)),
        ("heads of what nobody asked", vec![], frame(HEADERS, END_HEADERS | END_STREAM, 99, STATUS_200)),
        ("data of what nobody asked", vec![], frame(DATA, 0, 99, b"EVIL")),
        ("data before the head", vec![], frame(DATA, 0, 1, b"EVIL")),
        ("empty data", head(END_HEADERS, STATUS_200), frame(DATA, 0, 1, b"")),
        ("data that is padding", head(END_HEADERS, STATUS_200), frame(DATA, 8, 1, &[1, 0])),
        ("data behind the end", head(END_HEADERS | END_STREAM, STATUS_200), frame(DATA, 0, 1, b"EVIL")),
        ("frames beyond measure", vec![], frame(DATA, 0, 1, &vec![0; 100_000])),
        ("garbage", vec![], vec![0xff; 1000]),
        ("HTTP/1.1", vec![], b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL".to_vec()),
    ]
}

/// A service that answers its first request on each connection by the attack of the moment, until it can't any more, and says so.
async fn flooding(ca: &Authority, current: &Arc<AtomicUsize>) -> (Upstream, mpsc::UnboundedReceiver<usize>) {
    let (told, closed) = mpsc::unbounded_channel();
    let (current, attacks) = (Arc::clone(current), Arc::new(attacks()));
    let service = Upstream::raw(ca, &[HOST], Offers::Http2, move |stream, _number| {
        let (told, current, attacks) = (told.clone(), Arc::clone(&current), Arc::clone(&attacks));
        async move {
            let Some(mut service) = Service::accept(stream).await else { return };
            if service.request().await.is_none() {
                return;
            }
            let which = current.load(Ordering::SeqCst);
            let Some((_, first, again)) = attacks.get(which) else { return };
            let many = again.repeat(1 + 20_000 / again.len());
            let (mut reading, mut writing) = tokio::io::split(service.into_inner());
            // Whatever comes back is read: it is not we who hold it up.
            let swallowing = async { drop(tokio::io::copy(&mut reading, &mut tokio::io::sink()).await) };
            let attacking = async {
                drop(writing.write_all(first).await);
                while writing.write_all(&many).await.is_ok() && writing.flush().await.is_ok() {}
            };
            tokio::select! {
                () = attacking => {}
                () = swallowing => {}
            }
            told.send(which).ok();
        }
    })
    .await;
    (service, closed)
}

#[test]
fn t77_t112_a_service_that_floods_over_http2_is_cut_off() {
    run(async {
        let ca = Authority::new();
        let current = Arc::new(AtomicUsize::new(0));
        let (service, mut closed) = flooding(&ca, &current).await;
        let calm = Upstream::serve(&ca, &["calm.test"], Offers::Http1, |_call| async { answer(200, "calm") }).await;
        let config =
            "[proxy]\nworkers = 1\nunmatched = \"intercept\"\n[upstream]\nhead_timeout_secs = 5\nidle_timeout_secs = 5";
        let nexus = home(&ca, &service).config(config).resolve("calm.test", calm.address).spawn().await;
        let caller = Caller::new(&nexus);
        let mut others = caller.http1("calm.test").await;
        assert_eq!(others.get("/").await.status, 200);
        let before = memory(&nexus);
        for (number, (what, ..)) in attacks().into_iter().enumerate() {
            current.store(number, Ordering::SeqCst);
            let spent = processor(&nexus);
            let mut session = caller.http1(HOST).await;
            let attacked = session.try_send(request(http::Method::POST, "https://api.acme.test/", empty()));
            let meanwhile = async {
                let asked = Instant::now();
                assert_eq!(others.get("/").await.text(), "calm");
                asked.elapsed()
            };
            let (outcome, waited) = tokio::join!(attacked, meanwhile);
            assert!(waited < Duration::from_secs(2), "{what}: others waited {waited:?}");
            let fits = match &outcome {
                // The head may have come before the flood.
                Ok(reply) => reply.status == 502 || (reply.status == 200 && what == "data behind the end"),
                Err(_broken) => true,
            };
            assert!(fits && !outcome.is_ok_and(|reply| reply.body.windows(4).any(|bytes| bytes == b"EVIL")), "{what}");
            let ended = tokio::time::timeout(Duration::from_secs(10), closed.recv()).await;
            assert_eq!(ended.unwrap_or_else(|_| panic!("{what}: not closed")), Some(number));
            while closed.try_recv().is_ok() {}
            let (grown, took) = (memory(&nexus).saturating_sub(before), processor(&nexus).saturating_sub(spent));
            assert!(grown < 48 * 1024, "{what}: {grown} KiB more");
            assert!(took < Duration::from_secs(3), "{what}: {took:?} of processor time");
        }
    });
}

/// What a service does to an answer over HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    ShortBody,
    LongBody,
    TwoLengths,
    ResetInside,
    EndInside,
    Upgrade,
    Status,
    NoStatus,
    LargeHead,
}

/// The first request meets the broken answer, later ones a sound one.
async fn breaking<S: AsyncRead + AsyncWrite + Unpin>(mut service: Service<S>, bytes: &Mutex<Vec<Vec<u8>>>, how: Broken) {
    while let Some((stream, _bare)) = service.request().await {
        let broken = bytes.lock().expect("a lock").pop();
        let Some(broken) = broken else {
            service.answer(stream).await;
            continue;
        };
        service.send(&broken).await;
        if how == Broken::EndInside {
            return;
        }
    }
}

#[test]
fn t74_t75_t76_t78_malformed_answers_over_http2_are_never_whole() {
    run(async {
        use Broken::{EndInside, LargeHead, LongBody, NoStatus, ResetInside, ShortBody, Status, TwoLengths, Upgrade};
        let never_whole = [ShortBody, LongBody, ResetInside, EndInside].map(|how| (how, 0));
        let refused = [TwoLengths, Upgrade, Status, NoStatus, LargeHead].map(|how| (how, 502));
        let rows: Vec<(Broken, u16)> = [&never_whole[..], &refused[..]].concat();
        for (how, status) in rows {
            let ca = Authority::new();
            let bytes: Mutex<Vec<Vec<u8>>> = Mutex::default();
            let head = |more: &[u8]| frame(HEADERS, END_HEADERS, 1, &[STATUS_200, more].concat());
            let ten = field(b"content-length", b"10");
            let (data, last) = (frame(DATA, 0, 1, b"half"), frame(DATA, END_STREAM, 1, b"half"));
            let answer = match how {
                ShortBody => [head(&ten), last].concat(),
                LongBody => [head(&field(b"content-length", b"2")), last].concat(),
                TwoLengths => [head(&[ten, field(b"content-length", b"4")].concat()), last].concat(),
                ResetInside => [head(b""), data, frame(RST_STREAM, 0, 1, &[0, 0, 0, 2])].concat(),
                EndInside => [head(b""), data].concat(),
                Upgrade => [frame(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'1']), last].concat(),
                Status => [frame(HEADERS, END_HEADERS, 1, &[0x08, 5, b'9', b'9', b'9', b'9', b'9']), last].concat(),
                NoStatus => [frame(HEADERS, END_HEADERS, 1, &field(b"x-a", b"1")), last].concat(),
                LargeHead => {
                    let more = frame(CONTINUATION, 0, 1, &field(b"x-a", &[b'a'; 1000])).repeat(80);
                    [frame(HEADERS, END_STREAM, 1, STATUS_200), more, frame(CONTINUATION, END_HEADERS, 1, b"")].concat()
                }
            };
            bytes.lock().expect("a lock").push(answer);
            let bytes = Arc::new(bytes);
            let service = Upstream::raw(&ca, &[HOST], Offers::Http2, move |stream, _number| {
                let bytes = Arc::clone(&bytes);
                async move {
                    let Some(service) = Service::accept(stream).await else { return };
                    breaking(service, &bytes, how).await;
                }
            })
            .await;
            let nexus = home(&ca, &service).config("[proxy]\nworkers = 1\n[upstream]\nhead_timeout_secs = 2").start();
            let caller = Caller::new(&nexus);
            let mut session = caller.http1(HOST).await;
            let outcome = session.try_send(request(http::Method::POST, "https://api.acme.test/", empty())).await;
            match outcome {
                Ok(reply) => assert_eq!(reply.status, status, "{how:?}: {reply:?}"),
                Err(error) => assert_eq!(status, 0, "{how:?}: {error}"),
            }
            let reply = caller.get("https://api.acme.test/next").await;
            assert_eq!((reply.status, reply.text()), (200, "ok"), "{how:?}");
        }
    });
}

#[test]
fn t73_a_body_where_none_may_be_reaches_nobody() {
    run(async {
        let rows = [(http::Method::HEAD, STATUS_200), (http::Method::GET, &[0x89]), (http::Method::GET, &[0x8b])];
        for (method, status) in rows {
            let ca = Authority::new();
            let service = Upstream::raw(&ca, &[HOST], Offers::Http2, move |stream, _number| async move {
                let Some(mut service) = Service::accept(stream).await else { return };
                while let Some((stream, _bare)) = service.request().await {
                    let head = frame(HEADERS, END_HEADERS, stream, status);
                    service.send(&[head, frame(DATA, END_STREAM, stream, b"EVIL")].concat()).await;
                }
            })
            .await;
            let nexus = home(&ca, &service).config("[proxy]\nworkers = 1").start();
            let caller = Caller::new(&nexus);
            for http2 in [false, true] {
                let mut session = if http2 { caller.http2(HOST).await } else { caller.http1(HOST).await };
                for _ in 0..2 {
                    let outcome = session.try_send(request(method.clone(), "https://api.acme.test/", empty())).await;
                    let evil = outcome.as_ref().is_ok_and(|reply| !reply.body.is_empty());
                    assert!(!evil, "{method} {status:?} {http2}: {outcome:?}");
                }
            }
        }
    });
}

#[test]
fn t79_a_service_that_goes_silent_over_http2_is_a_504_and_its_connection_is_given_up() {
    run(async {
        let ca = Authority::new();
        let (told, mut resets) = mpsc::unbounded_channel();
        let service = Upstream::raw(&ca, &[HOST], Offers::Http2, move |stream, _number| {
            let told = told.clone();
            async move {
                let Some(mut service) = Service::accept(stream).await else { return };
                if service.request().await.is_none() {
                    return;
                }
                // Nothing is said any more; what comes is read.
                let mut stream = service.into_inner();
                while let Some((kind, ..)) = crate::frames::next(&mut stream).await {
                    if kind == RST_STREAM {
                        told.send(()).ok();
                    }
                }
            }
        })
        .await;
        let nexus = home(&ca, &service).config("[upstream]\nhead_timeout_secs = 1").start();
        let reply = Caller::new(&nexus).get("https://api.acme.test/silent").await;
        assert_eq!((reply.status, reply.refusal()), (504, Some("timeout")));
        assert_eq!(resets.recv().await, Some(()), "the service is told that nobody waits any more");
        eventually("every place free", || (nexus.connections() == 0).then_some(())).await;
    });
}
