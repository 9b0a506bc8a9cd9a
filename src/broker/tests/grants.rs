//! What each kind of grant sends, or signs. Keys are made by the tests; signatures are checked with their public halves.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tokio::time::advance;

use super::fakes::*;
use super::made::provider;
use crate::broker::Why;
use crate::oauth::{TokenReply, TokenRequest};

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// An RSA key in PEM and its public half.
fn rsa() -> (String, Vec<u8>) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
    (pem("PRIVATE KEY", der.as_ref()), pair.public_key().as_ref().to_vec())
}

/// The header and the claims of a token whose signature holds.
fn opened(token: &str, algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) -> (Value, Value) {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    UnparsedPublicKey::new(algorithm, public).verify(message.as_bytes(), &signature).expect("a signature that holds");
    let part = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON");
    let (header, claims) = message.split_once('.').expect("two parts");
    (part(header), part(claims))
}

/// What was asked last: address, form, and the Authorization field.
#[derive(Debug, Default, Clone)]
struct Asked {
    method: String,
    url: String,
    form: String,
    authorization: String,
}

impl Asked {
    fn of(request: &TokenRequest) -> Self {
        let header = request.headers.iter().find(|(name, _)| name == AUTHORIZATION).map(|(_, value)| value);
        Self {
            method: request.method.to_string(),
            url: request.url.clone(),
            form: String::from_utf8(request.body().to_vec()).expect("text"),
            authorization: header.map_or_else(String::new, |value| value.to_str().expect("text").to_owned()),
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let value = self.form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_encoding::percent_decode_str(&value.replace('+', " ")).decode_utf8().expect("text").into_owned())
    }
}

fn listening(grant: &str, fields: &[(&str, &str)], answer: fn() -> TokenReply) -> (House, Arc<Mutex<Asked>>) {
    let asked: Arc<Mutex<Asked>> = Arc::default();
    let heard = Arc::clone(&asked);
    let house = House::making(&provider(grant), fields, move |request, _| {
        *heard.lock().expect("a lock") = Asked::of(request);
        answer()
    });
    (house, asked)
}

fn granted() -> TokenReply {
    reply(200, r#"{"access_token":"made","token_type":"bearer","expires_in":"3599"}"#)
}

async fn asks(grant: &str, fields: &[(&str, &str)]) -> Asked {
    let (house, asked) = listening(grant, fields, granted);
    assert_eq!(house.request().await, "made");
    asked.lock().expect("a lock").clone()
}

#[tokio::test(start_paused = true)]
async fn client_credentials_by_get_show_the_client_in_the_header_alone() {
    let grant = "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"https://auth.example/generate\"\nmethod = \"GET\"\n\
                 client_authentication = \"client_secret_basic\"\n";
    let asked = asks(grant, &[("client_id", "key"), ("client_secret", "hunter2")]).await;
    assert_eq!((asked.method.as_str(), asked.form.as_str()), ("GET", ""));
    assert_eq!(asked.url, "https://auth.example/generate?grant_type=client_credentials");
    assert_eq!(asked.authorization, format!("Basic {}", STANDARD.encode("key:hunter2")));
}

#[tokio::test(start_paused = true)]
async fn account_credentials_name_the_account() {
    let grant = "[oauth2]\ntoken_url = \"https://auth.example/token\"\nclient_authentication = \"client_secret_basic\"\n\
                 [[grant]]\nkind = \"account_credentials\"\nparams = { account_id = \"{account_id}\" }\n\
                 [[field]]\nname = \"account_id\"\nprompt = \"Account\"\n";
    let asked = asks(grant, &[("client_id", "key"), ("client_secret", "hunter2"), ("account_id", "A-1")]).await;
    assert_eq!(asked.form, "grant_type=account_credentials&account_id=A-1");
    assert_eq!(asked.authorization, format!("Basic {}", STANDARD.encode("key:hunter2")));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_exchanged_with_or_without_a_client() {
    let grant = "[[grant]]\nkind = \"token_exchange\"\ntoken_url = \"https://auth.example/{pool}/token\"\n\
                 client_authentication = \"none\"\nscopes = [\"a\"]\nparams = { subject_token_type = \"urn:x:jwt\" }\n\
                 [[field]]\nname = \"subject_token\"\nprompt = \"Token\"\n[[field]]\nname = \"pool\"\nprompt = \"Pool\"\n";
    let asked = asks(grant, &[("subject_token", "theirs"), ("pool", "p1")]).await;
    assert_eq!(asked.url, "https://auth.example/p1/token");
    let form = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&scope=a&subject_token_type=urn%3Ax%3Ajwt\
                &subject_token=theirs";
    assert_eq!(asked.form, form);
    let grant = grant.replace("\"none\"", "\"client_secret_post\"");
    let client = [("subject_token", "theirs"), ("pool", "p1"), ("client_id", "key"), ("client_secret", "hunter2")];
    assert_eq!(asks(&grant, &client).await.form, format!("{form}&client_id=key&client_secret=hunter2"));
}

#[tokio::test(start_paused = true)]
async fn an_assertion_buys_a_token() {
    let grant = "[[grant]]\nkind = \"jwt_bearer\"\ntoken_url = \"https://auth.example/token\"\nparams = { audience = \"x\" }\n\
                 jwt = { algorithm = \"RS256\", key = \"private_key\", lifetime_secs = 180, claims = \
                 { iss = \"{client_id}\", sub = \"{username}\" } }\n\
                 [[field]]\nname = \"private_key\"\nprompt = \"Key\"\nfile = true\n";
    let (key, public) = rsa();
    let asked = asks(grant, &[("client_id", "the-id"), ("username", "me@acme.example"), ("private_key", &key)]).await;
    assert_eq!(asked.parameter("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    assert_eq!(asked.parameter("audience").as_deref(), Some("x"));
    assert!(asked.parameter("client_id").is_none() && asked.authorization.is_empty(), "{asked:?}");
    let assertion = asked.parameter("assertion").expect("an assertion");
    let (header, claims) = opened(&assertion, &RSA_PKCS1_2048_8192_SHA256, &public);
    assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT" }));
    let said = ["iss", "sub", "aud"].map(|name| claims[name].as_str().expect("text"));
    assert_eq!(said, ["the-id", "me@acme.example", "https://auth.example/token"]);
    assert_eq!(claims["exp"].as_u64().expect("a time") - claims["iat"].as_u64().expect("a time"), 180);
    assert_eq!(claims["jti"].as_str().map(str::len), Some(32));
}

#[tokio::test(start_paused = true)]
async fn a_client_shows_a_signed_assertion_in_place_of_a_secret() {
    let grant = "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"https://auth.example/{tenant_id}/token\"\n\
                 client_authentication = \"private_key_jwt\"\nscopes = [\"https://api.example.com/.default\"]\n\
                 jwt = { algorithm = \"RS256\", key = \"private_key\", certificate = \"certificate\", lifetime_secs = 600 }\n\
                 [[field]]\nname = \"tenant_id\"\nprompt = \"Tenant\"\n[[field]]\nname = \"private_key\"\nprompt = \"Key\"\n\
                 file = true\n[[field]]\nname = \"certificate\"\nprompt = \"Certificate\"\nfile = true\n";
    let (key, public) = rsa();
    let fields = [
        ("client_id", "app"),
        ("tenant_id", "contoso.example"),
        ("private_key", key.as_str()),
        ("certificate", "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"),
    ];
    let asked = asks(grant, &fields).await;
    assert_eq!(asked.url, "https://auth.example/contoso.example/token");
    let kind = asked.parameter("client_assertion_type");
    assert_eq!(kind.as_deref(), Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    assert_eq!(asked.parameter("client_id").as_deref(), Some("app"));
    assert!(asked.parameter("client_secret").is_none());
    let assertion = asked.parameter("client_assertion").expect("an assertion");
    let (header, claims) = opened(&assertion, &RSA_PKCS1_2048_8192_SHA256, &public);
    // Python: base64.urlsafe_b64encode(hashlib.sha256(bytes([0, 1, 2])).digest()).rstrip(b"=")
    assert_eq!(header["x5t#S256"], "rksygOVuL6-D9BSm49q-nV--GJdlRMBf7RIazLhbU_w");
    let said = ["iss", "sub", "aud"].map(|name| claims[name].as_str().expect("text"));
    assert_eq!(said, ["app", "app", "https://auth.example/contoso.example/token"]);
    assert!(claims["jti"].is_string());
}

const SERVICE_ACCOUNT: &str = "[oauth2]\ntoken_url = \"https://oauth2.googleapis.com/token\"\n\
                               scopes = [\"https://www.googleapis.com/auth/a\", \"https://www.googleapis.com/auth/b\"]\n\
                               [[grant]]\nkind = \"service_account\"\n[[field]]\nname = \"service_account_json\"\n\
                               prompt = \"Key file\"\nfile = true\n[[field]]\nname = \"subject\"\nprompt = \"Whom\"\n";

fn key_file(key: &str, token_uri: &str) -> String {
    json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": key,
        "client_email": "robot@p.iam.gserviceaccount.com", "token_uri": token_uri,
    })
    .to_string()
}

#[tokio::test(start_paused = true)]
async fn a_service_accounts_key_buys_a_token_for_itself_or_for_a_person() {
    let (key, public) = rsa();
    let file = key_file(&key, "https://oauth2.googleapis.com/token");
    for subject in ["", "me@acme.example"] {
        let asked = asks(SERVICE_ACCOUNT, &[("service_account_json", &file), ("subject", subject)]).await;
        assert_eq!(asked.url, "https://oauth2.googleapis.com/token");
        assert!(asked.form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="));
        let assertion = asked.parameter("assertion").expect("an assertion");
        let (header, mut claims) = opened(&assertion, &RSA_PKCS1_2048_8192_SHA256, &public);
        assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
        let iat = claims["iat"].take().as_u64().expect("a time");
        assert_eq!((iat, claims["exp"].take().as_u64()), (1_800_000_000 - 60, Some(iat + 3600)));
        let mut expected = json!({
            "iss": "robot@p.iam.gserviceaccount.com", "aud": "https://oauth2.googleapis.com/token", "iat": null, "exp": null,
            "scope": "https://www.googleapis.com/auth/a https://www.googleapis.com/auth/b",
        });
        if !subject.is_empty() {
            expected["sub"] = subject.into();
        }
        assert_eq!(claims, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn i2_a_hostile_key_file_moves_no_assertion_elsewhere() {
    let (key, _) = rsa();
    for uri in ["https://evil.example/token", "https://oauth2.googleapis.com.evil.example/token"] {
        let (house, _) = listening(SERVICE_ACCOUNT, &[("service_account_json", &key_file(&key, uri))], granted);
        let why = waiting(house.authorize().await);
        let Why::Unready(unready) = &why else { panic!("{why:?}") };
        assert!(unready.to_string().contains("another token endpoint than https://oauth2.googleapis.com/token"), "{unready}");
        assert_eq!((house.endpoint.calls(), is_in_attention(&house)), (0, false));
    }
}

#[tokio::test(start_paused = true)]
async fn a_github_app_buys_a_token_for_one_installation() {
    let grant = "[[grant]]\nkind = \"github_app\"\ntoken_url = \"https://auth.example/app/installations/{installation_id}/access_tokens\"\n\
                 [[field]]\nname = \"app_id\"\nprompt = \"App\"\n[[field]]\nname = \"installation_id\"\nprompt = \"Installation\"\n\
                 [[field]]\nname = \"private_key\"\nprompt = \"Key\"\nfile = true\n";
    let (key, public) = rsa();
    let fields = [("app_id", "12345"), ("installation_id", "678"), ("private_key", key.as_str())];
    let installation = || reply(201, r#"{"token":"ghs_made","expires_at":"2027-01-15T09:00:00Z","permissions":{}}"#);
    let (house, asked) = listening(grant, &fields, installation);
    assert_eq!(house.request().await, "ghs_made");
    let asked = asked.lock().expect("a lock").clone();
    assert_eq!((asked.method.as_str(), asked.form.as_str()), ("POST", ""));
    assert_eq!(asked.url, "https://auth.example/app/installations/678/access_tokens");
    let token = asked.authorization.strip_prefix("Bearer ").expect("a bearer token");
    let (_, claims) = opened(token, &RSA_PKCS1_2048_8192_SHA256, &public);
    assert_eq!(claims, json!({ "iss": "12345", "iat": 1_799_999_940, "exp": 1_800_000_540 }));
    let end = house.vault.get(&house.id).expires_at;
    assert_eq!(end, Some(UNIX_EPOCH + Duration::from_secs(1_800_003_600)));
    let gone = || reply(404, r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#);
    let (house, _) = listening(grant, &fields, gone);
    assert!(house.authorize().await.is_err() && is_in_attention(&house));
}

const SELF_SIGNED: &str = "[[grant]]\nkind = \"self_signed\"\njwt = { algorithm = \"ES256\", key = \"private_key\", \
                           key_id = \"{key_id}\", lifetime_secs = 1200, claims = { iss = \"{issuer_id}\", aud = \"shop-v1\" } }\n\
                           [[field]]\nname = \"private_key\"\nprompt = \"Key\"\nfile = true\n[[field]]\nname = \"key_id\"\n\
                           prompt = \"Key ID\"\n[[field]]\nname = \"issuer_id\"\nprompt = \"Issuer\"\n";

#[tokio::test(start_paused = true)]
async fn what_a_service_takes_signed_is_signed_here_and_anew_before_its_end() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let key = pem("PRIVATE KEY", pair.to_pkcs8v1().expect("DER").as_ref());
    let fields = [("private_key", key.as_str()), ("key_id", "2X9R"), ("issuer_id", "57246542")];
    let (house, _) = listening(SELF_SIGNED, &fields, granted);
    let first = house.request().await;
    let (header, claims) = opened(&first, &ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "2X9R" }));
    let times = (1_799_999_940, 1_800_001_140);
    assert_eq!(claims, json!({ "iss": "57246542", "aud": "shop-v1", "iat": times.0, "exp": times.1 }));
    assert_eq!(house.request().await, first, "one token serves until its end is near");
    assert_eq!(house.another().request().await, first, "and it is on disk for others");
    advance(Duration::from_secs(1140 - 30)).await;
    assert_ne!(house.request().await, first);
    assert_eq!(house.endpoint.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn i1_a_key_that_is_none_is_told_without_a_word_of_it() {
    let fields = [("private_key", "hunter2-no-key"), ("key_id", "2X9R"), ("issuer_id", "57246542")];
    let (house, _) = listening(SELF_SIGNED, &fields, granted);
    let why = waiting(house.authorize().await);
    let Why::Unready(unready) = &why else { panic!("{why:?}") };
    let cause = std::error::Error::source(unready.as_ref()).expect("a cause");
    assert!(cause.to_string().contains("not PEM"), "{cause}");
    assert!(!format!("{why:?} {why} {unready} {cause}").contains("hunter2"));
}

const ROLE: &str = "[[grant]]\nkind = \"assume_role\"\ntoken_url = \"https://sts.{region}.amazonaws.com/\"\n\
                    params = { DurationSeconds = \"900\" }\n[[field]]\nname = \"region\"\nprompt = \"Region\"\n\
                    [[field]]\nname = \"access_key_id\"\nprompt = \"Key ID\"\n[[field]]\nname = \"secret_access_key\"\n\
                    prompt = \"Key\"\n[[field]]\nname = \"role_arn\"\nprompt = \"Role\"\n";

fn role_keys() -> TokenReply {
    let keys =
        "<AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>temporary</SecretAccessKey><SessionToken>session</SessionToken>";
    let end = "<Expiration>2027-01-15T09:00:00Z</Expiration>";
    let result = format!("<AssumeRoleResult><Credentials>{keys}{end}</Credentials></AssumeRoleResult>");
    reply(
        200,
        &format!("<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">{result}</AssumeRoleResponse>"),
    )
}

#[tokio::test(start_paused = true)]
async fn a_role_gives_temporary_keys_beside_those_that_it_is_assumed_with() {
    let fields = [
        ("access_key_id", "AKID1"),
        ("secret_access_key", "long-lived"),
        ("role_arn", "arn:aws:iam::1:role/r"),
        ("region", "eu-west-1"),
    ];
    let text = provider(ROLE).replace("{access_token}", "{role_access_key_id|access_key_id}");
    let asked: Arc<Mutex<Asked>> = Arc::default();
    let heard = Arc::clone(&asked);
    let house = House::making(&text, &fields, move |request, _| {
        *heard.lock().expect("a lock") = Asked::of(request);
        role_keys()
    });
    assert_eq!(house.request().await, "ASIA1");
    assert_eq!(house.request().await, "ASIA1");
    assert_eq!(house.endpoint.calls(), 1);
    let asked = asked.lock().expect("a lock").clone();
    assert_eq!(asked.url, "https://sts.eu-west-1.amazonaws.com/");
    assert_eq!(asked.parameter("DurationSeconds").as_deref(), Some("900"));
    assert!(asked.authorization.contains("Credential=AKID1/20270115/eu-west-1/sts/aws4_request"), "{asked:?}");
    let entry = house.vault.get(&house.id);
    assert!(has(&entry, "role_secret_access_key", "temporary") && has(&entry, "role_session_token", "session"));
    assert!(has(&entry, "secret_access_key", "long-lived") && entry.fields.field("access_token").is_none());
    assert_eq!(entry.expires_at, Some(UNIX_EPOCH + Duration::from_secs(1_800_003_600)));
    advance(HOUR - Duration::from_secs(20)).await;
    house.request().await;
    assert_eq!(house.endpoint.calls(), 2, "renewed before its end");
}

#[tokio::test(start_paused = true)]
async fn i2_where_a_role_is_named_its_long_lived_keys_go_on_no_request() {
    let fields = [
        ("access_key_id", "AKID1"),
        ("secret_access_key", "long-lived"),
        ("role_arn", "arn:aws:iam::1:role/r"),
        ("region", "eu-west-1"),
    ];
    let text = provider(ROLE).replace("{access_token}", "{role_access_key_id|access_key_id}");
    let denied = || reply(403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>");
    for (answer, last) in [(denied as fn() -> TokenReply, true), (|| reply(503, ""), false)] {
        let house = House::making(&text, &fields, move |_, _| answer());
        assert!(house.authorize().await.is_err());
        assert_eq!(is_in_attention(&house), last);
        assert!(house.authorize().await.is_err(), "nor when asked again");
    }
}

/// An endpoint whose clock is `off` seconds before ours, or behind it, and which takes an assertion of the last minute and of no other.
async fn strict(off: i64) -> (Result<String, crate::broker::Error>, House) {
    let grant = "[[grant]]\nkind = \"jwt_bearer\"\ntoken_url = \"https://auth.example/token\"\n\
                 jwt = { algorithm = \"RS256\", key = \"private_key\", lifetime_secs = 180, claims = { iss = \"{client_id}\" } }\n\
                 [[field]]\nname = \"private_key\"\nprompt = \"Key\"\nfile = true\n";
    let (key, public) = rsa();
    // The clock of the fakes begins here, and hardly moves.
    let theirs = jiff::Timestamp::from_second(1_800_000_000 + off).expect("a time");
    let house = House::making(&provider(grant), &[("client_id", "the-id"), ("private_key", &key)], move |request, _| {
        let asked = Asked::of(request);
        let (_, claims) = opened(&asked.parameter("assertion").expect("one"), &RSA_PKCS1_2048_8192_SHA256, &public);
        let age = theirs.as_second() - claims["iat"].as_i64().expect("a time");
        let answer = if (0..=90).contains(&age) { granted() } else { reply(400, r#"{"error":"invalid_grant"}"#) };
        let date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        TokenReply { date: http::HeaderValue::from_str(&date).ok(), ..answer }
    });
    let permit = house.authorize().await.map(|permit| token(&permit));
    (permit, house)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_by_five_minutes_signs_once_more_by_the_services() {
    for (off, calls) in [(0, 1), (300, 2), (-300, 2)] {
        let (token, house) = strict(off).await;
        assert_eq!((token.expect("a token").as_str(), house.endpoint.calls()), ("made", calls), "{off}");
        assert!(!is_in_attention(&house));
    }
    // By more than a day no clock is wrong: whoever says so is not believed.
    let (token, house) = strict(200_000).await;
    assert!(token.is_err() && is_in_attention(&house) && house.endpoint.calls() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_shown_once_whatever_the_time() {
    let house = House::new(None);
    let late = http::HeaderValue::from_static("Fri, 15 Jan 2027 08:05:00 GMT");
    *house.endpoint.vendor.lock().expect("a lock") = Some(Box::new(move |_request, _number| TokenReply {
        date: Some(late.clone()),
        ..reply(400, r#"{"error":"invalid_grant"}"#)
    }));
    assert_eq!(kept(&house.always_401().await), "attention");
    assert_eq!(house.endpoint.calls(), 1);
}
