//! Services that say by something else than 401 that a token is dead, and 401s that say something else.

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, Response};

use super::house::{API, House, Plan};
use crate::harness::{Body, Call, Offers, TokenServer, answer, full, request, run};

const SIGNALS: &str = r#"
[[expired]]
status = [200]
header = { name = "Content-Type", contains = "json" }
body = ['"error": "token_expired"', '"error":"invalid_auth"']
[[expired]]
status = [400, 403]
body = ["Invalid access token"]
[[not_expired]]
status = [401]
header = { name = "www-authenticate", contains = "service=" }
"#;

fn with(status: u16, fields: &[(HeaderName, &'static str)], text: impl Into<String>) -> Response<Body> {
    let mut response = answer(status, text.into());
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What each path says to a token that lives, and to one that does not.
async fn odd(tokens: TokenServer, mut call: Call) -> Response<Body> {
    let body = call.read().await.unwrap_or_default();
    assert_eq!(call.seen.header("accept-encoding"), Some("identity"), "what is judged is not compressed");
    let json = [(CONTENT_TYPE, "application/json; charset=utf-8")];
    let grpc = HeaderName::from_static("grpc-status");
    if tokens.accepts(call.seen.bearer()) {
        let long =
            format!("{{\"ok\":true,\"echo\":\"{}\",\"text\":\"{}\"}}", String::from_utf8_lossy(&body), "x".repeat(100_000));
        return with(200, &json, long);
    }
    match call.seen.path.as_str() {
        "/slack" => with(200, &json, "{\"ok\":false, \"error\"\t:\n\"token_expired\"}"),
        "/padded" => with(200, &json, format!("{}{{\"error\":\"invalid_auth\"}}", " ".repeat(8_000))),
        "/far" => with(200, &json, format!("{}{{\"error\":\"invalid_auth\"}}", "x".repeat(9_000))),
        "/text" => with(200, &[(CONTENT_TYPE, "text/html")], "{\"error\":\"invalid_auth\"}"),
        "/forbidden" => with(403, &[], "Invalid access token"),
        "/other" => with(403, &[], "You shall not pass"),
        "/grpc" => with(200, &[(CONTENT_TYPE, "application/grpc"), (grpc, "16")], ""),
        "/dance" => with(401, &[(WWW_AUTHENTICATE, "Bearer realm=\"https://auth.test/token\",service=\"registry\"")], "dance"),
        "/digest" => with(401, &[(WWW_AUTHENTICATE, "Digest realm=\"x\", nonce=\"y\"")], "digest"),
        "/otp" => with(401, &[(WWW_AUTHENTICATE, "OTP")], "otp"),
        path => with(404, &[], path),
    }
}

async fn house(offers: Offers) -> House {
    House::answering(Plan { offers, more: SIGNALS, ..Plan::default() }, odd).await
}

#[test]
fn a_token_that_a_service_calls_dead_in_its_own_words_is_renewed_once_and_nobody_notices() {
    run(async {
        for path in ["/slack", "/padded", "/forbidden", "/grpc"] {
            for offers in [Offers::Http1, Offers::Http2] {
                let house = house(offers).await;
                house.tokens.expire();
                let mut asked = request(Method::POST, &House::url(path), full("hello"));
                asked.headers_mut().insert("accept-encoding", HeaderValue::from_static("gzip, br"));
                let reply = house.caller().send(asked).await;
                let echoed =
                    reply.text().starts_with("{\"ok\":true,\"echo\":\"hello\",\"text\":\"xxx") && reply.text().len() > 100_000;
                assert!(reply.status == 200 && echoed, "{path} {offers:?} {} {}", reply.status, reply.text().len());
                assert_eq!(house.tokens.uses(), 1, "{path}");
                assert_eq!(house.nexus.notes(path).await, ["renewed", "replayed"], "{path}");
                house.no_mistakes();
            }
        }
    });
}

#[test]
fn an_answer_that_says_nothing_of_the_credential_passes_whole_and_renews_nothing() {
    run(async {
        for (path, status, text) in [
            ("/far", 200, "invalid_auth\"}"),
            ("/text", 200, "{\"error\":\"invalid_auth\"}"),
            ("/other", 403, "You shall not pass"),
            ("/dance", 401, "dance"),
            ("/digest", 401, "digest"),
            ("/otp", 401, "otp"),
            ("/nowhere", 404, "/nowhere"),
        ] {
            let house = house(Offers::Both).await;
            house.tokens.expire();
            let reply = house.caller().get(&House::url(path)).await;
            assert_eq!((reply.status, reply.text().ends_with(text)), (status, true), "{path} {reply:?}");
            assert_eq!((house.tokens.uses(), house.service.count()), (0, 1), "{path}");
        }
    });
}

#[test]
fn a_service_that_always_says_so_costs_one_renewal_at_most() {
    run(async {
        let always = |_tokens: TokenServer, _call: Call| async {
            with(200, &[(CONTENT_TYPE, "application/json")], "{\"error\":\"token_expired\"}")
        };
        let house = House::answering(Plan { more: SIGNALS, ..Plan::default() }, always).await;
        let mut session = house.caller().http1(API).await;
        for _ in 0..20 {
            assert_eq!(session.get("/a").await.text(), "{\"error\":\"token_expired\"}");
        }
        assert!(house.tokens.uses() <= 1, "{}", house.tokens.uses());
    });
}
