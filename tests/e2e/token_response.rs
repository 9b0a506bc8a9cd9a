//! Programs that ask a token endpoint for tokens of their own get worthless ones from Nexus, and the API calls that they make with them
//! carry the stored credential. The endpoint itself hears nothing of it.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::harness::{Authority, Body, Builder, Caller, Nexus, Offers, Reply, Upstream, answer, channel, empty, full, run};

const GOOGLE: &str = "oauth2.googleapis.com";
const DRIVE: &str = "www.googleapis.com";
const SHEETS: &str = "sheets.googleapis.com";
const CLAUDE: &str = "console.anthropic.com";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const REFRESH: &str = "grant_type=refresh_token&client_id=c&client_secret=theirs&refresh_token=their-own";
const DRIVE_TOKEN: &str = "own-drive-token-0123456789";
const SHEETS_TOKEN: &str = "own-sheets-token-0123456789";

/// The token endpoints, which nobody may reach here, and the APIs.
struct Scene {
    ca: Authority,
    endpoint: Upstream,
    api: Upstream,
}

const ENDPOINTS: [&str; 19] = [
    GOOGLE,
    CLAUDE,
    "auth.openai.com",
    "login.microsoftonline.com",
    "login.salesforce.com",
    "zoom.us",
    "oauth.pipedrive.com",
    "accounts.spotify.com",
    "auth.acme.test",
    "accounts.zoho.com",
    "www.reddit.com",
    "www.slack.com",
    "api.twitter.com",
    "test.salesforce.com",
    "accounts.google.com",
    "accounts.zoho.eu",
    "accounts.zoho.sa",
    "sts.googleapis.com",
    "account-d.docusign.com",
];
const APIS: [&str; 10] = [
    DRIVE,
    SHEETS,
    "api.anthropic.com",
    "api.openai.com",
    "graph.microsoft.com",
    "acme.my.salesforce.com",
    "api.zoom.us",
    "api.github.com",
    "www.zohoapis.com",
    "dbc-1.cloud.databricks.com",
];

impl Scene {
    async fn new() -> Self {
        let ca = Authority::new();
        let endpoint = Upstream::serve(&ca, &ENDPOINTS, Offers::Both, |mut call| async move {
            let body = call.read().await.unwrap_or_default();
            answer(200, body)
        });
        let endpoint = endpoint.await;
        let api = Upstream::serve(&ca, &APIS, Offers::Both, |_call| async { answer(200, "served") }).await;
        Self { ca, endpoint, api }
    }

    fn builder(&self) -> Builder {
        let builder =
            ENDPOINTS.iter().fold(Builder::new(&self.ca), |builder, name| builder.resolve(name, self.endpoint.address));
        APIS.iter().fold(builder, |builder, name| builder.resolve(name, self.api.address))
    }

    /// Nobody so much as knocked at a token endpoint.
    fn nothing_left(&self) {
        assert_eq!((self.endpoint.count(), self.endpoint.connections()), (0, 0), "{:?}", self.endpoint.seen());
    }
}

fn post(url: &str, kind: &str, body: impl Into<Bytes>) -> Request<Body> {
    Request::builder().method(Method::POST).uri(url).header("content-type", kind).body(full(body)).expect("a request")
}

fn token_request(body: &'static str) -> Request<Body> {
    post(&format!("https://{GOOGLE}/token"), FORM, body)
}

fn document(reply: &Reply) -> Value {
    let header = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!((header("content-type"), header("cache-control")), (Some(JSON), Some("no-store")), "{reply:?}");
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// What an agent's placeholder for `connection` ends in.
fn tail(nexus: &Nexus, agent: &str, connection: &str) -> String {
    nexus.placeholder(agent, connection)
}

fn claims(token: &Value) -> (Value, Value) {
    let token = token.as_str().expect("a token");
    let parts: Vec<Vec<u8>> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
    let read = |part: &[u8]| serde_json::from_slice(part).expect("JSON");
    assert_eq!(parts.len(), 3, "{token}");
    (read(&parts[0]), read(&parts[1]))
}

async fn call_with(caller: &Caller, url: &str, token: &str) -> Reply {
    let request = Request::builder().uri(url).header("authorization", format!("Bearer {token}"));
    caller.send(request.body(empty()).expect("a request")).await
}

fn google(scene: &Scene) -> Builder {
    let builder = scene.builder().register("google_drive", &[("access_token", DRIVE_TOKEN)]);
    builder.register("google_sheets", &[("access_token", SHEETS_TOKEN)])
}

#[test]
fn t45_a_token_request_is_answered_by_nexus_in_form_and_json_over_either_version() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().register("google_drive", &[("access_token", DRIVE_TOKEN)]).start();
        let caller = Caller::new(&nexus);
        let url = format!("https://{GOOGLE}/token");
        let assertion = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c";
        let json = r#"{"grant_type":"refresh_token","refresh_token":"their-own","client_id":"c"}"#;
        for (kind, body) in [(FORM, REFRESH), (FORM, assertion), (JSON, json), ("text/plain", json)] {
            let over_http1 = caller.http1(GOOGLE).await.send(post(&url, kind, body)).await;
            let over_http2 = caller.http2(GOOGLE).await.send(post(&url, kind, body)).await;
            for reply in [over_http1, over_http2] {
                assert_eq!(reply.status, 200, "{kind} {body}: {reply:?}");
                let document = document(&reply);
                let wanted = format!("ya29.{}", tail(&nexus, "local", "google_drive"));
                assert_eq!((&document["access_token"], &document["token_type"]), (&json!(wanted), &json!("Bearer")));
                assert_eq!((&document["expires_in"], document.get("refresh_token")), (&json!(3599), None), "{document}");
                let token = document["access_token"].as_str().expect("a token");
                let served = call_with(&caller, &format!("https://{DRIVE}/drive/v3/files"), token).await;
                assert_eq!(served.status, 200, "{served:?}");
                assert_eq!(
                    scene.api.seen().last().and_then(|seen| seen.bearer().map(str::to_owned)).as_deref(),
                    Some(DRIVE_TOKEN)
                );
            }
        }
        scene.nothing_left();
    });
}

/// A provider, what is registered, what a program asks, and what must come back besides an access token of that beginning.
type Vendor = (
    &'static str,
    &'static [(&'static str, &'static str)],
    (&'static str, &'static str, &'static str),
    (u16, &'static str, &'static str, Value),
);

fn vendors() -> Vec<Vendor> {
    let client = "grant_type=client_credentials&client_id=c&client_secret=theirs&scope=a+b";
    vec![
        (
            "salesforce",
            &[("access_token", "own-sf-token-0123456789"), ("instance", "acme")],
            ("https://login.salesforce.com/services/oauth2/token", FORM, REFRESH),
            (200, "access_token", "00D000000000000!", json!({ "instance_url": "https://acme.my.salesforce.com" })),
        ),
        (
            "salesforce",
            &[("access_token", "own-sf-token-0123456789"), ("instance", "acme")],
            ("https://acme.my.salesforce.com/services/oauth2/token", FORM, client),
            (200, "access_token", "00D000000000000!", json!({ "scope": "a b" })),
        ),
        (
            "zoom",
            &[("access_token", "own-zoom-token-0123456789")],
            ("https://zoom.us/oauth/token?grant_type=account_credentials&account_id=1", FORM, ""),
            (200, "access_token", "eyJ", json!({ "api_url": "https://api.zoom.us", "expires_in": 3599 })),
        ),
        (
            "spotify",
            &[("access_token", "own-spotify-token-0123456789")],
            ("https://accounts.spotify.com/api/token", FORM, "grant_type=password&username=u&password=p"),
            (200, "access_token", "BQ", json!({ "token_type": "Bearer" })),
        ),
        (
            "msgraph",
            &[("access_token", "own-graph-token-0123456789")],
            ("https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token", FORM, client),
            (200, "access_token", "eyJ", json!({ "ext_expires_in": 3599 })),
        ),
        (
            "github_app",
            &[("access_token", "own-installation-token-0123456789"), ("installation_id", "1")],
            ("https://api.github.com/app/installations/42/access_tokens", JSON, r#"{"permissions":{"issues":"write"}}"#),
            (201, "token", "ghs_", json!({ "permissions": {}, "repository_selection": "all" })),
        ),
        (
            "anthropic",
            &[("api_key", "own-anthropic-key-0123456789")],
            (
                "https://console.anthropic.com/v1/oauth/token",
                JSON,
                r#"{"grant_type":"refresh_token","refresh_token":"sk-ant-ort01-theirs","client_id":"c"}"#,
            ),
            (200, "access_token", "sk-ant-oat01-", json!({ "refresh_token": "sk-ant-ort01-theirs" })),
        ),
        (
            "openai",
            &[("api_key", "own-openai-key-0123456789")],
            (
                "https://auth.openai.com/oauth/token",
                JSON,
                r#"{"client_id":"app_1","grant_type":"refresh_token","refresh_token":"rt_theirs","scope":"openid profile"}"#,
            ),
            (200, "access_token", "eyJ", json!({ "scope": "openid profile", "refresh_token": "rt_theirs" })),
        ),
        (
            "google_sheets",
            &[("access_token", SHEETS_TOKEN)],
            ("https://www.googleapis.com/oauth2/v4/token", FORM, REFRESH),
            (200, "access_token", "ya29.", json!({ "expires_in": 3599 })),
        ),
        (
            "azure_arm",
            &[("access_token", "own-arm-token-0123456789"), ("tenant_id", "tenant-1")],
            ("https://login.microsoftonline.com/tenant-1/oauth2/token", FORM, client),
            (200, "access_token", "eyJ", json!({ "resource": "https://management.azure.com/" })),
        ),
        (
            "dynamics",
            &[("access_token", "own-dynamics-token-0123456789"), ("org", "acme")],
            ("https://login.microsoftonline.com/common/oauth2/token", FORM, client),
            (200, "access_token", "eyJ", json!({ "resource": "https://acme.crm.dynamics.com" })),
        ),
        (
            "zoho_crm",
            &[("access_token", "own-zoho-token-0123456789")],
            ("https://accounts.zoho.eu/oauth/v2/token", FORM, REFRESH),
            (200, "access_token", "1000.", json!({ "api_domain": "https://www.zohoapis.eu" })),
        ),
        (
            "zoho_crm",
            &[("access_token", "own-zoho-token-0123456789")],
            ("https://accounts.zoho.sa/oauth/v2/token", FORM, REFRESH),
            (200, "access_token", "1000.", json!({ "api_domain": "https://www.zohoapis.sa" })),
        ),
        (
            "google_drive",
            &[("access_token", DRIVE_TOKEN)],
            (
                "https://sts.googleapis.com/v1/token",
                FORM,
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=a&subject_token=a.b.c&subject_token_type=t",
            ),
            (200, "access_token", "ya29.", json!({ "issued_token_type": "urn:ietf:params:oauth:token-type:access_token" })),
        ),
        (
            "docusign",
            &[("access_token", "own-docusign-token-0123456789"), ("server", "demo")],
            (
                "https://account-d.docusign.com/oauth/token",
                FORM,
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c",
            ),
            (200, "access_token", "eyJ", json!({ "token_type": "Bearer" })),
        ),
        (
            "slack",
            &[("access_token", "own-slack-token-0123456789")],
            ("https://www.slack.com/api/oauth.v2.access", FORM, REFRESH),
            (200, "access_token", "xoxe.xoxb-1-", json!({ "ok": true, "token_type": "bot" })),
        ),
        (
            "twitter",
            &[("access_token", "own-x-token-0123456789")],
            ("https://api.twitter.com/oauth2/token", FORM, client),
            (200, "access_token", "", json!({ "token_type": "bearer" })),
        ),
        (
            "reddit",
            &[("access_token", "own-reddit-token-0123456789")],
            (
                "https://www.reddit.com/api/v1/access_token",
                FORM,
                "grant_type=https%3A%2F%2Foauth.reddit.com%2Fgrants%2Finstalled_client&device_id=d",
            ),
            (200, "access_token", "eyJ", json!({ "scope": "*" })),
        ),
        (
            "zoho_crm",
            &[("access_token", "own-zoho-token-0123456789")],
            ("https://accounts.zoho.com/oauth/v2/token", FORM, REFRESH),
            (200, "access_token", "1000.", json!({ "api_domain": "https://www.zohoapis.com" })),
        ),
        (
            "salesforce",
            &[("access_token", "own-sf-token-0123456789"), ("instance", "acme--test")],
            ("https://test.salesforce.com/services/oauth2/token", FORM, REFRESH),
            (
                200,
                "access_token",
                "00D000000000000!",
                json!({ "instance_url": "https://acme--test.sandbox.my.salesforce.com" }),
            ),
        ),
        (
            "databricks",
            &[("api_key", "own-databricks-token-0123456789"), ("workspace", "dbc-1")],
            ("https://dbc-1.cloud.databricks.com/oidc/v1/token", FORM, client),
            (200, "access_token", "eyJ", json!({ "scope": "a b" })),
        ),
    ]
}

#[test]
fn t45_each_vendors_answer_has_its_own_shape() {
    run(async {
        let scene = Scene::new().await;
        for (provider, fields, (url, kind, body), (status, name, prefix, members)) in vendors() {
            let nexus = scene.builder().register(provider, fields).start();
            let reply = Caller::new(&nexus).send(post(url, kind, body)).await;
            assert_eq!(reply.status, status, "{url}: {reply:?}");
            let document = document(&reply);
            let token = document[name].as_str().expect("a token");
            assert!(token.starts_with(prefix) && token.contains(&tail(&nexus, "local", provider)), "{document}");
            for (name, wanted) in members.as_object().expect("an object") {
                assert_eq!(&document[name], wanted, "{url}: {document}");
            }
            assert!(!document.to_string().contains("own-"), "{document}");
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
            for name in ["access_token", "id_token"].into_iter().filter(|name| prefix == "eyJ" && document.get(name).is_some())
            {
                let (header, claims) = claims(&document[name]);
                assert!(header["alg"].is_string() && claims["exp"].as_u64() > Some(now + 60), "{header} {claims}");
            }
        }
        // One of the hosts is an API's as well, to which a connection is kept ready.
        assert_eq!((scene.endpoint.count(), scene.api.count()), (0, 0), "{:?}", scene.endpoint.seen());
    });
}

#[test]
fn i6_each_agent_gets_a_placeholder_of_a_connection_that_it_may_use_or_none() {
    run(async {
        let scene = Scene::new().await;
        let only = |name: &'static str| {
            move |agent: &mut nexus::agent::Registered| agent.providers = Some(vec![name.parse().expect("a name")])
        };
        let (builder, drive) = google(&scene).agent("drive", only("google_drive"));
        let (builder, sheets) = builder.agent("sheets", only("google_sheets"));
        let (builder, github) = builder.agent("github", only("github"));
        let nexus = builder.start();
        let ask = async |name: &str, token: &str| Caller::new(&nexus).agent(name, token).send(token_request(REFRESH)).await;
        let mut tokens = Vec::new();
        for (name, token, connection) in [("drive", &drive, "google_drive"), ("sheets", &sheets, "google_sheets")] {
            let reply = ask(name, token).await;
            let wanted = format!("ya29.{}", tail(&nexus, name, connection));
            assert_eq!(document(&reply)["access_token"], wanted, "{reply:?}");
            tokens.push(wanted);
        }
        // One agent's placeholder is no key for another.
        let caller = Caller::new(&nexus).agent("drive", &drive);
        let sheet = format!("https://{SHEETS}/v4/spreadsheets/1");
        let foreign = call_with(&caller, &sheet, &tokens[1]).await;
        assert_eq!((foreign.status, foreign.refusal()), (403, Some("policy")), "{foreign:?}");
        let body = format!("grant_type=refresh_token&refresh_token={}", tokens[1]);
        let stolen =
            Caller::new(&nexus).agent("drive", &drive).send(post(&format!("https://{GOOGLE}/token"), FORM, body)).await;
        assert_eq!(document(&stolen)["access_token"], tokens[0], "it means nothing here: {stolen:?}");
        // An agent without any is refused as it always was.
        let reply = ask("github", &github).await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        assert_eq!(scene.api.count(), 0);
        scene.nothing_left();
    });
}

#[test]
fn i6_of_several_connections_the_one_that_the_request_names_answers() {
    run(async {
        let scene = Scene::new().await;
        let builder = scene.builder().register("google_drive:alice", &[("access_token", DRIVE_TOKEN)]);
        let builder = builder.register("google_drive:bob", &[("access_token", "own-drive-token-of-bob")]);
        let (builder, token) = builder.agent("ci", |_| ());
        let (builder, alice) = builder.agent("alices", |agent| agent.user = Some("alice".parse().expect("a name")));
        let nexus = builder.start();
        let (ci, alices) = (Caller::new(&nexus).agent("ci", &token), Caller::new(&nexus).agent("alices", &alice));
        let named = |connection: &str| {
            let mut request = token_request(REFRESH);
            request.headers_mut().insert("nexus-connection", connection.parse().expect("a value"));
            request
        };
        let holding = |agent: &str, connection: &str| {
            let body = format!("grant_type=refresh_token&refresh_token=1//{}", tail(&nexus, agent, connection));
            post(&format!("https://{GOOGLE}/token"), FORM, body)
        };
        let made = |agent: &str, connection: &str| json!(format!("ya29.{}", tail(&nexus, agent, connection)));
        assert_eq!(document(&alices.send(token_request(REFRESH)).await)["access_token"], made("alices", "google_drive:alice"));
        for user in ["google_drive:alice", "google_drive:bob"] {
            assert_eq!(document(&ci.send(named(user)).await)["access_token"], made("ci", user));
            assert_eq!(document(&ci.send(holding("ci", user)).await)["access_token"], made("ci", user));
        }
        let refused = [
            (&ci, token_request(REFRESH), "none of the two is the agent's own"),
            (&ci, named("google_drive:carol"), "there is none"),
            (&alices, named("google_drive:bob"), "another user's"),
            (&alices, holding("alices", "google_drive:bob"), "another user's"),
            (&ci, holding("alices", "google_drive:alice"), "another agent's"),
        ];
        for (caller, request, why) in refused {
            let reply = caller.send(request).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{why}: {reply:?}");
        }
        scene.nothing_left();
    });
}

#[test]
fn i6_a_placeholder_in_the_query_names_its_connection_as_one_in_the_body_does() {
    run(async {
        let scene = Scene::new().await;
        let builder = scene.builder().register("zoho_crm:alice", &[("access_token", "own-zoho-token-of-alice")]);
        let builder = builder.register("zoho_crm:bob", &[("access_token", "own-zoho-token-of-bob")]);
        let (builder, token) = builder.agent("ci", |_| ());
        let (builder, alice) = builder.agent("alices", |agent| agent.user = Some("alice".parse().expect("a name")));
        let nexus = builder.start();
        let asking = |agent: &str, connection: &str| {
            let own = tail(&nexus, agent, connection);
            let query = format!("client_id=c&refresh_token=1000.{own}&grant_type=refresh_token");
            post(&format!("https://accounts.zoho.com/oauth/v2/token?{query}"), FORM, "")
        };
        let (ci, alices) = (Caller::new(&nexus).agent("ci", &token), Caller::new(&nexus).agent("alices", &alice));
        for user in ["zoho_crm:alice", "zoho_crm:bob"] {
            let reply = ci.send(asking("ci", user)).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            assert_eq!(document(&reply)["access_token"], format!("1000.{}", tail(&nexus, "ci", user)));
        }
        for reply in [alices.send(asking("alices", "zoho_crm:bob")).await, alices.send(asking("ci", "zoho_crm:alice")).await] {
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        }
        scene.nothing_left();
    });
}

#[test]
fn i6_an_installation_or_a_tenant_in_the_path_names_the_connection() {
    run(async {
        let scene = Scene::new().await;
        let app =
            |installation: &'static str| [("access_token", "own-app-token-0123456789"), ("installation_id", installation)];
        let tenant = |tenant: &'static str| [("access_token", "own-arm-token-0123456789"), ("tenant_id", tenant)];
        let builder = scene.builder().register("github_app", &app("1")).register("github_app:acme", &app("42"));
        let builder = builder.register("azure_arm:one", &tenant("tenant-1")).register("azure_arm:two", &tenant("tenant-2"));
        let builder = builder.register("azure_arm:other-two", &tenant("tenant-2"));
        let (builder, token) = builder.agent("ci", |_| ());
        let nexus = builder.start();
        let ci = Caller::new(&nexus).agent("ci", &token);
        for (installation, connection) in [("1", "github_app"), ("42", "github_app:acme"), ("77", "github_app")] {
            let url = format!("https://api.github.com/app/installations/{installation}/access_tokens");
            let reply = ci.send(post(&url, JSON, "{}")).await;
            let wanted = format!("ghs_{}", tail(&nexus, "ci", connection));
            assert_eq!(document(&reply)["token"], wanted, "{installation}: {reply:?}");
        }
        let ask = async |tenant: &str| {
            let url = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
            ci.send(post(&url, FORM, "grant_type=client_credentials&client_id=c&client_secret=theirs")).await
        };
        let one = ask("Tenant-1").await;
        let token = document(&one)["access_token"].as_str().expect("a token").to_owned();
        assert!(token.contains(&tail(&nexus, "ci", "azure_arm:one")), "{one:?}");
        for tenant in ["tenant-2", "tenant-3"] {
            let reply = ask(tenant).await;
            assert_ne!(reply.status, 200, "nobody says which: {reply:?}");
        }
    });
}

#[test]
fn i1_a_file_that_calls_a_credential_no_secret_does_not_make_nexus_tell_it() {
    run(async {
        let scene = Scene::new().await;
        let file = |secret: bool, members: &str| {
            format!(
                "name = \"acme\"\ntitle = \"Acme\"\ncategory = \"x\"\nconsole = \"https://acme.test/\"\nslots = [\"authorization\"]\n\
                 [[field]]\nname = \"api_key\"\nprompt = \"Key\"\nsecret = {secret}\n\
                 [[inject]]\nhosts = [\"api.acme.test\"]\nstrategy = {{ bearer = \"{{api_key}}\" }}\n\
                 [[token_response]]\nat = [\"POST https://auth.acme.test/token\"]\naccess_token = \"a\"\n{members}"
            )
        };
        let builder = scene.builder().provider("acme", &file(true, ""));
        let builder = builder.register("acme", &[("api_key", "0123456789abcdef0123456789abcdef")]);
        let told = "members = { x = \"{api_key}\" }\nid_token = { jwt = \"RS256\", claims = { x = \"{api_key}\" } }\n";
        let nexus = builder.provider("acme", &file(false, told)).start();
        let reply = Caller::new(&nexus).send(post("https://auth.acme.test/token", FORM, REFRESH)).await;
        let document = document(&reply);
        assert_eq!((document.get("x"), claims(&document["id_token"]).1.get("x")), (None, None), "{document}");
        scene.nothing_left();
    });
}

#[test]
fn where_its_token_endpoint_is_a_program_may_read() {
    run(async {
        let scene = Scene::new().await;
        let own = [("api_key", "own-databricks-token-0123456789"), ("workspace", "dbc-1")];
        let nexus = scene.builder().register("databricks", &own).start();
        let caller = Caller::new(&nexus);
        let url = |path: &str| format!("https://dbc-1.cloud.databricks.com{path}");
        let read = caller.get(&url("/oidc/.well-known/oauth-authorization-server")).await;
        assert_eq!(read.status, 200, "{read:?}");
        for path in ["/oidc/v1/authorize", "/oidc/v1/token"] {
            let reply = caller.get(&url(path)).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{path}: {reply:?}");
        }
        assert_eq!(scene.api.count(), 1);
    });
}

#[test]
fn i1_a_placeholder_from_a_shared_endpoint_is_good_at_each_providers_api_and_leaves_for_none() {
    run(async {
        let scene = Scene::new().await;
        let nexus = google(&scene).start();
        let caller = Caller::new(&nexus);
        let document = document(&caller.send(token_request(REFRESH)).await);
        let token = document["access_token"].as_str().expect("a token");
        for (url, own) in [
            (format!("https://{DRIVE}/drive/v3/files"), DRIVE_TOKEN),
            (format!("https://{SHEETS}/v4/spreadsheets/1"), SHEETS_TOKEN),
        ] {
            assert_eq!(call_with(&caller, &url, token).await.status, 200);
            let seen = scene.api.seen().pop().expect("a request");
            assert_eq!(seen.bearer(), Some(own), "{seen:?}");
        }
        // With one of them alone, what it gave goes nowhere else.
        let alone = scene.builder().register("google_drive", &[("access_token", DRIVE_TOKEN)]).start();
        let before = scene.api.count();
        let other = format!("ya29.{}", tail(&alone, "local", "google_drive"));
        let reply = call_with(&Caller::new(&alone), &format!("https://{SHEETS}/v4/spreadsheets/1"), &other).await;
        assert_eq!((reply.status, reply.refusal(), scene.api.count()), (403, Some("auth_required"), before), "{reply:?}");
        scene.nothing_left();
    });
}

#[test]
fn a_persons_own_log_in_goes_on_as_without_nexus_where_the_operator_says_so() {
    run(async {
        let scene = Scene::new().await;
        let builder = google(&scene).config("[proxy]\nlog_ins = \"pass\"");
        let nexus = builder.register("anthropic", &[("api_key", "own-anthropic-key-0123456789")]).start();
        let caller = Caller::new(&nexus);
        let code = "grant_type=authorization_code&code=c&client_id=d";
        let device = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=c";
        for body in [code, device] {
            let reply = caller.send(token_request(body)).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        }
        scene.nothing_left();
        // An endpoint that is no token endpoint of ours was open, and is.
        let url = format!("https://{CLAUDE}/v1/oauth/token");
        let text = r#"{"grant_type":"authorization_code","code":"their-own-code"}"#;
        let (mut sender, chunked) = channel();
        sender.try_send(http_body::Frame::data(Bytes::from(text))).expect("room");
        drop(sender);
        let chunked = Request::builder().method(Method::POST).uri(&url).header("content-type", JSON).body(chunked);
        for request in [post(&url, JSON, text), chunked.expect("a request")] {
            let reply = caller.send(request).await;
            assert_eq!((reply.status, reply.text()), (200, text), "{reply:?}");
        }
        assert_eq!(caller.get(&format!("https://{CLAUDE}/login")).await.status, 200);
        assert_eq!(scene.endpoint.count(), 3);
        // And without a connection nobody answers here.
        let without = scene.builder().start();
        let renewal = r#"{"grant_type":"refresh_token","refresh_token":"their-own"}"#;
        for request in [post(&url, JSON, renewal), post(&format!("https://{GOOGLE}/token"), JSON, renewal)] {
            let reply = Caller::new(&without).send(request).await;
            assert_eq!((reply.status, reply.text()), (200, renewal), "{reply:?}");
        }
    });
}

#[test]
fn i2_an_endpoint_that_no_rule_names_otherwise_opens_nothing_where_strangers_are_refused() {
    run(async {
        let scene = Scene::new().await;
        let builder = scene.builder().config("[proxy]\nunmatched = \"refuse\"");
        let nexus = builder.register("anthropic", &[("api_key", "own-anthropic-key-0123456789")]).start();
        let caller = Caller::new(&nexus);
        let url = format!("https://{CLAUDE}/v1/oauth/token");
        let renewal = caller.send(post(&url, JSON, r#"{"grant_type":"refresh_token","refresh_token":"x"}"#)).await;
        assert_eq!(renewal.status, 200, "{renewal:?}");
        let login = caller.send(post(&url, JSON, r#"{"grant_type":"authorization_code","code":"x"}"#)).await;
        let page = caller.get(&format!("https://{CLAUDE}/login")).await;
        for reply in [login, page] {
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
        }
        scene.nothing_left();
    });
}

#[test]
fn i7_a_hostile_body_is_refused_and_nothing_leaves() {
    run(async {
        let scene = Scene::new().await;
        let nexus = google(&scene).config("[upstream]\nidle_timeout_secs = 1").start();
        let caller = Caller::new(&nexus);
        let url = format!("https://{GOOGLE}/token");
        let large = format!("grant_type=refresh_token&refresh_token={}", "x".repeat(64 * 1024));
        let unannounced = |text: String| {
            let (mut sender, body) = channel();
            sender.try_send(http_body::Frame::data(Bytes::from(text))).expect("room");
            let request = Request::builder().method(Method::POST).uri(&url).header("content-type", FORM).body(body);
            (sender, request.expect("a request"))
        };
        let reply = caller.send(post(&url, FORM, large.clone())).await;
        assert_eq!((reply.status, reply.refusal()), (413, Some("limit")), "{reply:?}");
        assert!(reply.text().contains("at most 64 KiB"), "{reply:?}");
        let (sender, request) = unannounced(large);
        drop(sender);
        let reply = caller.send(request).await;
        assert_eq!((reply.status, reply.refusal()), (413, Some("limit")), "{reply:?}");
        assert!(reply.text().contains("at most 64 KiB"), "{reply:?}");
        for mut session in [caller.http1(GOOGLE).await, caller.http2(GOOGLE).await] {
            let (_endless, request) = unannounced("grant_type=refresh_token&".to_owned());
            let reply = session.send(request).await;
            assert_eq!((reply.status, reply.refusal()), (408, Some("timeout")), "{reply:?}");
        }
        let mut compressed = token_request(REFRESH);
        compressed.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
        let invalid = [
            token_request("grant_type=refresh_token&grant_type=authorization_code"),
            token_request("grant_type=refresh_token&grant%5Ftype=refresh_token"),
            token_request("refresh_token=x"),
            token_request(""),
            post(&url, JSON, REFRESH),
            post(&url, JSON, r#"{"grant_type":"password","grant_type":"password"}"#),
            post(&url, "text/html", REFRESH),
            post(&format!("{url}?grant_type=password"), FORM, REFRESH),
            compressed,
        ];
        for request in invalid {
            let said = format!("{request:?}");
            let reply = caller.send(request).await;
            let error = document(&reply);
            assert_eq!((reply.status, &error["error"]), (400, &json!("invalid_request")), "{said}: {reply:?}");
        }
        for method in [Method::GET, Method::PUT, Method::HEAD] {
            let request = Request::builder().method(method.clone()).uri(&url).body(empty()).expect("a request");
            assert_eq!(caller.send(request).await.status, 403, "{method}");
        }
        for path in ["/token%2f", "//token", "/x/../token", "/%74oken"] {
            let reply = caller.send(post(&format!("https://{GOOGLE}{path}"), FORM, REFRESH)).await;
            assert!(matches!(reply.status, 200 | 403), "{path}: {reply:?}");
            assert!(reply.status == 403 || document(&reply)["access_token"].is_string(), "{path}");
        }
        scene.nothing_left();
    });
}

fn sent_in(url: &str, kind: &str, pieces: &[&str]) -> Request<Body> {
    let (mut sender, body) = channel();
    for piece in pieces {
        sender.try_send(http_body::Frame::data(Bytes::copy_from_slice(piece.as_bytes()))).expect("room");
    }
    Request::builder().method(Method::POST).uri(url).header("content-type", kind).body(body).expect("a request")
}

#[test]
fn at_an_open_endpoint_what_nobody_can_answer_goes_on_untouched() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().register("anthropic", &[("api_key", "own-anthropic-key-0123456789")]).start();
        let caller = Caller::new(&nexus);
        let url = format!("https://{CLAUDE}/v1/oauth/token");
        let renewal = r#"{"grant_type":"client_credentials"}"#;
        let long: String = (0..40_000).map(|number| format!("{number:05}")).collect();
        let gzip = |mut request: Request<Body>| {
            request.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
            request
        };
        let odd = [
            (post(&url, "multipart/form-data; boundary=x", renewal), renewal),
            (post(&url, "application/cbor", renewal), renewal),
            (post(&url, JSON, "{}"), "{}"),
            (post(&url, FORM, ""), ""),
            (
                post(&url, JSON, r#"{"grant_type":"password","grant_type":"password"}"#),
                r#"{"grant_type":"password","grant_type":"password"}"#,
            ),
            (gzip(post(&url, JSON, renewal)), renewal),
            (post(&url, JSON, long.clone()), &long),
            (post(&url, JSON, long[..64 * 1024 + 1].to_owned()), &long[..64 * 1024 + 1]),
        ];
        let mut passed = 0;
        for (request, body) in odd {
            let said = format!("{request:?}");
            let reply = caller.send(request).await;
            assert_eq!((reply.status, reply.text() == body), (200, true), "{said}: {}", reply.text());
            passed += 1;
        }
        let (before, after) = long.split_at(70_000);
        for mut session in [caller.http1(CLAUDE).await, caller.http2(CLAUDE).await] {
            for (request, body) in [
                (sent_in(&url, JSON, &[before, after, "the end"]), [before, after, "the end"].concat()),
                (sent_in(&url, JSON, &["", "{", "}"]), "{}".to_owned()),
                (post(&url, JSON, long.clone()), long.clone()),
            ] {
                let reply = session.send(request).await;
                assert_eq!((reply.status, reply.text() == body), (200, true), "{reply:?}");
                passed += 1;
            }
        }
        assert_eq!(scene.endpoint.count(), passed);
        // What is a request for a token is answered as ever.
        assert!(document(&caller.send(post(&url, JSON, renewal)).await)["access_token"].is_string());
        assert_eq!(scene.endpoint.count(), passed);
    });
}

#[test]
fn at_an_open_endpoint_a_body_that_does_not_come_soon_goes_on_as_it_comes() {
    run(async {
        let scene = Scene::new().await;
        let builder = scene.builder().config("[upstream]\nidle_timeout_secs = 1");
        let nexus = builder.register("anthropic", &[("api_key", "own-anthropic-key-0123456789")]).start();
        let url = format!("https://{CLAUDE}/v1/oauth/token");
        let (mut sender, body) = channel();
        sender.try_send(http_body::Frame::data(Bytes::from("{"))).expect("room");
        let request = Request::builder().method(Method::POST).uri(&url).header("content-type", JSON).body(body);
        let mut session = Caller::new(&nexus).http1(CLAUDE).await;
        let sending = session.send(request.expect("a request"));
        let ending = async {
            scene.endpoint.until(|seen| seen.len() == 1).await;
            sender.try_send(http_body::Frame::data(Bytes::from("}"))).expect("room");
            drop(sender);
        };
        let (reply, ()) = tokio::join!(sending, ending);
        assert_eq!((reply.status, reply.text()), (200, "{}"), "{reply:?}");
    });
}

#[test]
fn i1_a_placeholder_leaves_in_no_body_that_an_open_endpoint_lets_pass() {
    run(async {
        let scene = Scene::new().await;
        let nexus = scene.builder().register("anthropic", &[("api_key", "own-anthropic-key-0123456789")]).start();
        let caller = Caller::new(&nexus);
        let url = format!("https://{CLAUDE}/v1/oauth/token");
        let held = format!("sk-ant-oat01-{}", tail(&nexus, "local", "anthropic"));
        let code = format!(r#"{{"grant_type":"authorization_code","code":"c","state":"{held}"}}"#);
        let (no_grant, long) = (format!(r#"{{"token":"{held}"}}"#), format!("token={held}&x={}", "x".repeat(70_000)));
        let named = |mut request: Request<Body>, name: &'static str, value: &str| {
            request.headers_mut().insert(name, value.parse().expect("a value"));
            request
        };
        for request in [
            post(&url, JSON, code.clone()),
            named(post(&url, JSON, code), "nexus-connection", "anthropic"),
            post(&url, JSON, no_grant.clone()),
            post(&url, "multipart/form-data; boundary=x", no_grant),
            post(&url, FORM, long.clone()),
            sent_in(&url, FORM, &[&long]),
            post(&format!("{url}?token={held}"), JSON, "{}"),
            named(post(&url, JSON, "{}"), "authorization", &format!("Bearer {held}")),
        ] {
            let said = format!("{request:?}");
            let reply = caller.send(request).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{said}: {reply:?}");
        }
        scene.nothing_left();
    });
}

#[test]
fn i1_i8_an_answer_is_in_the_log_before_it_is_given_without_what_was_asked() {
    run(async {
        let scene = Scene::new().await;
        let nexus = google(&scene).start();
        let reply = Caller::new(&nexus).send(token_request(REFRESH)).await;
        assert_eq!(reply.status, 200);
        let closed = nexus.closed("/token").await;
        let opened = nexus.audit_line(|line| line["path"] == "/token" && line["event"] == "open").await;
        for line in [&opened, &closed] {
            assert_eq!((&line["verdict"], &line["connection"]), (&json!("answer"), &json!("google_drive")), "{line}");
        }
        assert_eq!((&closed["status"], &closed["notes"]), (&json!(200), &json!(["token_response"])), "{closed}");
        assert_eq!((closed.get("dialled"), &closed["bytes_up"]), (None, &json!(0)), "{closed}");
        let log = nexus.audit().iter().map(Value::to_string).collect::<String>();
        for secret in ["theirs", "their-own", DRIVE_TOKEN, "ya29."] {
            assert!(!log.contains(secret), "{secret}");
        }
        scene.nothing_left();
    });
}
