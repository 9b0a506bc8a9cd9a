//! The vectors of RFC 5849, of Twitter's documentation and of Python's oauthlib 4.0.

use std::time::{Duration, SystemTime};

use http::uri::PathAndQuery;
use http::{HeaderValue, Method as HttpMethod};

use super::*;

struct Sent {
    method: HttpMethod,
    host: &'static str,
    target: &'static str,
    form: Option<&'static [u8]>,
    time: u64,
}

fn with<T>(sent: &Sent, use_it: impl FnOnce(&Unsigned<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    if sent.form.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("Application/X-www-form-urlencoded; charset=UTF-8"));
    }
    let (target, time) = (PathAndQuery::from_static(sent.target), SystemTime::UNIX_EPOCH + Duration::from_secs(sent.time));
    let Sent { method, host, form, .. } = sent;
    use_it(&Unsigned { method, host, target: &target, headers: &headers, body: *form, time })
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn header(signed: &Signed) -> &str {
    let [(name, value)] = signed.headers.as_slice() else { panic!("one header") };
    assert!(name == AUTHORIZATION && value.is_sensitive() && signed.target.is_none());
    value.to_str().expect("ASCII")
}

fn rfc() -> Sent {
    Sent {
        method: HttpMethod::POST,
        host: "EXAMPLE.COM",
        target: "/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
        form: Some(b"c2&a3=2+q"),
        time: 137_131_201,
    }
}

/// RFC 5849 §3.4.1.1, line ends taken out.
#[test]
fn the_base_string_is_the_one_of_rfc_5849() {
    let protocol = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
    ];
    let base = with(&rfc(), |request| base_string(Scheme::Http, request, &protocol)).expect("a base string");
    assert_eq!(
        *base,
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26\
         oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
         oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
    // With the secrets of its §1.2; the value by oauthlib.
    let (key, consumer, token, other) = (secret("k"), secret("j49sk3j29djd"), secret("t"), secret("dh893hdasih9"));
    let client = Client {
        consumer_key: &key,
        consumer_secret: &consumer,
        token: Some((&token, &other)),
        method: Method::HmacSha1,
        realm: None,
    };
    assert_eq!(*client.signature(&base), "r6/TJjbCOr97/+UU0NsvSne7s5g=");
}

/// Twitter, "Creating a signature".
#[test]
fn the_signature_is_the_one_twitter_documents() {
    let sent = Sent {
        method: HttpMethod::POST,
        host: "api.twitter.com",
        target: "/1.1/statuses/update.json?include_entities=true",
        form: Some(b"status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21"),
        time: 1_318_622_958,
    };
    let (key, consumer) = (secret("xvz1evFS4wEEPTGEFPHBog"), secret("kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"));
    let token = secret("370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb");
    let token_secret = secret("LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE");
    let client = Client {
        consumer_key: &key,
        consumer_secret: &consumer,
        token: Some((&token, &token_secret)),
        method: Method::HmacSha1,
        realm: None,
    };
    let nonce = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg";
    let signed = with(&sent, |request| sign(&client, Scheme::Https, request, nonce)).expect("signs");
    assert_eq!(
        header(&signed),
        "OAuth oauth_consumer_key=\"xvz1evFS4wEEPTGEFPHBog\", oauth_nonce=\"kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg\", \
         oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1318622958\", oauth_version=\"1.0\", \
         oauth_token=\"370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb\", oauth_signature=\"hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D\""
    );
}

/// oauthlib: `Client("ck~1", "c&s", "tk", "t s", signature_method="HMAC-SHA256", realm="1234567_SB1")`.
#[test]
fn a_netsuite_request_is_signed_as_oauthlib_does() {
    let (key, consumer, token, token_secret) = (secret("ck~1"), secret("c&s"), secret("tk"), secret("t s"));
    let client = Client {
        consumer_key: &key,
        consumer_secret: &consumer,
        token: Some((&token, &token_secret)),
        method: Method::HmacSha256,
        realm: Some("1234567_SB1"),
    };
    let sent = Sent {
        method: HttpMethod::POST,
        host: "1234567-sb1.suitetalk.api.netsuite.com",
        target: "/services/rest/query/v1/suiteql?limit=10&offset=0",
        form: None,
        time: 1_700_000_000,
    };
    let signed = with(&sent, |request| sign(&client, Scheme::Https, request, "n0nce")).expect("signs");
    let text = header(&signed);
    assert!(text.starts_with("OAuth realm=\"1234567_SB1\", oauth_consumer_key=\"ck~1\", "), "{text}");
    assert!(text.ends_with("oauth_signature=\"jp1etnb03iDOWCqkKjVcKD45H%2F90bEidHPRAcLC%2Fo6U%3D\""), "{text}");
}

/// oauthlib: `Client("dpf43f3p2l4k3l03", "kd94hf93k423kf44")`.
#[test]
fn a_request_without_a_token_is_signed_with_the_clients_secret_alone() {
    let (key, consumer) = (secret("dpf43f3p2l4k3l03"), secret("kd94hf93k423kf44"));
    let client = Client { consumer_key: &key, consumer_secret: &consumer, token: None, method: Method::HmacSha1, realm: None };
    let sent = Sent {
        method: HttpMethod::GET,
        host: "photos.example.net:8080",
        target: "/photos?file=vacation.jpg&size=original&a=%C3%A9+x",
        form: None,
        time: 1_700_000_000,
    };
    let signed = with(&sent, |request| sign(&client, Scheme::Http, request, "abc")).expect("signs");
    let text = header(&signed);
    assert!(text.ends_with("oauth_signature=\"yL5GH8oNfKHIzUwNSC4ATBSIbQE%3D\"") && !text.contains("oauth_token"), "{text}");
}

#[test]
fn only_a_form_is_signed_with_the_request() {
    let of = |values: &[&'static str]| {
        let headers: HeaderMap = values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value))).collect();
        needs_body(&headers)
    };
    assert!(of(&["application/x-www-form-urlencoded"]) && of(&["APPLICATION/X-WWW-Form-Urlencoded ; charset=x"]));
    assert!(!of(&[]) && !of(&["application/json"]) && !of(&["multipart/form-data; boundary=x"]));
    assert!(!of(&["application/x-www-form-urlencoded2"]));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let target = PathAndQuery::from_static("/");
    let time = SystemTime::UNIX_EPOCH;
    let request = Unsigned { method: &HttpMethod::POST, host: "a", target: &target, headers: &headers, body: None, time };
    assert!(matches!(base_string(Scheme::Https, &request, &[]), Err(Error::NoBody)));
}

#[test]
fn a_request_that_carries_a_signature_of_its_own_is_refused() {
    let key = secret("k");
    let client = Client { consumer_key: &key, consumer_secret: &key, token: None, method: Method::HmacSha1, realm: None };
    for target in ["/?oauth_signature=x", "/?a=b&oauth%5Fnonce=x"] {
        let refused = with(&Sent { target, form: None, ..rfc() }, |request| sign(&client, Scheme::Https, request, "n"));
        assert!(matches!(refused, Err(Error::Signed(_))), "{target}");
    }
    let further = Sent { target: "/?oauth_callback=oob", form: None, ..rfc() };
    assert!(with(&further, |request| sign(&client, Scheme::Https, request, "n")).is_ok());
}

#[test]
fn plaintext_is_not_a_method() {
    assert!(matches!(Method::named("PLAINTEXT"), Err(Error::Plaintext)));
    assert!(matches!(Method::named("RSA-SHA1"), Err(Error::Method)));
    for method in [Method::HmacSha1, Method::HmacSha256] {
        assert!(matches!(Method::named(method.as_str()), Ok(same) if same == method));
    }
}

#[test]
fn i1_what_can_not_stand_in_a_field_is_refused_without_showing_it() {
    let (good, bad, empty) = (secret("k"), secret("hunter2\r\n"), secret(""));
    let refused = |key, consumer, token: Option<(_, _)>, realm| {
        let client = Client { consumer_key: key, consumer_secret: consumer, token, method: Method::HmacSha1, realm };
        let error = with(&rfc(), |request| sign(&client, Scheme::Https, request, "n")).expect_err("a refusal");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        error.to_string()
    };
    assert!(refused(&bad, &good, None, None).starts_with("the consumer key "));
    assert!(refused(&good, &empty, None, None).starts_with("the consumer secret "));
    assert!(refused(&good, &good, Some((&good, &bad)), None).starts_with("the token secret "));
    assert!(refused(&good, &good, None, Some("a\nb")).starts_with("the realm "));
    assert_eq!(authorization(Some("a\"b"), &[]), r#"OAuth realm="a\"b""#);
}
