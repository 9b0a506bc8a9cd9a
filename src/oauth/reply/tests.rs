use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

const NOW: SystemTime = UNIX_EPOCH;

fn reply(status: u16, body: &[u8]) -> TokenReply {
    TokenReply {
        status: StatusCode::from_u16(status).expect("a status"),
        content_type: Some(HeaderValue::from_static("application/json; charset=utf-8")),
        retry_after: None,
        date: None,
        body: Secret::new(body.to_vec()),
    }
}

fn answer(status: u16, body: &str) -> Result<Tokens, Refused> {
    read(&reply(status, body.as_bytes()), NOW)
}

fn reason(status: u16, body: &str) -> &'static str {
    match answer(status, body) {
        Err(Refused::Malformed { reason, .. }) => reason,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn a_full_reply_gives_tokens_and_their_end() {
    let tokens = answer(200, r#"{"access_token":"a","refresh_token":"r","token_type":"Bearer","expires_in":3600,"scope":"x"}"#)
        .expect("tokens");
    assert!(tokens.access_token.matches("a"));
    assert!(tokens.refresh_token.is_some_and(|token| token.matches("r")));
    assert_eq!(tokens.expires_at, Some(NOW + Duration::from_secs(3600)));
}

#[test]
fn a_reply_without_refresh_token_says_so() {
    for body in [
        r#"{"access_token":"a"}"#,
        r#"{"access_token":"a","refresh_token":null}"#,
        r#"{"access_token":"a","refresh_token":""}"#,
    ] {
        assert!(answer(200, body).expect("tokens").refresh_token.is_none(), "{body}");
    }
}

#[test]
fn a_registry_calls_its_token_token() {
    for body in [r#"{"token":"a"}"#, r#"{"token":"b","access_token":"a"}"#, r#"{"token":{},"access_token":"a"}"#] {
        assert!(answer(200, body).expect("tokens").access_token.matches("a"), "{body}");
    }
    assert_eq!(reason(200, r#"{"token":7}"#), "it has no access token");
}

#[test]
fn seconds_may_be_text_and_nonsense_is_refused() {
    for (written, life) in [
        (r#""3600""#, Some(3600)),
        ("3600", Some(3600)),
        ("3599.7", Some(3599)),
        ("0", None),
        ("-1", None),
        ("1e300", None),
        ("null", None),
        (r#""""#, None),
        ("18446744073709551616", None),
    ] {
        let tokens = answer(200, &format!(r#"{{"access_token":"a","expires_in":{written}}}"#)).expect(written);
        assert_eq!(tokens.expires_at, life.map(|life| NOW + Duration::from_secs(life)), "{written}");
    }
    for written in ["true", "[1]", "{}", r#""soon""#, r#""NaN""#, r#""inf""#] {
        let body = format!(r#"{{"access_token":"a","expires_in":{written}}}"#);
        assert_eq!(reason(200, &body), "its expires_in is not a number of seconds", "{written}");
    }
}

#[test]
fn t130_odd_json_is_refused() {
    for body in [
        "",
        "null",
        "[]",
        "\"a\"",
        "{",
        "access_token=a&token_type=bearer",
        r#"{"access_token":"a"} x"#,
        r#"{"access_token":1}"#,
        r#"{"access_token":["a"]}"#,
        r#"{"access_token":"a","refresh_token":{}}"#,
        r#"{"access_token":"a","access_token":"b"}"#,
        r#"{"access_token":"a","token_type":7}"#,
        "<html></html>",
        r#"{"access_token":""}"#,
        r#"{}"#,
        r#"{"access_token":"a\nb"}"#,
        r#"{"access_token":"a b"}"#,
        r#"{"access_token":"é"}"#,
        r#"{"access_token":"a","refresh_token":"\u0000"}"#,
        r#"{"access_token":"a","token_type":"mac"}"#,
        r#"{"access_token":"a","token_type":"DPoP"}"#,
        r#"{"access_token":"a","error":{}}"#,
        r#"{"access_token":"a","error":""}"#,
    ] {
        let refused = answer(200, body).expect_err("a refusal");
        assert!(matches!(refused, Refused::Malformed { .. } | Refused::Unknown { .. }) && !refused.is_final(), "{body}");
    }
    let deep = format!(r#"{{"access_token":"a","error":{}1{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    assert!(matches!(answer(200, &deep), Err(Refused::Malformed { .. })));
}

#[test]
fn t130_a_huge_reply_is_refused() {
    let padded = |size: usize| {
        let mut body = br#"{"access_token":"a"}"#.to_vec();
        body.resize(size, b' ');
        read(&reply(200, &body), NOW)
    };
    assert!(padded(REPLY_LIMIT).is_ok());
    assert!(matches!(padded(REPLY_LIMIT + 1), Err(Refused::Malformed { reason: "it is larger than 64 KiB", .. })));
}

#[test]
fn t130_a_wrong_content_type_is_refused() {
    for (kind, good) in [
        ("application/json", true),
        ("application/vnd.x+json", true),
        ("text/plain", true),
        ("text/html", false),
        ("application/x-www-form-urlencoded", false),
        ("multipart/form-data", false),
    ] {
        let reply = TokenReply { content_type: Some(HeaderValue::from_static(kind)), ..reply(200, br#"{"access_token":"a"}"#) };
        assert_eq!(read(&reply, NOW).is_ok(), good, "{kind}");
    }
}

#[test]
fn t130_a_redirect_is_never_followed_nor_final() {
    for status in [301, 302, 303, 307, 308] {
        assert_eq!(reason(status, r#"{"access_token":"a","error":"invalid_grant"}"#), "it redirects");
    }
}

#[test]
fn t124_an_error_is_an_error_whatever_the_status() {
    for (status, body) in [
        (400, r#"{"error":"invalid_grant"}"#),
        (200, r#"{"error":"bad_refresh_token","access_token":"a"}"#),
        (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#),
        (400, r#"{"status":"BAD_REFRESH_TOKEN","message":"missing"}"#),
    ] {
        assert!(matches!(answer(status, body), Err(Refused::InvalidGrant { .. })), "{body}");
    }
    assert!(matches!(answer(401, r#"{"error":"invalid_client"}"#), Err(Refused::InvalidClient { code: "invalid_client" })));
    for (body, word) in
        [(r#"{"error":"odd_one","access_token":"a"}"#, "odd_one"), (r#"{"error":{"code":7}}"#, "one that is no word")]
    {
        let said = answer(200, body).expect_err("a refusal").to_string();
        assert_eq!(said, format!("the token endpoint answers with an error that we do not know: {word} (status 200 OK)"));
    }
}

#[test]
fn t124_what_a_middlebox_says_is_not_final() {
    for (status, body) in
        [(400, "<html>bad request</html>"), (401, ""), (403, "{}"), (404, "{}"), (204, ""), (400, "{}"), (101, "")]
    {
        assert!(answer(status, body).is_err_and(|refused| !refused.is_final()), "{status} {body}");
    }
}

fn installation(status: u16, body: &str) -> Result<Tokens, Refused> {
    read_installation(&reply(status, body.as_bytes()), NOW)
}

#[test]
fn an_installation_token_comes_with_its_end() {
    let body = r#"{"token":"ghs_1","expires_at":"2016-07-11T22:14:10Z","permissions":{"issues":"write"},"repository_selection":"all"}"#;
    let tokens = installation(201, body).expect("tokens");
    assert!(tokens.access_token.matches("ghs_1") && tokens.refresh_token.is_none());
    assert_eq!(tokens.expires_at, Some(NOW + Duration::from_secs(1_468_275_250)));
    let body = body.replace("22:14:10Z", "22:14");
    assert!(matches!(
        installation(201, &body),
        Err(Refused::Malformed { reason: "its expires_at is not a time of RFC 3339", .. })
    ));
    assert!(matches!(installation(201, r#"{"token":"a\nb"}"#), Err(Refused::Malformed { .. })));
    assert!(matches!(installation(200, r#"{"token":"a"}"#), Err(Refused::Malformed { .. })));
}

#[test]
fn t124_only_githubs_own_word_about_an_installation_is_final() {
    let theirs = r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#;
    for (status, body, last) in [
        (401, theirs, true),
        (404, theirs, true),
        (403, theirs, false),
        (429, theirs, false),
        (500, theirs, false),
        (401, "{}", false),
        (404, r#"{"message":"captive"}"#, false),
        (401, "<html>", false),
        (302, theirs, false),
    ] {
        let refused = installation(status, body).expect_err("a refusal");
        assert_eq!(refused.is_final(), last, "{status} {body}");
    }
    let limited = TokenReply { retry_after: Some(HeaderValue::from_static("30")), ..reply(403, theirs.as_bytes()) };
    let refused = read_installation(&limited, NOW).expect_err("a refusal");
    assert!(matches!(refused, Refused::Busy { retry_after: Some(wait), .. } if wait.as_secs() == 30));
}

#[test]
fn an_installation_token_of_a_service_whose_clock_is_ahead_lives_as_long_as_it_says() {
    let body = br#"{"token":"a","expires_at":"1970-01-01T01:05:00Z"}"#;
    let date = Some(HeaderValue::from_static("Thu, 01 Jan 1970 00:05:00 GMT"));
    let end = |reply: &TokenReply| read_installation(reply, NOW).expect("a token").expires_at;
    assert_eq!(end(&TokenReply { date, ..reply(201, body) }), Some(NOW + Duration::from_secs(3600)));
    assert_eq!(end(&reply(201, body)), Some(NOW + Duration::from_secs(3900)));
}

#[test]
fn a_good_reply_may_have_a_status_member() {
    assert!(answer(200, r#"{"access_token":"a","status":"token_expired","code":7}"#).is_ok());
}

#[test]
fn retry_after_is_seconds_or_a_date_and_bounded() {
    let http_date = "Thu, 01 Jan 1970 00:01:30 GMT";
    for (text, wait) in [
        ("7", Some(7)),
        (http_date, Some(90)),
        ("999999", Some(3600)),
        ("99999999999999999999999", Some(3600)),
        ("-3", None),
        ("x", None),
        ("", None),
    ] {
        let reply = TokenReply { retry_after: Some(HeaderValue::from_static(text)), ..reply(429, b"") };
        let wait = wait.map(Duration::from_secs);
        assert_eq!(
            read(&reply, NOW).err(),
            Some(Refused::Busy { status: StatusCode::TOO_MANY_REQUESTS, retry_after: wait }),
            "{text}"
        );
    }
    let date = Some(HeaderValue::from_static("Thu, 01 Jan 1970 00:01:00 GMT"));
    let theirs = TokenReply { date, retry_after: Some(HeaderValue::from_static(http_date)), ..reply(429, b"") };
    let refused = read(&theirs, NOW).err();
    assert!(matches!(refused, Some(Refused::Busy { retry_after: Some(wait), .. }) if wait.as_secs() == 30), "by their clock");
    let past = TokenReply { retry_after: Some(HeaderValue::from_static(http_date)), ..reply(503, b"") };
    let refused = read(&past, NOW + Duration::from_secs(100)).err();
    assert!(matches!(refused, Some(Refused::Busy { retry_after: Some(Duration::ZERO), .. })));
}

#[test]
fn i1_neither_tokens_nor_refusals_show_a_token() {
    for (status, body) in [
        (200, r#"{"access_token":"hunter2","refresh_token":"hunter2"}"#),
        (200, r#"{"access_token":"hunter2","expires_in":"hunter2"}"#),
        (200, r#"{"access_token":"a","token_type":"hunter2"}"#),
        (400, r#"{"error":"hunter2","error_description":"hunter2"}"#),
        (200, r#"{"access_token":"a","refresh_token":{"hunter2":1}}"#),
    ] {
        let read = answer(status, body);
        let shown = format!(
            "{read:?} {:?} {}",
            reply(status, body.as_bytes()),
            read.as_ref().err().map(ToString::to_string).unwrap_or_default()
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

proptest! {
    #[test]
    fn i7_no_bytes_panic_the_reader(status in 100u16..1000, body in proptest::collection::vec(any::<u8>(), 0..400), kind in "[ -~]{0,30}", after in "[ -~]{0,30}") {
        let reply = TokenReply {
            status: StatusCode::from_u16(status).expect("a status"),
            content_type: HeaderValue::from_str(&kind).ok(),
            retry_after: HeaderValue::from_str(&after).ok(),
            date: HeaderValue::from_str(&after).ok(),
            body: Secret::new(body),
        };
        prop_assert!(read(&reply, NOW).is_err() && read_installation(&reply, NOW).is_err());
    }

    #[test]
    fn i7_no_json_panics_the_reader(status in 100u16..1000, access in "\\PC{0,20}", life in any::<f64>(), word in "\\PC{0,20}", cut in 0usize..200) {
        let mut body = serde_json::json!({ "access_token": access, "expires_in": life, "error": word, "code": life, "status": word }).to_string().into_bytes();
        prop_assert!(read(&reply(status, &body), NOW).is_err());
        body.truncate(cut);
        prop_assert!(read(&reply(status, &body), NOW).is_err());
    }

    #[test]
    fn a_token_that_is_read_is_the_token_that_was_sent(access in "[!-~]{1,200}", refresh in "[!-~]{1,200}") {
        let body = serde_json::json!({ "access_token": access, "refresh_token": refresh }).to_string();
        let tokens = answer(200, &body).expect("tokens");
        prop_assert!(tokens.access_token.matches(&access));
        prop_assert!(tokens.refresh_token.is_some_and(|token| token.matches(&refresh)));
    }
}
