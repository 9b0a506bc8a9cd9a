use std::collections::HashMap;

use super::*;
use crate::oauth::{Authentication, Encoding};

const REDIRECT: &str = "http://127.0.0.1:8093/callback";

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn known() -> Unguessable {
    Unguessable {
        state: secret("af0ifjsldkj"),
        // RFC 7636 appendix B.
        verifier: secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        nonce: secret("n-0S6_WzA2Mj"),
    }
}

fn ask_with(change: impl FnOnce(&mut Authorization<'_>)) -> (HashMap<String, String>, String, Consent) {
    let (client_id, scopes) = (secret("s6BhdRkqt3"), ["openid".to_owned(), "repo:read".to_owned()]);
    let mut authorization = Authorization {
        url: "https://login.acme.example/authorize",
        client_id: &client_id,
        redirect_uri: REDIRECT,
        scopes: &scopes,
        separator: " ",
        params: &[],
        pkce: true,
        issuer: Issuer::new(None, &[("", "https://login.acme.example/authorize")]),
    };
    change(&mut authorization);
    let (url, consent) = authorization.ask(known()).expect("a page");
    let query = url.split_once('?').expect("a query").1;
    let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a pair"));
    (pairs.map(|(name, value)| (name.to_owned(), decoded(value).into_owned())).collect(), url, consent)
}

fn consent() -> Consent {
    ask_with(|_| {}).2
}

fn answer(query: &str) -> Result<Code, Denied> {
    match consent().callback(REDIRECT, query) {
        Callback::Answer(answer) => answer,
        Callback::Strange(_, strange) => panic!("{query}: {strange}"),
    }
}

fn strange(redirect: &str, query: &str) -> (Consent, Strange) {
    match consent().callback(redirect, query) {
        Callback::Strange(consent, strange) => (consent, strange),
        Callback::Answer(answer) => panic!("{redirect}?{query}: {answer:?}"),
    }
}

#[test]
fn the_page_is_asked_as_the_standards_write_it() {
    let (query, url, consent) = ask_with(|_| {});
    let wanted = [
        ("response_type", "code"),
        ("client_id", "s6BhdRkqt3"),
        ("redirect_uri", REDIRECT),
        ("state", "af0ifjsldkj"),
        ("scope", "openid repo:read"),
        // RFC 7636 appendix B.
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("nonce", "n-0S6_WzA2Mj"),
    ];
    assert_eq!(query, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(url.contains("scope=openid+repo%3Aread&"), "{url}");
    assert!(!format!("{consent:?}").contains("dBjft") && !format!("{consent:?}").contains("af0if"));
}

#[test]
fn what_a_provider_wants_differently_is_done_so() {
    let scopes = vec!["repo".to_owned(), "gist".to_owned()].leak();
    let params = vec![("prompt".to_owned(), "select account".to_owned())].leak();
    let (query, url, _) = ask_with(|ask| {
        (ask.url, ask.scopes, ask.separator) = ("https://login.acme.example/a?tenant=x", scopes, ",");
        (ask.params, ask.pkce) = (params, false);
    });
    assert!(url.starts_with("https://login.acme.example/a?tenant=x&response_type=code&"), "{url}");
    assert_eq!((query["scope"].as_str(), query["prompt"].as_str()), ("repo,gist", "select account"));
    assert!(["nonce", "code_challenge", "code_challenge_method"].iter().all(|name| !query.contains_key(*name)), "{url}");
    let (query, ..) = ask_with(|ask| ask.scopes = &[]);
    assert!(!query.contains_key("scope"));
    let plain = Authorization {
        url: "http://login.acme.example/",
        client_id: &secret("a"),
        redirect_uri: REDIRECT,
        scopes: &[],
        separator: " ",
        params: &[],
        pkce: true,
        issuer: Issuer::new(None, &[]),
    };
    assert!(matches!(plain.ask(known()), Err(Unready::NotHttps)));
}

#[test]
fn a_code_is_redeemed_with_its_verifier_and_the_same_redirect_uri() {
    let code = answer("code=Sp%2FlxlOB&state=af0ifjsldkj&session_state=x").expect("a code");
    assert!(!format!("{code:?}").contains("lxlOB"));
    let client = Client {
        encoding: Encoding::Form,
        authentication: Authentication::Post,
        id: Some(&secret("s6BhdRkqt3")),
        secret: Some(&secret("gX1fBat3bV")),
    };
    let (request, expected) = code.redeem("https://login.acme.example/token".into(), &client).expect("a request");
    assert_eq!(
        request.body(),
        "grant_type=authorization_code&code=Sp%2FlxlOB&redirect_uri=http%3A%2F%2F127.0.0.1%3A8093%2Fcallback\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&client_id=s6BhdRkqt3&client_secret=gX1fBat3bV"
    );
    assert!(expected.nonce.is_some_and(|nonce| nonce.matches("n-0S6_WzA2Mj")));
    let json = Client { encoding: Encoding::Json, ..client };
    let code = answer("code=abc&state=af0ifjsldkj").expect("a code");
    let (request, _) = code.redeem("https://login.acme.example/token".into(), &json).expect("a request");
    let body: serde_json::Value = serde_json::from_slice(&request.body()).expect("JSON");
    assert_eq!((body["grant_type"].as_str(), body["redirect_uri"].as_str()), (Some("authorization_code"), Some(REDIRECT)));
}

#[test]
fn i6_an_answer_of_another_session_ends_nothing() {
    for query in [
        "code=abc",
        "code=abc&state=",
        "code=abc&state=af0ifjsldk",
        "code=abc&state=af0ifjsldkjj",
        "code=abc&state=AF0IFJSLDKJ",
        "error=access_denied&state=x",
        "error=access_denied",
        "",
        "&&&",
        "state",
    ] {
        let (consent, why) = strange(REDIRECT, query);
        assert_eq!(why, Strange::State, "{query}");
        assert!(matches!(consent.callback(REDIRECT, "code=abc&state=af0ifjsldkj"), Callback::Answer(Ok(_))), "{query}");
    }
}

#[test]
fn i7_what_is_there_twice_or_too_long_ends_nothing() {
    for query in [
        "code=a&code=b&state=af0ifjsldkj",
        "code=a&state=af0ifjsldkj&state=af0ifjsldkj",
        "code=a&state=x&state=af0ifjsldkj",
        "code=a&st%61te=x&state=af0ifjsldkj",
        "code=a&state=af0ifjsldkj&x=1&x=1",
    ] {
        assert_eq!(strange(REDIRECT, query).1, Strange::Twice, "{query}");
    }
    assert_eq!(strange(REDIRECT, &format!("state=af0ifjsldkj&code={}", "a".repeat(20_000))).1, Strange::Long);
}

#[test]
fn what_has_neither_a_code_nor_an_error_ends_nothing() {
    for query in ["state=af0ifjsldkj", "state=af0ifjsldkj&code=", "state=af0ifjsldkj&code=&error="] {
        let (consent, why) = strange(REDIRECT, query);
        assert_eq!(why, Strange::NoCode, "{query}");
        assert!(matches!(consent.callback(REDIRECT, "code=abc&state=af0ifjsldkj"), Callback::Answer(Ok(_))), "{query}");
    }
}

#[test]
fn i2_only_the_very_redirect_uri_counts() {
    for redirect in [
        "http://127.0.0.1:8093/callback/",
        "http://127.0.0.1:8093/Callback",
        "http://127.0.0.1:8093//callback",
        "http://127.0.0.1:8093/callback%2f",
        "http://127.0.0.1:8094/callback",
        "http://localhost:8093/callback",
        "https://127.0.0.1:8093/callback",
        "http://127.0.0.1:8093",
        "",
    ] {
        assert_eq!(strange(redirect, "code=abc&state=af0ifjsldkj").1, Strange::Redirect, "{redirect}");
    }
}

#[test]
fn i2_the_answer_of_another_server_gives_no_code() {
    for iss in ["https%3A%2F%2Fevil.example", "https%3A%2F%2Flogin.acme.example.evil.example", "x"] {
        let denied = answer(&format!("code=abc&state=af0ifjsldkj&iss={iss}")).expect_err(iss);
        assert!(matches!(denied, Denied::Issuer(_)), "{denied}");
        let denied = answer(&format!("error=access_denied&state=af0ifjsldkj&iss={iss}")).expect_err(iss);
        assert!(matches!(denied, Denied::Issuer(_)), "{denied}");
    }
    assert!(answer("code=abc&state=af0ifjsldkj&iss=https%3A%2F%2Flogin.acme.example").is_ok());
}

#[test]
fn errors_are_told_without_what_steers_a_terminal() {
    assert_eq!(answer("error=access_denied&state=af0ifjsldkj").expect_err("no"), Denied::Refused(String::new()));
    let denied = answer("error=access_denied&error_description=You+said+no&state=af0ifjsldkj").expect_err("no");
    assert_eq!(denied.to_string(), "the consent was denied (You said no)");
    let denied = answer("error=invalid_scope&error_description=%1b%5B2J%0d%0a%3Cscript%3E&state=af0ifjsldkj&code=abc");
    let text = denied.expect_err("an error").to_string();
    assert!(text.contains("invalid_scope (\u{fffd}[2J\u{fffd}\u{fffd}<script>)"), "{text}");
    let long = answer(&format!("error={}&state=af0ifjsldkj", "e".repeat(9000))).expect_err("an error").to_string();
    assert!(long.len() < 300, "{}", long.len());
}

#[test]
fn what_is_drawn_is_long_and_never_the_same() {
    let (one, two) = (Unguessable::draw().expect("one"), Unguessable::draw().expect("two"));
    let all = [&one.state, &one.verifier, &one.nonce, &two.state, &two.verifier, &two.nonce];
    // RFC 7636 §4.1: 43 letters hold 256 bits.
    assert!(all.iter().all(|text| text.expose().len() == 43));
    for (at, text) in all.iter().enumerate() {
        assert!(all.iter().skip(at + 1).all(|other| !text.same(other)));
    }
}
