//! Credentials that are made from what is stored, each kind at a service that ships and takes it: a strict token endpoint that
//! checks every byte it should, and an API that takes what that endpoint gave.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Response;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Authority, Body, Builder, Call, Caller, Nexus, Offers, Upstream, access, answer, run, run_within};

const ID: &str = "the client:id";
const SECRET: &str = "s3cret with space & sign";

/// A request to a token endpoint, read.
struct Asked {
    line: String,
    authorization: Option<String>,
    headers: http::HeaderMap,
    host: String,
    body: String,
    form: BTreeMap<String, String>,
}

impl Asked {
    fn parameter(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// Its parameters are these and no others, in any order; those of an assertion are the caller's to check.
    fn has_only(&self, names: &[&str]) -> bool {
        self.form.keys().map(String::as_str).collect::<HashSet<_>>() == names.iter().copied().collect()
    }
}

/// How one kind of grant is registered, and what its token endpoint insists on.
struct Kind {
    provider: &'static str,
    /// A file of the user's own, where no service that ships takes the kind.
    file: Option<&'static str>,
    fields: Vec<(&'static str, String)>,
    hosts: [&'static str; 2],
    api: &'static str,
    /// Method and target of the token endpoint at the first of `hosts`.
    line: &'static str,
    right: Box<dyn Fn(&Asked) -> bool + Send + Sync>,
    reply: fn(&str) -> (u16, Value),
    /// The field that holds what it gave.
    holds: &'static str,
}

/// RFC 6749 §5.1.
fn granted(token: &str) -> (u16, Value) {
    (200, json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 }))
}

/// "Create an installation access token for an app", GitHub.
fn installed(token: &str) -> (u16, Value) {
    (201, json!({ "token": token, "expires_at": "2199-07-11T22:14:10Z", "permissions": { "metadata": "read" } }))
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode("the+client%3Aid:s3cret+with+space+%26+sign"))
}

/// An RSA key in PEM and its public half.
fn rsa() -> (String, Vec<u8>) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("DER");
    (pem("PRIVATE KEY", der.as_ref()), pair.public_key().as_ref().to_vec())
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// The header and claims of a token whose signature holds and that is of this minute.
fn opened(token: &str, algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) -> Option<(Value, Value)> {
    let (message, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(algorithm, public).verify(message.as_bytes(), &signature).ok()?;
    let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    let (header, claims) = message.split_once('.')?;
    let (header, claims) = (part(header)?, part(claims)?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let lives = claims["iat"].as_u64()? <= now && claims["exp"].as_u64()? > now;
    lives.then_some((header, claims))
}

fn client_credentials() -> Kind {
    Kind {
        provider: "paypal",
        file: None,
        fields: vec![("client_id", ID.to_owned()), ("client_secret", SECRET.to_owned())],
        hosts: ["api-m.paypal.com", "api-m.sandbox.paypal.com"],
        api: "api-m.paypal.com",
        line: "POST /v1/oauth2/token",
        right: Box::new(|asked| {
            let client = asked.authorization.as_deref() == Some(&basic());
            client && asked.has_only(&["grant_type"]) && asked.parameter("grant_type") == "client_credentials"
        }),
        reply: granted,
        holds: "access_token",
    }
}

fn client_credentials_by_get() -> Kind {
    Kind {
        provider: "safaricom_mpesa",
        file: None,
        fields: vec![("client_id", ID.to_owned()), ("client_secret", SECRET.to_owned())],
        hosts: ["api.safaricom.co.ke", "sandbox.safaricom.co.ke"],
        api: "api.safaricom.co.ke",
        line: "GET /oauth/v1/generate?grant_type=client_credentials",
        right: Box::new(|asked| asked.authorization.as_deref() == Some(&basic()) && asked.form.is_empty()),
        reply: |token| (200, json!({ "access_token": token, "expires_in": "3599" })),
        holds: "access_token",
    }
}

fn account_credentials() -> Kind {
    Kind {
        provider: "zoom",
        file: None,
        fields: vec![("client_id", ID.to_owned()), ("client_secret", SECRET.to_owned()), ("account_id", "A-b_1".to_owned())],
        hosts: ["zoom.us", "api.zoom.us"],
        api: "api.zoom.us/v2",
        line: "POST /oauth/token",
        right: Box::new(|asked| {
            let named = asked.parameter("grant_type") == "account_credentials" && asked.parameter("account_id") == "A-b_1";
            named && asked.authorization.as_deref() == Some(&basic()) && asked.has_only(&["grant_type", "account_id"])
        }),
        reply: granted,
        holds: "access_token",
    }
}

fn private_key_jwt() -> Kind {
    let (key, public) = rsa();
    let certificate = pem("CERTIFICATE", &[0, 1, 2]);
    Kind {
        provider: "azure_arm",
        file: None,
        fields: vec![
            ("tenant_id", "contoso.example".to_owned()),
            ("client_id", "app".to_owned()),
            ("private_key", key),
            ("certificate", certificate),
        ],
        hosts: ["login.microsoftonline.com", "management.azure.com"],
        api: "management.azure.com",
        line: "POST /contoso.example/oauth2/v2.0/token",
        right: Box::new(move |asked| {
            let names = ["grant_type", "scope", "client_id", "client_assertion_type", "client_assertion"];
            let Some((header, claims)) = opened(asked.parameter("client_assertion"), &RSA_PKCS1_2048_8192_SHA256, &public)
            else {
                return false;
            };
            let ours = claims["iss"] == "app" && claims["sub"] == "app" && claims["jti"].is_string();
            let audience = claims["aud"] == "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token";
            // Python: base64.urlsafe_b64encode(hashlib.sha256(bytes([0, 1, 2])).digest()).rstrip(b"=")
            let certificate = header["x5t#S256"] == "rksygOVuL6-D9BSm49q-nV--GJdlRMBf7RIazLhbU_w";
            let scope = asked.parameter("scope") == "https://management.azure.com/.default";
            let client = asked.authorization.is_none() && asked.parameter("client_id") == "app";
            asked.has_only(&names) && ours && audience && certificate && scope && client
        }),
        reply: granted,
        holds: "access_token",
    }
}

fn jwt_bearer() -> Kind {
    let (key, public) = rsa();
    let fields = [("client_id", "integration"), ("user_id", "whom"), ("server", "na3"), ("private_key", key.as_str())];
    Kind {
        provider: "docusign",
        file: None,
        fields: fields.map(|(name, value)| (name, value.to_owned())).to_vec(),
        hosts: ["account.docusign.com", "na3.docusign.net"],
        api: "na3.docusign.net/restapi",
        line: "POST /oauth/token",
        right: Box::new(move |asked| {
            let grant = asked.parameter("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let claims = opened(asked.parameter("assertion"), &RSA_PKCS1_2048_8192_SHA256, &public).map(|(_, claims)| claims);
            let said = |name: &str| claims.as_ref().and_then(|claims| claims[name].as_str().map(str::to_owned));
            let who = said("iss").as_deref() == Some("integration") && said("sub").as_deref() == Some("whom");
            let audience = said("aud").as_deref() == Some("account.docusign.com");
            let scope = said("scope").as_deref() == Some("signature impersonation");
            grant && who && audience && scope && asked.has_only(&["grant_type", "assertion"]) && asked.authorization.is_none()
        }),
        reply: granted,
        holds: "access_token",
    }
}

fn service_account() -> Kind {
    let (key, public) = rsa();
    let file = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": key,
        "client_email": "robot@p.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    Kind {
        provider: "gcs",
        file: None,
        fields: vec![("service_account_json", file.to_string()), ("subject", "me@acme.example".to_owned())],
        hosts: ["oauth2.googleapis.com", "storage.googleapis.com"],
        api: "storage.googleapis.com",
        line: "POST /token",
        right: Box::new(move |asked| {
            let grant = asked.parameter("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let Some((header, claims)) = opened(asked.parameter("assertion"), &RSA_PKCS1_2048_8192_SHA256, &public) else {
                return false;
            };
            let who = claims["iss"] == "robot@p.iam.gserviceaccount.com" && claims["sub"] == "me@acme.example";
            let what = claims["scope"] == "https://www.googleapis.com/auth/devstorage.read_write";
            let where_to = claims["aud"] == "https://oauth2.googleapis.com/token" && header["kid"] == "k1";
            grant && who && what && where_to && asked.has_only(&["grant_type", "assertion"])
        }),
        reply: granted,
        holds: "access_token",
    }
}

fn github_app() -> Kind {
    let (key, public) = rsa();
    let fields = [("app_id", "12345"), ("installation_id", "678"), ("private_key", key.as_str())];
    Kind {
        provider: "github_app",
        file: None,
        fields: fields.map(|(name, value)| (name, value.to_owned())).to_vec(),
        hosts: ["api.github.com", "github.com"],
        api: "api.github.com",
        line: "POST /app/installations/678/access_tokens",
        right: Box::new(move |asked| {
            let token = asked.authorization.as_deref().and_then(|field| field.strip_prefix("Bearer "));
            let claims = token.and_then(|token| opened(token, &RSA_PKCS1_2048_8192_SHA256, &public));
            claims.is_some_and(|(_, claims)| claims["iss"] == "12345") && asked.form.is_empty()
        }),
        reply: installed,
        holds: "access_token",
    }
}

fn token_exchange() -> Kind {
    Kind {
        provider: "exchange",
        file: Some(
            "name = \"exchange\"\nslots = [\"authorization\"]\n[[grant]]\nkind = \"token_exchange\"\n\
             token_url = \"https://sts.exchange.test/token\"\nclient_authentication = \"none\"\n\
             params = { subject_token_type = \"urn:ietf:params:oauth:token-type:jwt\", audience = \"pool\" }\n\
             [[field]]\nname = \"subject_token\"\nprompt = \"Token\"\n\
             [[inject]]\nhosts = [\"api.exchange.test\"]\nstrategy = { bearer = \"{access_token}\" }\n",
        ),
        fields: vec![("subject_token", "theirs.of.another".to_owned())],
        hosts: ["sts.exchange.test", "api.exchange.test"],
        api: "api.exchange.test",
        line: "POST /token",
        right: Box::new(|asked| {
            let grant = asked.parameter("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange";
            let kind = asked.parameter("subject_token_type") == "urn:ietf:params:oauth:token-type:jwt";
            let what = asked.parameter("subject_token") == "theirs.of.another" && asked.parameter("audience") == "pool";
            grant && kind && what && asked.has_only(&["grant_type", "subject_token", "subject_token_type", "audience"])
        }),
        reply: granted,
        holds: "access_token",
    }
}

fn assume_role() -> Kind {
    let fields = [
        ("access_key_id", "AKIDEXAMPLE"),
        ("secret_access_key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("role_arn", "arn:aws:iam::123456789012:role/demo"),
        ("external_id", "tenant 7"),
        ("region", "eu-west-1"),
    ];
    Kind {
        provider: "roles",
        file: Some(
            "name = \"roles\"\nslots = [\"authorization\"]\n[[grant]]\nkind = \"assume_role\"\n\
             token_url = \"https://sts.{region}.roles.test/\"\n\
             [[field]]\nname = \"region\"\nprompt = \"Region\"\n[[field]]\nname = \"access_key_id\"\nprompt = \"Key ID\"\n\
             [[field]]\nname = \"secret_access_key\"\nprompt = \"Key\"\n[[field]]\nname = \"role_arn\"\nprompt = \"Role\"\n\
             [[inject]]\nhosts = [\"api.roles.test\"]\nstrategy = { bearer = \"{role_session_token}\" }\n",
        ),
        fields: fields.map(|(name, value)| (name, value.to_owned())).to_vec(),
        hosts: ["sts.eu-west-1.roles.test", "api.roles.test"],
        api: "api.roles.test",
        line: "POST /",
        right: Box::new(|asked| {
            let wanted = [
                ("Action", "AssumeRole"),
                ("Version", "2011-06-15"),
                ("RoleArn", "arn:aws:iam::123456789012:role/demo"),
                ("RoleSessionName", "nexus"),
                ("ExternalId", "tenant 7"),
            ];
            let said = wanted.iter().all(|(name, value)| asked.parameter(name) == *value);
            said && asked.form.len() == wanted.len() && is_signed(asked, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        }),
        reply: |token| {
            let keys = "<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>temporary+key/1</SecretAccessKey>";
            let end = "<Expiration>2199-11-09T13:34:41Z</Expiration>";
            let credentials = format!("<Credentials>{keys}<SessionToken>{token}</SessionToken>{end}</Credentials>");
            let result = format!("<AssumeRoleResult>{credentials}</AssumeRoleResult>");
            let space = "https://sts.amazonaws.com/doc/2011-06-15/";
            (200, format!("<AssumeRoleResponse xmlns=\"{space}\">{result}</AssumeRoleResponse>").into())
        },
        holds: "role_session_token",
    }
}

/// Whether Signature Version 4 holds, worked out anew ("Create a signed AWS API request", AWS IAM User Guide).
fn is_signed(asked: &Asked, secret: &str) -> bool {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::{Digest as _, Sha256};
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let field = asked.authorization.as_deref().unwrap_or_default();
    let part = |name: &str| field.split([' ', ',']).find_map(|part| part.strip_prefix(name)).unwrap_or_default();
    let (credential, signed) = (part("Credential="), part("SignedHeaders="));
    let Some((id, scope)) = credential.split_once('/') else { return false };
    let value = |name: &str| match name {
        "host" => asked.host.clone(),
        name => asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned(),
    };
    let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", value(name))).collect();
    let request = format!("POST\n/\n\n{headers}\n{signed}\n{}", hex(&Sha256::digest(asked.body.as_bytes())));
    let date = value("x-amz-date");
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, word| mac(&key, word));
    let day = date.get(..8).unwrap_or_default();
    let covers = ["host", "content-type", "x-amz-date"].iter().all(|name| signed.split(';').any(|own| own == *name));
    let here = scope == format!("{day}/eu-west-1/sts/aws4_request");
    id == "AKIDEXAMPLE" && covers && here && part("Signature=") == hex(&mac(&key, &to_sign))
}

/// The token endpoint, and the authority on which tokens are valid.
struct Issuer {
    kind: Kind,
    valid: Mutex<HashSet<String>>,
    issued: Mutex<usize>,
    mistakes: Mutex<Vec<String>>,
}

impl Issuer {
    fn uses(&self) -> usize {
        *self.issued.lock().expect("a lock")
    }

    fn expire(&self) {
        self.valid.lock().expect("a lock").clear();
    }

    async fn serve(&self, mut call: Call) -> Response<Body> {
        let Ok(body) = call.read().await else { return answer(400, "") };
        let host = call.seen.authority.clone().unwrap_or_default();
        let line = format!("{} {}", call.seen.method, call.seen.path);
        let [token_host, _] = self.kind.hosts;
        let at_endpoint = host == token_host && line.split('?').next() == self.kind.line.split('?').next();
        if at_endpoint {
            let form = String::from_utf8_lossy(&body).into_owned();
            let authorization = call.seen.header("authorization").map(str::to_owned);
            let headers = call.seen.headers.clone();
            return self.issue(&Asked { line, authorization, headers, host, form: parse_form(&form), body: form });
        }
        let known = call.seen.bearer().is_some_and(|token| self.valid.lock().expect("a lock").contains(token));
        answer(if known { 200 } else { 401 }, "the API")
    }

    fn issue(&self, asked: &Asked) -> Response<Body> {
        let right = asked.line == self.kind.line && (self.kind.right)(asked);
        if !right {
            let Asked { line, authorization, form, .. } = asked;
            self.mistakes.lock().expect("a lock").push(format!("{line} {authorization:?} {form:?}"));
            return json_answer(401, &json!({ "error": "invalid_client" }));
        }
        let mut issued = self.issued.lock().expect("a lock");
        *issued += 1;
        let token = access(*issued);
        self.valid.lock().expect("a lock").insert(token.clone());
        let (status, reply) = (self.kind.reply)(&token);
        json_answer(status, &reply)
    }
}

/// JSON, or XML where the body is one text.
fn json_answer(status: u16, body: &Value) -> Response<Body> {
    let (kind, text) = match body {
        Value::String(xml) => ("text/xml", xml.clone()),
        other => ("application/json", other.to_string()),
    };
    let mut response = answer(status, text);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
    response
}

fn parse_form(text: &str) -> BTreeMap<String, String> {
    let text = text.replace('+', " ");
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

struct House {
    issuer: Arc<Issuer>,
    service: Upstream,
    nexus: Nexus,
}

impl House {
    async fn of(kind: Kind) -> Self {
        let ca = Authority::new();
        let hosts = kind.hosts;
        let (valid, issued, mistakes) = (Mutex::default(), Mutex::default(), Mutex::default());
        let issuer = Arc::new(Issuer { kind, valid, issued, mistakes });
        let serving = Arc::clone(&issuer);
        let service = Upstream::serve(&ca, &hosts, Offers::Both, move |call| {
            let issuer = Arc::clone(&serving);
            async move { issuer.serve(call).await }
        })
        .await;
        let mut builder = Builder::new(&ca);
        for host in hosts {
            builder = builder.resolve(host, service.address);
        }
        if let Some(text) = issuer.kind.file {
            builder = builder.provider(issuer.kind.provider, text);
        }
        let fields: Vec<(&str, &str)> = issuer.kind.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let nexus = builder.register(issuer.kind.provider, &fields).start();
        Self { issuer, service, nexus }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.issuer.kind.api)
    }

    fn no_mistakes(&self) {
        assert_eq!(*self.issuer.mistakes.lock().expect("a lock"), Vec::<String>::new(), "{}", self.issuer.kind.provider);
    }

    /// No field that makes tokens was seen by the API, wherever on a request.
    fn nothing_leaked(&self) {
        let secret = |name: &str| {
            matches!(name, "secret_access_key" | "client_secret" | "private_key" | "service_account_json" | "subject_token")
        };
        let fields = self.issuer.kind.fields.iter().filter(|(name, _)| secret(name));
        let values: Vec<&str> = fields.map(|(_, value)| value.as_str()).collect();
        let line = self.issuer.kind.line;
        for seen in self.service.seen().iter().filter(|seen| format!("{} {}", seen.method, seen.path) != line) {
            let shown = format!("{seen:?}");
            let basic = seen.header("authorization").is_some_and(|field| !field.starts_with("Bearer access-token-"));
            assert!(!basic && !values.iter().any(|value| shown.contains(value)), "{shown}");
        }
    }
}

const KINDS: [fn() -> Kind; 9] = [
    client_credentials,
    client_credentials_by_get,
    account_credentials,
    private_key_jwt,
    jwt_bearer,
    service_account,
    github_app,
    token_exchange,
    assume_role,
];

#[test]
fn the_first_use_gets_a_token_and_a_401_gets_another_one() {
    run_within(Duration::from_secs(120), async {
        for kind in KINDS {
            let house = House::of(kind()).await;
            let name = house.issuer.kind.provider;
            let caller = Caller::new(&house.nexus);
            let reply = caller.get(&house.url("/first")).await;
            house.no_mistakes();
            assert_eq!((reply.status, house.issuer.uses()), (200, 1), "{name}: {reply:?}");
            assert!(house.nexus.holds(name, house.issuer.kind.holds, &access(1)), "{name}: not on disk");
            assert!(house.nexus.entry(name).expires_at.is_some_and(|end| end > SystemTime::now()), "{name}");
            assert_eq!(caller.get(&house.url("/second")).await.status, 200, "{name}");
            assert_eq!(house.issuer.uses(), 1, "{name}: it serves until it ends");
            house.issuer.expire();
            assert_eq!(caller.get(&house.url("/third")).await.status, 200, "{name}");
            assert_eq!(house.issuer.uses(), 2, "{name}");
            assert!(house.nexus.holds(name, house.issuer.kind.holds, &access(2)), "{name}: not on disk");
            house.no_mistakes();
            house.nothing_leaked();
        }
    });
}

#[test]
fn two_hundred_first_requests_at_once_ask_the_token_endpoint_once() {
    run_within(Duration::from_secs(180), async {
        for kind in KINDS {
            let house = House::of(kind()).await;
            let (host, path) = house.issuer.kind.api.split_once('/').unwrap_or((house.issuer.kind.api, ""));
            let path: Arc<str> = if path.is_empty() { "/crowd".into() } else { format!("/{path}/crowd").into() };
            let caller = Caller::new(&house.nexus);
            let mut tasks = JoinSet::new();
            for _ in 0..4 {
                let session = caller.http2(host).await;
                for _ in 0..50 {
                    let (mut session, path) = (session.share(), Arc::clone(&path));
                    tasks.spawn(async move { session.get(&path).await.status });
                }
            }
            let statuses = tasks.join_all().await;
            assert_eq!(statuses, vec![200; 200], "{}", house.issuer.kind.provider);
            assert_eq!(house.issuer.uses(), 1, "{}", house.issuer.kind.provider);
            house.no_mistakes();
        }
    });
}

#[test]
fn i2_no_caller_reaches_the_token_endpoint_and_no_secret_the_api_when_it_is_away() {
    run(async {
        for kind in [client_credentials, github_app] {
            let house = House::of(Kind { reply: |_| (503, json!({})), ..kind() }).await;
            let caller = Caller::new(&house.nexus);
            let reply = caller.get(&house.url("/first")).await;
            assert_eq!((reply.status, reply.refusal()), (502, Some("renewal")), "{reply:?}");
            let at_api = |seen: &&crate::harness::Seen| seen.path.ends_with("/first");
            assert_eq!(house.service.seen().iter().filter(at_api).count(), 0);
            let (_, target) = house.issuer.kind.line.split_once(' ').expect("a target");
            let reply = caller.get(&format!("https://{}{target}", house.issuer.kind.hosts[0])).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        }
    });
}

#[test]
fn what_a_service_takes_signed_is_signed_once_for_two_hundred_requests() {
    run_within(Duration::from_secs(120), async {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let key = pem("PRIVATE KEY", pair.to_pkcs8v1().expect("DER").as_ref());
        let public = pair.public_key().as_ref().to_vec();
        let dead: Arc<Mutex<HashSet<String>>> = Arc::default();
        let expired = Arc::clone(&dead);
        let (ca, host) = (Authority::new(), "api.appstoreconnect.apple.com");
        let service = Upstream::serve(&ca, &[host], Offers::Both, move |call| {
            let token = call.seen.bearer().unwrap_or_default().to_owned();
            let right = opened(&token, &ECDSA_P256_SHA256_FIXED, &public).is_some_and(|(header, claims)| {
                let span = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, iat)| exp - iat);
                let whose = claims["iss"] == "57246542" && claims["aud"] == "appstoreconnect-v1";
                header["kid"] == "2X9R4HXF34" && whose && span.is_some_and(|span| span <= 1200)
            });
            let live = right && !expired.lock().expect("a lock").contains(&token);
            async move { answer(if live { 200 } else { 401 }, "") }
        })
        .await;
        let fields = [("issuer_id", "57246542"), ("key_id", "2X9R4HXF34"), ("private_key", key.as_str())];
        let builder = Builder::new(&ca).resolve(host, service.address).register("apple_app_store", &fields);
        let nexus = builder.start();
        let session = Caller::new(&nexus).http2(host).await;
        let mut tasks = JoinSet::new();
        for _ in 0..200 {
            let mut session = session.share();
            tasks.spawn(async move { session.get("/v1/apps").await.status });
        }
        assert_eq!(tasks.join_all().await, vec![200; 200]);
        let tokens = || service.seen().iter().map(|seen| seen.bearer().expect("a token").to_owned()).collect::<HashSet<_>>();
        let first = tokens();
        assert_eq!(first.len(), 1, "one signature serves them all");
        *dead.lock().expect("a lock") = first;
        assert_eq!(Caller::new(&nexus).get(&format!("https://{host}/v1/apps")).await.status, 200);
        assert_eq!(tokens().len(), 2);
    });
}
