use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::head::{Expectation, Gate, ReadError, Verdict, read_head};

type Answer = Response<Full<Bytes>>;

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time") })
}

fn answer(status: u16, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    answer
}

/// A request's number and where to say what became of its wish.
struct Wish(u64, Arc<Verdict>);

impl Wish {
    fn grant(self) {
        assert_eq!(self.1.requests_seen(), self.0, "nothing behind the wish is read as a request");
        self.1.raw(self.0);
    }

    fn refuse(self) {
        assert_eq!(self.1.requests_seen(), self.0, "nothing behind the wish is read as a request");
        self.1.resume(self.0);
    }
}

/// Serves one stream as the proxy does, and answers what stands for a malformed request with 400 and its kind.
async fn serve<S, F>(stream: S, serve_one: impl Fn(Request<Incoming>, Wish) -> F) -> hyper::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Answer>,
{
    let limits = Limits { linger: Duration::from_millis(200), ..Limits::default() };
    let (gate, verdict) = Gate::requests(stream, BytesMut::new(), limits);
    let number = Cell::new(0);
    let service = service_fn(|request| {
        number.set(number.get() + 1);
        let malformed = verdict.malformed_at(number.get());
        let answered = serve_one(request, Wish(number.get(), Arc::clone(&verdict)));
        async move {
            match malformed {
                Some(malformed) => Ok::<_, Infallible>(answer(400, malformed.kind())),
                None => Ok(answered.await),
            }
        }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(gate), service).with_upgrades().await
}

/// Sends `bytes`, then reads all that is answered.
async fn talk(mut stream: DuplexStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.expect("sent");
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).await.expect("answered");
    String::from_utf8(answers).expect("text")
}

#[test]
fn t68_a_malformed_request_is_answered_in_its_turn_and_is_the_last() {
    let (caller, stream) = tokio::io::duplex(64 * 1024);
    let slow = |_: Request<Incoming>, _: Wish| async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        answer(200, "fine")
    };
    let sent = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\nHost: a\n\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n";
    let (served, answers) = run(async { tokio::join!(serve(stream, slow), talk(caller, sent)) });
    assert!(served.is_ok(), "{served:?}");
    let statuses: Vec<_> = answers.lines().filter(|line| line.contains("HTTP/1.1 ")).collect();
    assert_eq!(statuses.len(), 3, "{answers}");
    assert!(statuses[2].contains("HTTP/1.1 400"), "{answers}");
    assert!(answers.ends_with("line_end"), "{answers}");
}

#[test]
fn a_stand_in_is_told_from_a_request_that_looks_like_it() {
    let (caller, stream) = tokio::io::duplex(64 * 1024);
    let sent = b"GET /malformed HTTP/1.1\r\nHost: malformed.invalid\r\nConnection: close\r\n\r\n";
    let serving = serve(stream, |_, _| async { answer(200, "a plain request") });
    let (_, answers) = run(async { tokio::join!(serving, talk(caller, sent)) });
    assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
}

#[test]
fn t110_an_answer_to_an_endless_head_is_not_lost_to_a_reset() {
    run(async {
        // Small buffers, so that the caller can't be done writing before it is answered.
        let socket = || {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(8 * 1024).expect("set");
            socket.set_send_buffer_size(8 * 1024).expect("set");
            socket
        };
        let listening = socket();
        listening.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        let listener = listening.listen(1).expect("listening");
        let address = listener.local_addr().expect("an address");
        let serving = async {
            let (stream, _) = listener.accept().await.expect("accepted");
            serve(stream, |_, _| async { answer(200, "") }).await
        };
        let calling = async {
            let mut stream = socket().connect(address).await.expect("connected");
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nA: ").await.expect("sent");
            stream.write_all(&vec![b'x'; 600 * 1024]).await.expect("sent");
            let mut answers = String::new();
            stream.read_to_string(&mut answers).await.expect("not reset");
            answers
        };
        let (_, answers) = tokio::join!(serving, calling);
        assert!(answers.ends_with("head_too_large"), "{answers}");
    });
}

/// Takes the upgrade and sends back, in capitals, what comes after it.
async fn shout(mut request: Request<Incoming>, wish: Wish) -> Answer {
    wish.grant();
    let status = if request.method() == "CONNECT" { 200 } else { 101 };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.expect("upgraded"));
        let mut heard = [0; 27];
        stream.read_exact(&mut heard).await.expect("heard");
        stream.write_all(&heard.to_ascii_uppercase()).await.expect("said");
        stream.shutdown().await.expect("closed");
    });
    answer(status, "")
}

#[test]
fn t63_t66_t67_bytes_behind_a_granted_wish_pass_untouched_even_when_they_came_early() {
    for wish in
        ["GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"]
    {
        let (caller, stream) = tokio::io::duplex(64 * 1024);
        let sent = format!("{wish}get /x http/1.1\nhost\0\r\n\r\n\x16\x03");
        let (_, answers) = run(async { tokio::join!(serve(stream, shout), talk(caller, sent.as_bytes())) });
        assert!(answers.ends_with("\r\n\r\nGET /X HTTP/1.1\nHOST\0\r\n\r\n\x16\x03"), "{answers:?}");
    }
}

#[test]
fn t63_a_wish_that_is_not_granted_leaves_requests_behind_it_as_they_are() {
    let (caller, stream) = tokio::io::duplex(64 * 1024);
    let refuse = |request: Request<Incoming>, wish: Wish| async move {
        if request.uri().path() == "/wish" {
            tokio::task::yield_now().await;
            wish.refuse();
        }
        answer(200, request.uri().path())
    };
    let sent = b"GET /wish HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\nGET /bad\r\n\r\n";
    let (_, answers) = run(async { tokio::join!(serve(stream, refuse), talk(caller, sent)) });
    let bodies: Vec<_> =
        answers.split("\r\n\r\n").skip(1).map(|rest| rest.split("HTTP/1.1").next().unwrap_or_default()).collect();
    assert_eq!(bodies, ["/wish", "/next", "request_line"], "{answers}");
}

#[test]
fn t63_each_wish_is_held_for_its_own_answer() {
    let (caller, stream) = tokio::io::duplex(64 * 1024);
    let second = |request: Request<Incoming>, wish: Wish| async move {
        match request.uri().path() {
            "/grant" => return shout(request, wish).await,
            "/refuse" => wish.refuse(),
            // A word about a request that was no wish is not one about the wish behind it.
            _ => wish.1.resume(wish.0),
        }
        answer(200, "")
    };
    let wish = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n");
    let sent = format!(
        "{}GET / HTTP/1.1\r\nHost: a\r\n\r\n{}get /x http/1.1\nhost\0\r\n\r\n\x16\x03",
        wish("/refuse"),
        wish("/grant")
    );
    let (_, answers) = run(async { tokio::join!(serve(stream, second), talk(caller, sent.as_bytes())) });
    assert!(answers.ends_with("\r\n\r\nGET /X HTTP/1.1\nHOST\0\r\n\r\n\x16\x03"), "{answers:?}");
}

#[test]
fn a_caller_that_leaves_while_its_wish_is_undecided_is_noticed() {
    let (mut caller, stream) = tokio::io::duplex(1024);
    run(async {
        let serving = serve(stream, |_, _| std::future::pending());
        let leaving = async move {
            caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n").await.expect("sent");
            drop(caller);
        };
        let (served, ()) = tokio::join!(serving, leaving);
        assert!(served.expect_err("given up").is_incomplete_message());
    });
}

#[test]
fn t60_a_malformed_body_reaches_the_service_as_an_error_that_says_so() {
    let (caller, stream) = tokio::io::duplex(1024);
    let read = |request: Request<Incoming>, _: Wish| async {
        let error = request.into_body().collect().await.expect_err("malformed");
        answer(400, Malformed::in_chain(&error).map_or("something else", Malformed::kind))
    };
    let sent = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n";
    let (_, answers) = run(async { tokio::join!(serve(stream, read), talk(caller, sent)) });
    assert!(answers.starts_with("HTTP/1.1 400") && answers.ends_with("chunk_size"), "{answers}");
}

#[test]
fn big_bodies_come_through_whole_in_both_framings() {
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let mut chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(7919) {
        chunked.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunked.extend(chunk);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let sized = [
        format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(),
        &body,
    ]
    .concat();
    let (caller, stream) = tokio::io::duplex(10_000);
    let compare = |request: Request<Incoming>, _: Wish| async {
        let received = request.into_body().collect().await.expect("a body").to_bytes();
        answer(if received == body { 200 } else { 500 }, "")
    };
    let sent = [chunked, sized].concat();
    let (_, answers) = run(async { tokio::join!(serve(stream, compare), talk(caller, &sent)) });
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}

/// Asks `/` of a service that answers each request with the next of `answers`, as often as there are some.
async fn ask(answers: &'static [&'static str]) -> Vec<Result<String, hyper::Error>> {
    let (mut service, stream) = tokio::io::duplex(64 * 1024);
    let (gate, expectation): (_, Arc<Expectation>) = Gate::responses(stream, Limits::default());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(gate)).await.expect("a connection");
    let connection = tokio::spawn(connection);
    let answering = async move {
        for answer in answers {
            let mut request = BytesMut::new();
            while !request.ends_with(b"\r\n\r\n") {
                service.read_buf(&mut request).await.expect("a request");
            }
            service.write_all(answer.as_bytes()).await.expect("answered");
        }
    };
    let asking = async move {
        let mut results = Vec::new();
        for _ in answers {
            expectation.expect(false, false);
            let request = Request::get("/").header("host", "a").body(Empty::<Bytes>::new()).expect("a request");
            let received = match sender.send_request(request).await {
                Ok(response) => response.into_body().collect().await.map(|body| body.to_bytes()),
                Err(error) => Err(error),
            };
            results.push(received.map(|body| String::from_utf8_lossy(&body).into_owned()));
        }
        results
    };
    let ((), results) = tokio::join!(answering, asking);
    connection.abort();
    results
}

#[test]
fn responses_come_one_by_one_over_one_connection() {
    let results = run(ask(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthree",
    ]));
    let texts: Vec<_> = results.into_iter().map(|result| result.expect("a response")).collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn t77_interim_responses_are_counted_for_each_request_anew() {
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let answer: &str = Box::leak(format!("{}HTTP/1.1 204 No Content\r\n\r\n", HINTS.repeat(10)).into_boxed_str());
    let results = run(ask(Box::leak(Box::new([answer, answer]))));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[test]
fn t74_t76_a_malformed_response_is_an_error_that_says_so() {
    for (answer, expected) in [
        (&["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"], Malformed::FramingConflict),
        (&["HTTP/1.1 99999 OK\r\n\r\n"], Malformed::StatusLine),
        (&["HTTP/1.1 101 Switching\r\n\r\n"], Malformed::UnrequestedSwitch),
        (&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc"], Malformed::ChunkSize),
    ] {
        let mut results = run(ask(answer));
        let error = results.remove(0).expect_err("malformed");
        assert_eq!(Malformed::in_chain(&error), Some(expected), "{error:?}");
    }
}

#[test]
fn t75_a_truncated_response_is_never_whole() {
    for answer in [
        &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
        &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"],
    ] {
        assert!(run(ask(answer)).remove(0).is_err(), "{answer:?}");
    }
}

#[test]
fn the_first_head_is_read_alone_and_what_follows_stays() {
    run(async {
        let mut buffer = BytesMut::new();
        let bytes = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n\x16\x03\x01";
        let head = read_head(&mut &bytes[..], &mut buffer, &Limits::default()).await.expect("a head");
        assert_eq!(head.view(&buffer).target, "a.example:443");
        assert_eq!(buffer.split_off(head.len()), b"\x16\x03\x01"[..]);
        let mut nothing = BytesMut::new();
        assert!(matches!(read_head(&mut &b""[..], &mut nothing, &Limits::default()).await, Err(ReadError::Closed)));
        assert!(matches!(read_head(&mut &b"GET"[..], &mut nothing, &Limits::default()).await, Err(ReadError::Truncated)));
        let refused = read_head(&mut &b"GET / HTTP/1.1\n"[..], &mut BytesMut::new(), &Limits::default()).await;
        assert!(matches!(refused, Err(ReadError::Malformed(Malformed::LineEnd))));
    });
}

#[test]
fn a_prefix_that_was_already_read_comes_first() {
    let (caller, stream) = tokio::io::duplex(1024);
    let (mut gate, verdict) = Gate::requests(stream, BytesMut::from(&b"GET / HTTP/1.1\r\nHo"[..]), Limits::default());
    let received = run(async {
        let mut received = Vec::new();
        let (_, read) = tokio::join!(
            async move {
                let mut caller = caller;
                caller.write_all(b"st: a\r\n\r\n").await
            },
            gate.read_to_end(&mut received)
        );
        read.expect("read");
        received
    });
    assert_eq!((received.as_slice(), verdict.requests_seen()), (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], 1));
}
