//! Real services' schemes, with vectors made by Python's hmac and urllib.

use std::time::{Duration, SystemTime};

use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

use super::*;
use crate::model::Secret;

fn template(text: &str) -> Template {
    text.parse().expect("a template")
}

fn query(name: &str, text: &str) -> Place {
    Place::Query(name.into(), template(text))
}

fn header(name: &'static str, text: &str) -> Place {
    Place::Header(HeaderName::from_static(name), template(text))
}

/// HMAC-SHA256 with `{api_secret}`, in hexadecimal.
fn scheme(message: &str, timestamp: Timestamp, places: Vec<Place>) -> Scheme {
    let scheme = Scheme {
        hash: Hash::Sha256,
        key: template("{api_secret}"),
        key_encoding: Encoding::Utf8,
        message: template(message),
        output: Output::Hex,
        timestamp,
        places,
    };
    assert_eq!(scheme.check(), Ok(()));
    scheme
}

fn credential(fields: &[(&str, &str)]) -> Credential {
    let mut credential = Credential::default();
    fields.iter().for_each(|(name, value)| credential.set(name, Secret::new((*value).to_owned())));
    credential
}

struct Sent {
    method: Method,
    target: &'static str,
    body: Option<&'static [u8]>,
    millis: u64,
}

const GET: Sent = Sent { method: Method::GET, target: "/", body: None, millis: 1_700_000_000_123 };

fn signed(scheme: &Scheme, credential: &Credential, sent: &Sent) -> Result<Signed, Error> {
    let target = PathAndQuery::from_static(sent.target);
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(sent.millis);
    let headers = HeaderMap::new();
    let request =
        Unsigned { method: &sent.method, host: "example.com", target: &target, headers: &headers, body: sent.body, time };
    scheme.sign(credential, &request, "n-1")
}

fn target(signed: &Signed) -> &str {
    signed.target.as_ref().expect("a target").as_str()
}

fn value<'a>(signed: &'a Signed, name: &str) -> &'a str {
    let (_, value) = signed.headers.iter().find(|(other, _)| other == name).expect("the header");
    assert!(value.is_sensitive());
    value.to_str().expect("ASCII")
}

/// Freedcamp: `hmac(api_secret, api_key + timestamp, sha1)`.
#[test]
fn freedcamp_signs_key_and_time() {
    let places = vec![query("api_key", "{api_key}"), query("timestamp", "{timestamp}"), query("hash", "{signature}")];
    let scheme = Scheme { hash: Hash::Sha1, ..scheme("{api_key}{timestamp}", Timestamp::Unix, places) };
    let credential = credential(&[("api_key", "fc-key"), ("api_secret", "fc-secret")]);
    let sent = Sent { target: "/api/v1/tasks?limit=2&hash=old&timestamp=1&api_key=placeholder", ..GET };
    let signed = signed(&scheme, &credential, &sent).expect("signs");
    assert_eq!(
        target(&signed),
        "/api/v1/tasks?limit=2&timestamp=1700000000&api_key=fc-key&hash=1035199c6cbfbc183e47eba3a734d91fc7068a78"
    );
    assert!(!scheme.needs_body() && signed.headers.is_empty());
    assert_eq!(scheme.fields().collect::<Vec<_>>(), ["api_secret", "api_key", "api_key"]);
}

/// Jumia Seller Center: the sorted, encoded query of all parameters but the signature.
#[test]
fn jumia_signs_the_sorted_query() {
    let places = vec![query("UserID", "{user_id}"), query("Timestamp", "{timestamp}"), query("Signature", "{signature}")];
    let scheme = scheme("{sorted_query}", Timestamp::Rfc3339, places);
    let credential = credential(&[("user_id", "look@me.com"), ("api_secret", "b1bdb357ced10fe4e9a69840cdd4f0e9c03d77fe")]);
    let start = "/?Version=1.0&Action=GetOrders&Signature=0&Format=JSON&CreatedAfter=2023-11-01T00%3A00%3A00%2B00%3A00&Search=a+b~%c3%A9";
    let signed = signed(&scheme, &credential, &Sent { target: start, ..GET }).expect("signs");
    assert_eq!(
        target(&signed),
        start.replace("&Signature=0", "")
            + "&UserID=look%40me.com&Timestamp=2023-11-14T22%3A13%3A20Z&Signature=83963f9d0c81c1949c16d345e382298bea6df41c3899be5856bd88df1bdb1f6b"
    );
}

/// Coinbase Exchange: time, method, path with query and body; key and signature in base64.
#[test]
fn coinbase_exchange_signs_the_request_with_a_base64_key() {
    let places = vec![
        header("cb-access-key", "{api_key}"),
        header("cb-access-sign", "{signature}"),
        header("cb-access-timestamp", "{timestamp}"),
        header("cb-access-passphrase", "{passphrase}"),
    ];
    let scheme = Scheme {
        key_encoding: Encoding::Base64,
        output: Output::Base64,
        ..scheme("{timestamp}{method}{path_and_query}{body}", Timestamp::Unix, places)
    };
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
    let credential = credential(&[("api_key", "k"), ("api_secret", secret), ("passphrase", "p")]);
    let body = br#"{"price":"1.0","size":"1.0","side":"buy","product_id":"BTC-USD"}"#;
    let sent = Sent { method: Method::POST, target: "/orders?x=1", body: Some(body), ..GET };
    let sent_signed = signed(&scheme, &credential, &sent).expect("signs");
    assert_eq!(value(&sent_signed, "cb-access-sign"), "ZjX4To/SS81w5Ns1gYauS68lfDlp8N284U50b+yZJQ0=");
    assert_eq!(value(&sent_signed, "cb-access-timestamp"), "1700000000");
    assert_eq!((value(&sent_signed, "cb-access-key"), value(&sent_signed, "cb-access-passphrase")), ("k", "p"));
    assert!(sent_signed.target.is_none() && scheme.needs_body());
    assert!(matches!(signed(&scheme, &credential, &Sent { body: None, ..sent }), Err(Error::NoBody)));
}

/// Binance: its documented example of a signed order, in the query and half in the body.
#[test]
fn binance_signs_query_and_body_with_the_time_it_sets() {
    let places =
        vec![header("x-mbx-apikey", "{api_key}"), query("timestamp", "{timestamp}"), query("signature", "{signature}")];
    let scheme = scheme("{query}{body}", Timestamp::UnixMillis, places);
    let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    let credential =
        credential(&[("api_key", "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"), ("api_secret", secret)]);
    let order =
        "/api/v3/order?symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=0";
    let sent = Sent { method: Method::POST, target: order, body: Some(b""), millis: 1_499_827_319_559 };
    assert_eq!(
        target(&signed(&scheme, &credential, &sent).expect("signs")),
        order.replace("timestamp=0", "timestamp=1499827319559")
            + "&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    );
}

/// Bybit v5: time, key, window and query.
#[test]
fn bybit_signs_time_key_window_and_query() {
    let places = vec![header("x-bapi-sign", "{signature}"), header("x-bapi-timestamp", "{timestamp}")];
    let scheme = scheme("{timestamp}{api_key}5000{query}", Timestamp::UnixMillis, places);
    let credential = credential(&[("api_key", "key"), ("api_secret", "bb")]);
    let signed = signed(&scheme, &credential, &Sent { target: "/v5/order?a=1&b=2", ..GET }).expect("signs");
    assert_eq!(value(&signed, "x-bapi-sign"), "2cadd5c287f09bd6875d26c79f96f65f416f89077f87712fad272b8690637e81");
}

#[test]
fn each_form_of_key_and_signature_is_what_python_gives() {
    let message = "{method}\\n{host}\n{path}\\n{nonce}\\n{timestamp}\\n{body_sha256_hex}";
    let credential = credential(&[("api_secret", "00Ff10")]);
    let sent = Sent { method: Method::POST, target: "/p?q=1", body: Some(b"\xff\x00body"), ..GET };
    let of = |output| {
        let places = vec![header("x-sign", "v1 {nonce} {signature}")];
        let scheme = scheme(message, Timestamp::HttpDate, places);
        let scheme = Scheme { hash: Hash::Sha512, key_encoding: Encoding::Hex, output, ..scheme };
        value(&signed(&scheme, &credential, &sent).expect("signs"), "x-sign").replace("v1 n-1 ", "")
    };
    let hexadecimal = "1FB81C9D3EA7469C833E8B0090841DDBBCE4202FCC025BE562F2CB4D4F0003F08A68223EAB05EB33113B661F9F3AE2D5E01951002796DC232A7660A276EEBD13";
    assert_eq!(of(Output::HexUpper), hexadecimal);
    assert_eq!(of(Output::Hex), hexadecimal.to_lowercase());
    assert_eq!(of(Output::Base64), "H7gcnT6nRpyDPosAkIQd27zkIC/MAlvlYvLLTU8AA/CKaCI+qwXrMxE7Zh+fOuLV4BlRACeW3CMqdmCidu69Ew==");
    assert_eq!(of(Output::Base64Url), "H7gcnT6nRpyDPosAkIQd27zkIC_MAlvlYvLLTU8AA_CKaCI-qwXrMxE7Zh-fOuLV4BlRACeW3CMqdmCidu69Ew");
}

#[test]
fn a_signature_in_base64_is_encoded_in_the_query() {
    let scheme =
        Scheme { output: Output::Base64, ..scheme("{timestamp}{method}", Timestamp::Unix, vec![query("s", "{signature}")]) };
    let signed = signed(&scheme, &credential(&[("api_secret", "k")]), &Sent { target: "/?a=b%20", ..GET }).expect("signs");
    let text = target(&signed);
    assert!(text.starts_with("/?a=b%20&s=") && text.ends_with("%3D") && !text.contains('+'), "{text}");
}

#[test]
fn a_target_that_is_not_changed_is_signed_as_it_is_sent() {
    let scheme = scheme("{path_and_query}", Timestamp::Unix, vec![header("x-sign", "{signature}")]);
    let credential = credential(&[("api_secret", "k")]);
    let of = |target| signed(&scheme, &credential, &Sent { target, ..GET }).map(|signed| value(&signed, "x-sign").to_owned());
    let all = ["/p?", "/p", "/p?&a=1"].map(|target| of(target).expect("signs"));
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
}

#[test]
fn the_words_of_a_provider_file_name_one_form_each() {
    assert_eq!(["sha1", "sha256", "sha512"].map(Hash::named), [Some(Hash::Sha1), Some(Hash::Sha256), Some(Hash::Sha512)]);
    assert_eq!(["md5", "SHA256"].map(Hash::named), [None, None]);
    let encodings = [Some(Encoding::Utf8), Some(Encoding::Hex), Some(Encoding::Base64), None];
    assert_eq!(["utf8", "hex", "base64", "HEX"].map(Encoding::named), encodings);
    let outputs = [Output::Hex, Output::HexUpper, Output::Base64, Output::Base64Url].map(Some);
    assert_eq!(["hex", "HEX", "base64", "base64url"].map(Output::named), outputs);
    let times = [Timestamp::Unix, Timestamp::UnixMillis, Timestamp::Rfc3339, Timestamp::Rfc3339Millis, Timestamp::HttpDate];
    assert_eq!(["unix", "unix_millis", "rfc3339", "rfc3339_millis", "http_date"].map(Timestamp::named), times.map(Some));
    assert_eq!((Output::named("Hex"), Timestamp::named("iso")), (None, None));
}

#[test]
fn what_is_missing_is_named() {
    let scheme = scheme("{api_key}", Timestamp::Unix, vec![header("x-sign", "{signature}")]);
    let error = signed(&scheme, &credential(&[("api_secret", "s")]), &GET).expect_err("a refusal");
    assert_eq!(error.to_string(), "the signature needs {api_key}, which there is not: register the connection with it");
    let without = signed(&scheme, &credential(&[("api_key", "k")]), &GET).expect_err("a refusal");
    assert!(matches!(without, Error::Unfilled(name) if &*name == "api_secret"));
    let bare = Scheme { message: template("{signature}"), ..scheme };
    let error = signed(&bare, &credential(&[("api_secret", "s")]), &GET).expect_err("a refusal");
    assert!(matches!(error, Error::Unfilled(name) if &*name == "signature"));
}

#[test]
fn i1_a_value_with_a_line_end_is_refused_without_showing_it() {
    let scheme = scheme("{api_key}", Timestamp::Unix, vec![header("x-sign", "{signature}")]);
    for value in ["hunter2\r\nx: y", "hunter2\n", "hunter2\0"] {
        let fields = [("api_secret", "s"), ("api_key", value)];
        let error = signed(&scheme, &credential(&fields), &GET).expect_err("a refusal");
        assert!(matches!(&error, Error::Control(name) if &**name == "api_key"));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let hexadecimal = Scheme { key_encoding: Encoding::Hex, ..scheme };
    let error = signed(&hexadecimal, &credential(&[("api_secret", "hunter2"), ("api_key", "k")]), &GET).expect_err("a refusal");
    assert!(matches!(error, Error::Key("hexadecimal")) && !format!("{error:?}").contains("hunter2"));
}

#[test]
fn a_scheme_that_can_not_work_is_refused_when_it_is_read() {
    let good = scheme("{timestamp}", Timestamp::Unix, vec![header("x-sign", "{signature}")]);
    let with = |places| Scheme { places, ..good.clone() }.check().expect_err("a refusal");
    assert_eq!(Scheme { key: template("{body}"), ..good.clone() }.check(), Err(Unusable::Key));
    assert_eq!(Scheme { message: template("{signature}"), ..good.clone() }.check(), Err(Unusable::Message));
    assert_eq!(with(vec![header("x-time", "{timestamp}")]), Unusable::Unsent);
    assert_eq!(with(vec![header("x-sign", "{signature}{path}")]), Unusable::Place("x-sign".into()));
    assert_eq!(with(vec![header("x-sign", "{signature}\\n")]), Unusable::Place("x-sign".into()));
    assert_eq!(with(vec![query("", "{signature}")]), Unusable::Place("".into()));
    assert_eq!(with(vec![query("s", "{signature}"), query("s", "x")]), Unusable::Twice("s".into()));
}
