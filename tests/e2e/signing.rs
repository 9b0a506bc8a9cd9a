//! Strategies that sign, held against a second reading of each scheme: what arrives is what was signed, and the secret is nowhere.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Method, Request};
use sha2::{Digest as _, Sha256};

use crate::harness::{
    Authority, Body, Builder, Caller, Nexus, Offers, Reply, Seen, Upstream, answer, channel, empty, full, request, run,
};

const SECRET: &str = "the-secret/0123456789+abcdefghijklmnopqr";
const TOKEN: &str = "the-session-token-0123456789/+=";
const STOLEN: &str = "STOLEN-BY-SOMEBODY-0123456789";

struct Scene {
    service: Upstream,
    caller: Caller,
    nexus: Nexus,
}

/// A service under `names`, a provider file, and a connection with `fields`.
async fn scene(names: &[&str], file: &str, connection: &str, fields: &[(&str, &str)]) -> Scene {
    let ca = Authority::new();
    let service = Upstream::serve(&ca, names, Offers::Both, |mut call| async move {
        let _body = call.read().await;
        let challenge = "Digest realm=\"r\", nonce=\"n0\", qop=\"auth\", algorithm=SHA-256, opaque=\"o\"";
        let mut response = answer(200, "taken");
        if call.seen.path.starts_with("/digest") && call.seen.header("authorization").is_none() {
            response = answer(401, "who are you");
            response.headers_mut().insert("www-authenticate", HeaderValue::from_static(challenge));
        }
        response
    })
    .await;
    let mut builder = Builder::new(&ca);
    if !file.is_empty() {
        builder = builder.provider(connection, file);
    }
    for name in names {
        builder = builder.resolve(name, service.address);
    }
    let nexus = builder.register(connection, fields).start();
    Scene { service, caller: Caller::new(&nexus), nexus }
}

impl Scene {
    async fn ask(&self, method: Method, url: &str, headers: &[(&'static str, &str)], body: Body) -> (Reply, Option<Seen>) {
        let before = self.service.count();
        let mut asked: Request<Body> = request(method, url, body);
        for (name, value) in headers {
            asked.headers_mut().append(*name, value.parse().expect("a value"));
        }
        let reply = self.caller.send(asked).await;
        let seen = (self.service.count() > before).then(|| self.service.seen().pop().expect("a request"));
        if let Some(seen) = &seen {
            let whole = format!("{seen:?}");
            assert!(!whole.contains(SECRET) && !whole.contains(STOLEN), "{whole}");
        }
        (reply, seen)
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The key of one day, region and service, and the scope (IAM User Guide, "Create a signed AWS API request").
fn aws_key(stamp: &str, scope: &[&str]) -> (Vec<u8>, String) {
    let date = &stamp[..8];
    let key = hmac(format!("AWS4{SECRET}").as_bytes(), date.as_bytes());
    let key = scope.iter().chain(&["aws4_request"]).fold(key, |key, part| hmac(&key, part.as_bytes()));
    (key, format!("{date}/{}/aws4_request", scope.join("/")))
}

/// The signature that `seen` should have over `signed` headers, and the seed of its chunks.
fn aws_signature(seen: &Seen, scope: &[&str], signed: &str, stamp: &str, payload: &str) -> String {
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    let mut pairs: Vec<String> =
        query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("X-Amz-Signature=")).map(str::to_owned).collect();
    pairs.sort();
    let mut headers = String::new();
    for name in signed.split(';') {
        let value = if name == "host" { seen.authority.clone() } else { seen.header(name).map(str::to_owned) };
        headers.push_str(&format!("{name}:{}\n", value.unwrap_or_default().trim()));
    }
    let canonical = format!("{}\n{path}\n{}\n{headers}\n{signed}\n{payload}", seen.method, pairs.join("&"));
    let (key, scope) = aws_key(stamp, scope);
    hex(&hmac(&key, format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(canonical.as_bytes())).as_bytes()))
}

/// The parts of `Authorization: AWS4-HMAC-SHA256 …`.
fn aws_parts(seen: &Seen) -> BTreeMap<String, String> {
    let value = seen.header("authorization").expect("a signature").strip_prefix("AWS4-HMAC-SHA256 ").expect("the algorithm");
    value.split(", ").filter_map(|part| part.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn is_signed(seen: &Seen, scope: &[&str; 2], payload: &str) {
    let parts = aws_parts(seen);
    let stamp = seen.header("x-amz-date").expect("a time");
    assert_eq!(parts["Credential"], format!("AKIDREAL/{}/{}/{}/aws4_request", &stamp[..8], scope[0], scope[1]));
    assert_eq!(parts["Signature"], aws_signature(seen, scope, &parts["SignedHeaders"], stamp, payload), "{seen:?}");
    for name in ["host", "x-amz-date", "x-amz-security-token"] {
        assert!(parts["SignedHeaders"].split(';').any(|signed| signed == name), "{name} {parts:?}");
    }
    assert_eq!(seen.header("x-amz-security-token"), Some(TOKEN));
}

const DYNAMO: &str = "dynamodb.eu-west-1.amazonaws.com";
const BUCKET: &str = "bucket.s3.us-west-2.amazonaws.com";

const STS: &str = "sts.amazonaws.com";

async fn aws() -> Scene {
    let fields = [("access_key_id", "AKIDREAL"), ("secret_access_key", SECRET), ("session_token", TOKEN)];
    scene(&[DYNAMO, BUCKET, STS], "", "aws", &fields).await
}

fn theirs(scope: &str, signed: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIASTOLEN/20260101/{scope}/aws4_request, SignedHeaders={signed}, Signature={}",
        "0".repeat(64)
    )
}

#[test]
fn i1_i2_a_request_to_aws_is_signed_anew_whatever_the_caller_signed_it_with() {
    run(async {
        let scene = aws().await;
        let url = format!("https://{DYNAMO}/");
        let body = "{\"TableName\":\"t\"}";
        let target = [("x-amz-target", "DynamoDB_20120810.DescribeTable"), ("content-type", "application/x-amz-json-1.0")];
        let (reply, seen) = scene.ask(Method::POST, &url, &target, full(body)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        is_signed(&seen.expect("a request"), &["eu-west-1", "dynamodb"], &sha256(body.as_bytes()));
        let signed = theirs("eu-west-1/dynamodb", "content-type;host;x-amz-date;x-amz-target");
        let more = [("authorization", signed.as_str()), ("x-amz-date", "20260101T000000Z"), ("x-amz-security-token", STOLEN)];
        let (reply, seen) = scene.ask(Method::POST, &url, &[&target[..], &more].concat(), full(body)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        is_signed(&seen.expect("a request"), &["eu-west-1", "dynamodb"], &sha256(body.as_bytes()));
        // A signature for one service does not become one for another.
        let other = theirs("eu-west-1/iam", "host");
        let (reply, seen) = scene.ask(Method::POST, &url, &[("authorization", &other)], full(body)).await;
        assert_eq!((reply.status, reply.refusal(), seen.is_none()), (400, Some("malformed"), true), "{reply:?}");
    });
}

#[test]
fn t44_i1_no_caller_gets_keys_that_are_good_without_the_proxy() {
    run(async {
        let scene = aws().await;
        let form = ("content-type", "application/x-www-form-urlencoded");
        let hash = sha256(b"Action=GetSessionToken&Version=2011-06-15");
        let binary = ("content-type", "application/octet-stream");
        for headers in [&[form][..], &[form, ("x-amz-content-sha256", hash.as_str())], &[], &[binary]] {
            let body = full("Action=GetSessionToken&Version=2011-06-15");
            let (reply, seen) = scene.ask(Method::POST, &format!("https://{STS}/"), headers, body).await;
            assert_eq!((reply.status, reply.refusal(), seen.is_none()), (403, Some("policy"), true), "{reply:?}");
        }
        let (reply, _seen) =
            scene.ask(Method::GET, &format!("https://{STS}/?Action=AssumeRole&Version=2011-06-15"), &[], empty()).await;
        assert_eq!((reply.status, scene.service.count()), (403, 0), "{reply:?}");
        let who = full("Action=GetCallerIdentity&Version=2011-06-15");
        assert_eq!(scene.ask(Method::POST, &format!("https://{STS}/"), &[form], who).await.0.status, 200);
    });
}

#[test]
fn an_upload_to_s3_streams_whatever_says_what_it_is() {
    run(async {
        let scene = aws().await;
        let url = format!("https://{BUCKET}/a%20key/%C3%BC?x=1&acl=");
        // More than is ever gathered.
        let bytes = vec![7_u8; 17 << 20];
        let stated = sha256(&bytes);
        for hash in [stated.as_str(), "UNSIGNED-PAYLOAD"] {
            let headers = [("x-amz-content-sha256", hash), ("x-amz-meta-who", "me")];
            let (reply, seen) = scene.ask(Method::PUT, &url, &headers, full(bytes.clone())).await;
            let seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
            is_signed(&seen, &["us-west-2", "s3"], hash);
            assert_eq!((reply.status, seen.body.as_ref().map(|body| body.len())), (200, Some(bytes.len())));
        }
    });
}

/// As an SDK frames it ("Signature calculations for the authorization header: transferring payload in multiple chunks").
fn chunked(chunks: &[&[u8]], sign: impl Fn(usize, &[u8]) -> String) -> Vec<u8> {
    let mut framed = Vec::new();
    for (at, chunk) in chunks.iter().chain(&[&b""[..]]).enumerate() {
        framed.extend_from_slice(format!("{:x};chunk-signature={}\r\n", chunk.len(), sign(at, chunk)).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed
}

#[test]
fn i7_a_chunk_that_is_held_takes_room_of_its_agent() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[BUCKET], Offers::Both, |mut call| async move {
            let _broken = call.read().await;
            answer(200, "taken")
        })
        .await;
        let fields = [("access_key_id", "AKIDREAL"), ("secret_access_key", SECRET)];
        let builder = Builder::new(&ca).resolve(BUCKET, service.address).register("aws", &fields);
        let nexus = builder.config("[limits]\ncontent = \"1KiB\"").start();
        let caller = Caller::new(&nexus);
        for (size, status) in [(4_000, 200), (10_000, 429)] {
            let sent = bytes::Bytes::from(chunked(&[&vec![b'x'; size]], |_at, _chunk| "f".repeat(64)));
            let (mut sender, body) = channel();
            let mut asked = request(Method::PUT, &format!("https://{BUCKET}/big"), body);
            for (name, value) in [
                ("authorization", theirs("us-west-2/s3", "host;x-amz-content-sha256;x-amz-date")),
                ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned()),
                ("x-amz-decoded-content-length", size.to_string()),
                ("x-amz-date", "20260101T000000Z".to_owned()),
                ("content-length", sent.len().to_string()),
            ] {
                asked.headers_mut().insert(name, value.parse().expect("a value"));
            }
            // The end of the larger one never comes.
            let coming = sent.slice(..sent.len().min(9_000));
            let (reply, _sent) = tokio::join!(caller.send(asked), sender.send_data(coming));
            assert_eq!(reply.status, status, "{size} {reply:?}");
        }
    });
}

#[test]
fn i2_signed_chunks_are_signed_anew_one_after_the_other() {
    run(async {
        let scene = aws().await;
        let (one, two) = (vec![1_u8; 70_000], vec![2_u8; 12_345]);
        let chunks: [&[u8]; 2] = [&one, &two];
        let sent = chunked(&chunks, |_at, _chunk| "f".repeat(64));
        let (length, decoded) = (sent.len().to_string(), (one.len() + two.len()).to_string());
        let signed = theirs("us-west-2/s3", "host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length");
        let headers = [
            ("authorization", signed.as_str()),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("x-amz-decoded-content-length", &decoded),
            ("content-encoding", "aws-chunked"),
            ("x-amz-date", "20260101T000000Z"),
            ("content-length", &length),
        ];
        for streamed in [false, true] {
            let url = format!("https://{BUCKET}/big");
            let (reply, seen) = if streamed {
                let (mut sender, streaming) = channel();
                let pieces: Vec<Vec<u8>> = sent.chunks(4_099).map(<[u8]>::to_vec).collect();
                let sending = async move {
                    for piece in pieces {
                        sender.send_data(piece.into()).await.expect("room");
                    }
                };
                tokio::join!(scene.ask(Method::PUT, &url, &headers, streaming), sending).0
            } else {
                scene.ask(Method::PUT, &url, &headers, full(sent.clone())).await
            };
            let seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
            is_signed(&seen, &["us-west-2", "s3"], "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
            let (stamp, mut before) =
                (seen.header("x-amz-date").expect("a time").to_owned(), aws_parts(&seen)["Signature"].clone());
            let (key, scope) = aws_key(&stamp, &["us-west-2", "s3"]);
            let mut signatures = Vec::new();
            for chunk in chunks.iter().chain(&[&b""[..]]) {
                let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{before}\n{}\n{}", sha256(b""), sha256(chunk));
                before = hex(&hmac(&key, text.as_bytes()));
                signatures.push(before.clone());
            }
            let expected = chunked(&chunks, |at, _chunk| signatures[at].clone());
            assert!(seen.body.as_deref() == Some(&expected[..]), "streamed: {streamed}");
        }
        // What is not framed as it says reaches nobody whole, and it is the caller who is told.
        let (mut sender, streaming) = channel();
        let sending = async move { sender.send_data("5;chunk-signature=x\r\n".into()).await.expect("room") };
        let bad = format!("https://{BUCKET}/bad");
        for asking in [
            scene.ask(Method::PUT, &bad, &headers[..5], full("zz;chunk-signature=x\r\n")).await,
            tokio::join!(scene.ask(Method::PUT, &bad, &headers[..5], streaming), sending).0,
        ] {
            assert_eq!((asking.0.status, asking.0.refusal()), (400, Some("malformed")), "{asking:?}");
        }
    });
}

#[test]
fn a_presigned_url_is_presigned_anew() {
    run(async {
        let scene = aws().await;
        let theirs = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIASTOLEN%2F20260101%2Fus-west-2%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z\
             &X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Security-Token={STOLEN}&X-Amz-Signature={}",
            "0".repeat(64)
        );
        let (reply, seen) = scene.ask(Method::GET, &format!("https://{BUCKET}/a?versionId=1&{theirs}"), &[], empty()).await;
        let seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
        let query: BTreeMap<&str, &str> =
            seen.path.split_once('?').expect("a query").1.split('&').filter_map(|pair| pair.split_once('=')).collect();
        assert_eq!(
            (query["X-Amz-Expires"], query["versionId"], query["X-Amz-SignedHeaders"]),
            ("600", "1", "host"),
            "{query:?}"
        );
        assert!(query["X-Amz-Credential"].starts_with("AKIDREAL%2F"), "{query:?}");
        let expected = aws_signature(&seen, &["us-west-2", "s3"], "host", query["X-Amz-Date"], "UNSIGNED-PAYLOAD");
        assert_eq!((query["X-Amz-Signature"], seen.header("authorization")), (expected.as_str(), None));
    });
}

const HMACED: &str = r#"
name = "hmaced"
slots = ["query:hash", "x-signature"]
[[field]]
name = "secret"
prompt = "Secret"
[[inject]]
hosts = ["query.test"]
strategy = { hmac = { hash = "sha256", key = "{secret}", message = "{api_key}{timestamp}", places = [
    { query = "api_key", value = "{api_key}" }, { query = "timestamp", value = "{timestamp}" }, { query = "hash", value = "{signature}" },
] } }
[[inject]]
hosts = ["header.test"]
strategy = { hmac = { hash = "sha256", key = "{secret}", message = "{timestamp}{method}{path_and_query}{body}", output = "base64", places = [
    { header = "x-timestamp", value = "{timestamp}" }, { header = "x-signature", value = "{signature}" },
] } }
"#;

#[test]
fn i1_an_hmac_is_made_as_the_file_describes_it_over_query_and_body() {
    run(async {
        let fields = [("api_key", "own-key"), ("secret", SECRET)];
        let scene = scene(&["query.test", "header.test"], HMACED, "hmaced", &fields).await;
        let (reply, seen) = scene.ask(Method::GET, &format!("https://query.test/a?b=1&hash={STOLEN}"), &[], empty()).await;
        let seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
        let query: BTreeMap<&str, &str> =
            seen.path.split_once('?').expect("a query").1.split('&').filter_map(|pair| pair.split_once('=')).collect();
        assert_eq!((query["b"], query["api_key"]), ("1", "own-key"));
        assert_eq!(query["hash"], hex(&hmac(SECRET.as_bytes(), format!("own-key{}", query["timestamp"]).as_bytes())));
        let (reply, seen) =
            scene.ask(Method::POST, "https://header.test/orders?x=1", &[("x-signature", STOLEN)], full("{\"a\":1}")).await;
        let seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
        let stamp = seen.header("x-timestamp").expect("a time");
        let expected = STANDARD.encode(hmac(SECRET.as_bytes(), format!("{stamp}POST/orders?x=1{{\"a\":1}}").as_bytes()));
        assert_eq!(seen.header("x-signature"), Some(expected.as_str()));
        let opened = |line: &serde_json::Value| line["event"] == "open" && line["path"] == "/orders?x=";
        assert_eq!(scene.nexus.audit_line(opened).await["strategy"], "hmac");
    });
}

const DIGESTED: &str = r#"
name = "digested"
slots = ["authorization"]
[[inject]]
hosts = ["digest.test"]
strategy = { digest = { username = "{username}", password = "{password}" } }
"#;

#[test]
fn a_digest_challenge_is_answered_once_and_the_next_request_answers_beforehand() {
    run(async {
        let scene = scene(&["digest.test"], DIGESTED, "digested", &[("username", "me"), ("password", SECRET)]).await;
        for (count, path) in [(1, "/digest/a?b=1"), (2, "/digest/c")] {
            let (reply, seen) = scene
                .ask(Method::POST, &format!("https://digest.test{path}"), &[("authorization", STOLEN)], full("body"))
                .await;
            assert_eq!((reply.status, reply.text()), (200, "taken"), "{path}");
            let seen = seen.expect("a request");
            let value = seen.header("authorization").expect("an answer").strip_prefix("Digest ").expect("the scheme");
            let part = |name: &str| {
                let begin = format!("{name}=");
                let found = value.split(", ").find_map(|part| part.strip_prefix(&begin));
                found.unwrap_or_else(|| panic!("{name} of {value}")).trim_matches('"')
            };
            let (secret, covered) = (sha256(format!("me:r:{SECRET}").as_bytes()), sha256(format!("POST:{path}").as_bytes()));
            let expected = sha256(format!("{secret}:n0:{}:{}:auth:{covered}", part("nc"), part("cnonce")).as_bytes());
            assert_eq!(
                (part("response"), part("nc"), part("opaque")),
                (expected.as_str(), format!("{count:08x}").as_str(), "o")
            );
            assert_eq!(seen.body.as_deref(), Some(&b"body"[..]));
        }
        assert_eq!(scene.service.count(), 3, "one challenge");
        assert_eq!(scene.nexus.notes("/digest/a?b=").await, ["challenged"]);
    });
}

const OLD: &str = r#"
name = "old"
slots = ["authorization"]
[[field]]
name = "consumer_key"
prompt = "Consumer key"
[[field]]
name = "consumer_secret"
prompt = "Consumer secret"
[[field]]
name = "token_secret"
prompt = "Token secret"
[[inject]]
hosts = ["old.test"]
strategy = { oauth1 = { consumer_key = "{consumer_key}", consumer_secret = "{consumer_secret}", token = "{access_token}", token_secret = "{token_secret}", method = "HMAC-SHA256" } }
"#;

#[test]
fn oauth_1_signs_method_url_and_form() {
    run(async {
        let fields = [("consumer_key", "ck"), ("consumer_secret", SECRET), ("access_token", "tk"), ("token_secret", TOKEN)];
        let scene = scene(&["old.test"], OLD, "old", &fields).await;
        let form = [("content-type", "application/x-www-form-urlencoded"), ("authorization", STOLEN)];
        let (reply, seen) = scene.ask(Method::POST, "https://old.test/1.1/a?q=x", &form, full("status=hi%20you&b=2")).await;
        let seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
        let value = seen.header("authorization").expect("a signature").strip_prefix("OAuth ").expect("the scheme");
        let parts: BTreeMap<&str, &str> = value
            .split(", ")
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name, value.trim_matches('"')))
            .collect();
        let escape = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            text.bytes()
                .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
                .collect::<String>()
        };
        let own =
            ["oauth_consumer_key", "oauth_nonce", "oauth_signature_method", "oauth_timestamp", "oauth_token", "oauth_version"];
        let mut all: Vec<String> =
            own.iter().filter_map(|name| parts.get(name).map(|value| format!("{name}={value}"))).collect();
        all.extend(["b=2", "q=x", "status=hi%20you"].map(str::to_owned));
        all.sort();
        let base = format!("POST&{}&{}", escape("https://old.test/1.1/a"), escape(&all.join("&")));
        let key = format!("{}&{}", escape(SECRET), escape(TOKEN));
        let expected = escape(&STANDARD.encode(hmac(key.as_bytes(), base.as_bytes())));
        assert_eq!(parts["oauth_signature"], expected, "{value}\n{base}");
    });
}

const STORAGE: &str = r#"
name = "storage"
slots = ["authorization", "query:sig"]
[[field]]
name = "account_key"
prompt = "Account key"
[[field]]
name = "sas_token"
prompt = "SAS"
[[field]]
name = "name"
prompt = "Account"
secret = false
[[inject]]
hosts = ["acme.blob.core.windows.net"]
paths = ["/key/**"]
strategy = { azure_shared_key = { account = "{name}", key = "{account_key}" } }
[[inject]]
hosts = ["acme.blob.core.windows.net"]
paths = ["/sas/**"]
strategy = { azure_sas = "{sas_token}" }
"#;

#[test]
fn azure_storage_is_signed_for_or_shown_the_stored_signature() {
    run(async {
        let key = STANDARD.encode(SECRET);
        let fields = [("name", "acme"), ("account_key", key.as_str()), ("sas_token", "?sv=2024-11-04&sp=r&sig=own%2Bsig%3D")];
        let scene = scene(&["acme.blob.core.windows.net"], STORAGE, "storage", &fields).await;
        let theirs =
            [("authorization", "SharedKey acme:STOLEN-BY"), ("x-ms-version", "2024-11-04"), ("content-type", "text/plain")];
        let url = format!("https://acme.blob.core.windows.net/key/a?comp=block&blockid=YQ%3D%3D&sig={STOLEN}");
        let (reply, seen) = scene.ask(Method::PUT, &url, &theirs, full("hello")).await;
        let seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
        assert_eq!(seen.path, "/key/a?comp=block&blockid=YQ%3D%3D");
        let text = format!(
            "PUT\n\n\n5\n\ntext/plain\n\n\n\n\n\n\nx-ms-date:{}\nx-ms-version:2024-11-04\n/acme/key/a\nblockid:YQ==\ncomp:block",
            seen.header("x-ms-date").expect("a time")
        );
        let expected = format!("SharedKey acme:{}", STANDARD.encode(hmac(SECRET.as_bytes(), text.as_bytes())));
        assert_eq!(seen.header("authorization"), Some(expected.as_str()), "{text}");
        let url = format!("https://acme.blob.core.windows.net/sas/a?x=1&sig={STOLEN}&sp=rwd");
        let (reply, seen) = scene.ask(Method::GET, &url, &[], empty()).await;
        let path = seen.unwrap_or_else(|| panic!("{reply:?}")).path;
        let query: BTreeMap<&str, &str> =
            path.split_once('?').expect("a query").1.split('&').filter_map(|pair| pair.split_once('=')).collect();
        assert_eq!(query, BTreeMap::from([("x", "1"), ("sv", "2024-11-04"), ("sp", "r"), ("sig", "own%2Bsig%3D")]), "{path}");
    });
}
