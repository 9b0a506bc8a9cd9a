//! Threats 117, 122 and 123: a body that breaks off while the credential is renewed is not sent again as if it were whole.

use http::{Method, Response};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::harness::{Body, Call, Offers, TokenServer, answer, channel, read_head, request, run};
use crate::renewal::house::{API, House, Plan};

/// 401 to a dead token after the first piece of a body, and a word when the body has ended or broken; a valid token reads it all.
async fn house(offers: Offers) -> (House, mpsc::UnboundedReceiver<bool>) {
    let (tell, told) = mpsc::unbounded_channel();
    let plan = Plan { offers, ..Plan::default() };
    let house = House::answering(plan, move |tokens, call| serve(tokens, call, tell.clone())).await;
    (house, told)
}

async fn serve(tokens: TokenServer, mut call: Call, tell: mpsc::UnboundedSender<bool>) -> Response<Body> {
    if tokens.accepts(call.seen.bearer()) {
        let Ok(body) = call.read().await else { return answer(400, "") };
        return answer(200, body);
    }
    call.body.frame().await.expect("a piece").expect("a frame");
    tokio::spawn(async move {
        tell.send(call.read().await.is_ok()).expect("the test listens");
    });
    answer(401, "not you")
}

/// How a caller breaks a body of which `hello` has gone out.
const WAYS: [(&str, &str, Option<&str>); 5] = [
    ("a chunk that is none", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Some("zz\r\n")),
    ("a trailer that may not follow", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Some("0\r\nHost: evil.test\r\n\r\n")),
    ("a size without end", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Some("ffffffffffffffffff\r\n")),
    ("chunks cut off", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", None),
    ("a length cut off", "Content-Length: 1000\r\n\r\nhello", None),
];

#[test]
fn t117_t122_t123_a_body_that_breaks_while_the_credential_is_renewed_is_not_sent_again() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            for (what, head, end) in WAYS {
                let (house, mut told) = house(offers).await;
                house.tokens.expire();
                house.tokens.hold();
                let mut stream = house.caller().tls(API, &["http/1.1"]).await;
                let bytes = format!("POST /up HTTP/1.1\r\nHost: {API}\r\n{head}");
                stream.write_all(bytes.as_bytes()).await.expect("a write");
                stream.flush().await.expect("a flush");
                house.tokens.until_used(1).await;
                let stream = match end {
                    Some(end) => {
                        stream.write_all(end.as_bytes()).await.expect("a write");
                        stream.flush().await.expect("a flush");
                        Some(stream)
                    }
                    None => {
                        drop(stream);
                        None
                    }
                };
                // The service has seen the body break, so Nexus has.
                assert_eq!(told.recv().await, Some(false), "{what} {offers:?}");
                house.tokens.let_through(1);
                if let Some(mut stream) = stream {
                    let head = read_head(&mut stream).await;
                    assert!(head.starts_with("HTTP/1.1 4"), "{what} {offers:?}: {head}");
                }
                let line = house.nexus.closed("/up").await;
                assert!(!line["notes"].to_string().contains("replayed"), "{what} {offers:?}: {line}");
                assert_eq!(house.service.count(), 1, "{what} {offers:?}: {line}");
                assert!(house.service.seen()[0].body.is_none(), "{what} {offers:?}");
            }
        }
    });
}

#[test]
fn t117_a_stream_that_is_reset_while_the_credential_is_renewed_is_not_sent_again() {
    run(async {
        for offers in [Offers::Http1, Offers::Http2] {
            let (house, mut told) = house(offers).await;
            house.tokens.expire();
            house.tokens.hold();
            let mut session = house.caller().http2(API).await;
            let (mut sender, body) = channel();
            let sending = tokio::spawn(async move { session.begin(request(Method::POST, "/up", body)).await });
            sender.send_data("hello".into()).await.expect("it is read");
            house.tokens.until_used(1).await;
            sender.abort("the caller has had enough".into());
            assert!(sending.await.expect("no panic").is_err());
            assert_eq!(told.recv().await, Some(false), "{offers:?}");
            house.tokens.let_through(1);
            let line = house.nexus.closed("/up").await;
            assert_eq!(house.service.count(), 1, "{offers:?}: {line}");
        }
    });
}
