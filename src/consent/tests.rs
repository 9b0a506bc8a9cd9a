use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::model::{Credential, Secret};
use crate::oauth::{BoxFuture, Cause, TokenEndpoint, TokenReply, TokenRequest};
use crate::provider::{Provider, parse};
use crate::vault::{AuthType, Captured, Entry, Status};

const REDIRECT: &str = "http://127.0.0.1:8093/callback";

const ACME: &str = r#"
name = "acme"
console = "https://acme.example/apps"
slots = ["authorization"]
[oauth2]
authorize_url = "https://login.acme.example/authorize"
token_url = "https://login.acme.example/token"
device_url = "https://login.acme.example/device"
revocation_url = "https://login.acme.example/revoke"
scopes = ["openid", "read"]
default_lifetime_secs = 600
[[field]]
name = "site"
prompt = "Site"
secret = false
[[inject]]
hosts = ["{site}.acme.example"]
strategy = { bearer = "{access_token}" }
"#;

/// Answers in turn, and keeps what it was sent and when.
#[derive(Default)]
struct Scripted {
    replies: Mutex<VecDeque<(u16, String)>>,
    sent: Mutex<Vec<(String, String, Instant)>>,
}

#[derive(Debug, thiserror::Error)]
#[error("no route")]
struct NoRoute;

impl TokenEndpoint for Scripted {
    fn send(&self, request: TokenRequest) -> BoxFuture<'_, Result<TokenReply, Cause>> {
        let body = String::from_utf8_lossy(&request.body()).into_owned();
        let headers = request.headers.iter().filter(|(name, _)| name == "authorization");
        let shown: String = headers.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        self.sent.lock().expect("a lock").push((request.url, format!("{body} {shown}").trim().to_owned(), Instant::now()));
        let reply = self.replies.lock().expect("a lock").pop_front();
        let reply = match reply {
            Some((0, _)) | None => Err(Arc::new(NoRoute) as Cause),
            Some((status, body)) => Ok(TokenReply {
                status: StatusCode::from_u16(status).expect("a status"),
                content_type: Some(HeaderValue::from_static("application/json")),
                retry_after: None,
                date: None,
                body: Secret::new(body.into_bytes()),
            }),
        };
        Box::pin(async move { reply })
    }
}

impl Scripted {
    fn with(replies: &[(u16, &str)]) -> Arc<Self> {
        let replies = replies.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        Arc::new(Self { replies: Mutex::new(replies), ..Self::default() })
    }

    fn ports(self: &Arc<Self>) -> Ports {
        Ports::new(Arc::clone(self) as Arc<dyn TokenEndpoint>, Arc::new(now), Duration::from_secs(30))
    }

    fn sent(&self) -> Vec<(String, String)> {
        self.sent.lock().expect("a lock").iter().map(|(url, body, _)| (url.clone(), body.clone())).collect()
    }

    /// Seconds from `start` to each request.
    fn times(&self, start: Instant) -> Vec<u64> {
        self.sent.lock().expect("a lock").iter().map(|(_, _, at)| at.duration_since(start).as_secs()).collect()
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn provider_of(text: &str) -> Arc<Provider> {
    Arc::new(parse("acme.toml", text).expect("a provider"))
}

fn fields(pairs: &[(&str, &str)]) -> Credential {
    let mut fields = Credential::default();
    for (name, value) in pairs {
        fields.set(name, Secret::new((*value).to_owned()));
    }
    fields
}

fn entry(pairs: &[(&str, &str)]) -> Entry {
    let mut entry = Entry::new("acme".parse().expect("a name"), AuthType::OAuth2, fields(pairs));
    entry.seal(vec!["one.acme.example".to_owned()]);
    entry.token_urls = vec!["https://login.acme.example/token".to_owned()];
    entry
}

fn wish(connection: &str, pairs: &[(&str, &str)]) -> Wish {
    Wish { connection: connection.parse().expect("a name"), scopes: Vec::new(), fields: fields(pairs) }
}

const APP: [(&str, &str); 3] = [("client_id", "app"), ("client_secret", "s3cr3t-of-app"), ("site", "one")];

fn account() -> Account {
    Account::new(provider_of(ACME), wish("acme:alice", &[]), None, Some(&entry(&APP))).expect("an account")
}

fn value(entry: &Entry, name: &str) -> Option<String> {
    entry.fields.field(name).map(|value| value.expose().clone())
}

/// The parameters of the page's address.
fn parameter(url: &str, name: &str) -> String {
    let pairs = url.split_once('?').expect("a query").1.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(own, _)| *own == name).expect("a parameter").1.to_owned()
}

fn code(account: &Account) -> (Code, String) {
    let (url, waiting) = account.ask(REDIRECT).expect("a page");
    match waiting.hear(REDIRECT, &format!("code=abc&state={}", parameter(&url, "state"))) {
        Heard::Answer(Ok(code)) => (code, parameter(&url, "nonce")),
        other => panic!("{other:?}"),
    }
}

fn id_token(nonce: &str, client: &str) -> String {
    id_token_of("1", nonce, client)
}

fn id_token_of(sub: &str, nonce: &str, client: &str) -> String {
    let claims = json!({
        "iss": "https://login.acme.example", "sub": sub, "aud": client, "exp": 1_800_000_060, "nonce": nonce,
        "email": "alice@acme.example",
    });
    format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

mod client {
    use super::*;

    fn id_of(wish: Wish, own: Option<&Entry>, app: Option<&Entry>) -> Result<(String, Option<String>), Error> {
        let fresh = Account::new(provider_of(ACME), wish, own, app)?.fresh();
        Ok((value(&fresh, "client_id").expect("a client"), value(&fresh, "client_secret")))
    }

    #[test]
    fn id_and_secret_come_from_the_same_place_the_wish_first() {
        let (own, app) = (entry(&[("client_id", "own")]), entry(&APP));
        let given = wish("acme:alice", &[("client_id", "given")]);
        assert_eq!(id_of(given, Some(&own), Some(&app)).expect("a client"), ("given".into(), None));
        assert_eq!(id_of(wish("acme:alice", &[]), Some(&own), Some(&app)).expect("a client"), ("own".into(), None));
        let theirs = entry(&[("access_token", "typed")]);
        let (id, secret) = id_of(wish("acme:alice", &[]), Some(&theirs), Some(&app)).expect("a client");
        assert_eq!((id.as_str(), secret.as_deref()), ("app", Some("s3cr3t-of-app")));
    }

    #[test]
    fn without_one_the_error_says_where_a_person_makes_one() {
        let error = id_of(wish("acme", &[]), None, None).expect_err("no client");
        assert!(matches!(error, Error::NoClient { console: Some(console), .. } if console == "https://acme.example/apps"));
        let none = ACME.split("[oauth2]").next().expect("a head").to_owned()
            + "[[inject]]\nhosts = [\"api.acme.example\"]\nstrategy = { bearer = \"{api_key}\" }";
        let error = Account::new(provider_of(&none), wish("acme", &[]), None, None).expect_err("no log-in");
        assert!(matches!(error, Error::NoLogin(_)));
    }

    #[test]
    fn i2_a_secret_that_was_sealed_for_another_endpoint_is_not_used() {
        let mut app = entry(&APP);
        app.token_urls = vec!["https://old.acme.example/token".to_owned()];
        assert!(matches!(id_of(wish("acme:alice", &[]), None, Some(&app)), Err(Error::NotSealed(_))));
    }

    fn sealed_for(token_url: &str) -> Entry {
        let mut app = entry(&APP);
        app.token_urls = vec![token_url.to_owned()];
        app
    }

    #[test]
    fn i2_a_secret_of_one_server_is_not_shown_to_another() {
        let file = ACME.replace("https://login.acme.example", "https://{site}.acme.example");
        let app = sealed_for("https://{site}.acme.example/token");
        let of =
            |site: &str| Account::new(provider_of(&file), wish("acme:alice", &[("site", site)]), None, Some(&app)).map(drop);
        assert!(matches!((of("one"), of("two")), (Ok(()), Err(Error::NotSealed(_)))));
    }

    #[test]
    fn i2_who_has_a_server_of_ones_own_does_not_log_in_at_the_vendors() {
        let vendors =
            ACME.replace("{site}.acme.example", "{host}\", \"api.acme.example").replace("name = \"site\"", "name = \"host\"");
        let of = |file: &str, fields: &[(&str, &str)], token_url: &str| {
            Account::new(provider_of(file), wish("acme", fields), None, Some(&sealed_for(token_url))).map(drop)
        };
        let (host, login) = ([("host", "git.example.org")], "https://login.acme.example/token");
        assert!(matches!((of(&vendors, &[], login), of(&vendors, &host, login)), (Ok(()), Err(Error::OwnServer(_)))));
        let own = vendors.replace("https://login.acme.example", "https://{host}");
        assert!(of(&own, &host, "https://{host}/token").is_ok(), "that server's own log-in");
    }

    #[test]
    fn scopes_that_stand_in_one_argument_are_several() {
        let wish = Wish { scopes: vec!["openid email".to_owned(), "read".to_owned()], ..wish("acme", &APP) };
        let account = Account::new(provider_of(ACME), wish, None, None).expect("an account");
        let (url, _waiting) = account.ask(REDIRECT).expect("a page");
        assert_eq!((parameter(&url, "scope").as_str(), parameter(&url, "nonce").is_empty()), ("openid+email+read", false));
    }

    #[test]
    fn i6_an_agents_own_log_in_is_neither_replaced_nor_made_use_of() {
        let mut theirs = entry(&APP);
        let agent = "ci".parse().expect("a name");
        theirs.captured = Some(Captured { agent, user: None, until: None, since: None, made_with: None });
        assert!(matches!(id_of(wish("acme:ci.1", &[]), Some(&theirs), None), Err(Error::OfAnAgent(_))));
        assert!(matches!(id_of(wish("acme:bob", &[]), None, Some(&theirs)), Err(Error::NoClient { .. })));
    }
}

mod by_code {
    use super::*;

    #[tokio::test]
    async fn a_code_becomes_a_connection_with_its_client_and_tenant() {
        let account = account();
        let (code, nonce) = code(&account);
        let id_token = id_token(&nonce, "app");
        let reply = json!({
            "access_token": "at-1", "refresh_token": "rt-1", "token_type": "Bearer", "scope": "openid,read write",
            "id_token": id_token,
        });
        let endpoint = Scripted::with(&[(200, &reply.to_string())]);
        let obtained = account.redeem(code, &endpoint.ports()).await.expect("tokens");
        let sent = endpoint.sent();
        assert_eq!(sent.len(), 1);
        assert!(
            sent[0].0 == "https://login.acme.example/token" && sent[0].1.starts_with("grant_type=authorization_code&code=abc&")
        );
        assert!(sent[0].1.contains("&client_id=app&client_secret=s3cr3t-of-app"), "{}", sent[0].1);
        assert_eq!(obtained.person(), Some("alice@acme.example"));
        assert_eq!(obtained.scopes().collect::<Vec<_>>(), ["openid", "read", "write"]);
        let mut entry = account.fresh();
        account.write(&obtained, &mut entry);
        for (name, wanted) in [
            ("access_token", "at-1"),
            ("refresh_token", "rt-1"),
            ("client_id", "app"),
            ("site", "one"),
            ("scope", "openid read write"),
        ] {
            assert_eq!(value(&entry, name).as_deref(), Some(wanted));
        }
        assert_eq!(entry.expires_at, Some(now() + Duration::from_secs(600)), "the file says how long a token lives");
        assert!(!format!("{obtained:?} {account:?}").contains("at-1"));
    }

    #[tokio::test]
    async fn what_the_connection_has_besides_stays_and_so_does_the_refresh_token_of_the_same_client() {
        let account = account();
        let endpoint = Scripted::with(&[(200, r#"{"access_token":"at-2","expires_in":60}"#)]);
        let obtained = account.redeem(code(&account).0, &endpoint.ports()).await.expect("tokens");
        let old = [("refresh_token", "rt-0"), ("access_token", "at-0"), ("note", "kept")];
        let mut same = entry(&[&APP[..], &old].concat());
        (same.status, same.registered_at) = (Status::Attention, Some(UNIX_EPOCH));
        account.write(&obtained, &mut same);
        assert_eq!(same.registered_at, Some(now()), "a person connected it anew: it is no renewal");
        assert_eq!(value(&same, "access_token").as_deref(), Some("at-2"));
        assert_eq!(value(&same, "refresh_token").as_deref(), Some("rt-0"));
        assert_eq!(value(&same, "note").as_deref(), Some("kept"));
        assert_eq!((same.status, same.expires_at), (Status::Active, Some(now() + Duration::from_secs(60))));
        assert_eq!(value(&same, "scope").as_deref(), Some("openid read"), "what was asked for, where the reply doesn't say");
        let mut elsewhere = entry(&[&APP[..], &old, &[("site", "other-tenant")]].concat());
        account.write(&obtained, &mut elsewhere);
        assert_eq!(value(&elsewhere, "refresh_token"), None, "it is another tenant's");
        let mut nowhere = entry(&[&[("client_id", "app")][..], &old].concat());
        account.write(&obtained, &mut nowhere);
        assert_eq!(value(&nowhere, "note"), None, "it was sealed before there was a tenant");
        let mut other = entry(&[&[("client_id", "other"), ("client_secret", "x"), ("site", "one")][..], &old].concat());
        account.write(&obtained, &mut other);
        assert_eq!(value(&other, "refresh_token"), None, "it is of no use to another client");
        assert_eq!(value(&other, "note").as_deref(), Some("kept"));
    }

    #[tokio::test]
    async fn i6_a_refresh_token_stays_for_the_person_who_gave_it_and_for_nobody_else() {
        let granted = |refresh: Option<&str>, sub: &str, nonce: &str| {
            let id_token = id_token_of(sub, nonce, "app");
            json!({ "access_token": format!("at-{sub}"), "id_token": id_token, "refresh_token": refresh }).to_string()
        };
        let mut entry = account().fresh();
        let left = [
            ("1", Some("rt-1"), Some("rt-1")),
            ("1", None, Some("rt-1")),
            ("2", None, None),
            ("2", Some("rt-2"), Some("rt-2")),
        ];
        for (sub, refresh, kept) in left {
            let account = account();
            let (code, nonce) = code(&account);
            let endpoint = Scripted::with(&[(200, &granted(refresh, sub, &nonce))]);
            let obtained = account.redeem(code, &endpoint.ports()).await.expect("tokens");
            account.write(&obtained, &mut entry);
            assert_eq!(value(&entry, "refresh_token").as_deref(), kept, "{sub} {refresh:?}");
            assert_eq!(value(&entry, "access_token"), Some(format!("at-{sub}")));
        }
    }

    #[tokio::test]
    async fn what_a_service_says_of_the_client_leads_to_advice() {
        for (code_of_error, advice) in [
            ("invalid_client", "client id"),
            ("invalid_scope", "--scope"),
            ("invalid_grant", "log in again"),
            ("bad_verification_code", "log in again"),
        ] {
            let account = account();
            let body = json!({ "error": code_of_error }).to_string();
            let ports = Scripted::with(&[(400, &body)]).ports();
            let error = account.redeem(code(&account).0, &ports).await.expect_err(code_of_error);
            assert!(error.advice().is_some_and(|said| said.contains(advice)), "{error:?}");
        }
    }

    #[tokio::test]
    async fn i6_without_a_proof_key_the_id_token_has_to_be_there() {
        let account = Account::new(
            provider_of(&ACME.replace("default_lifetime_secs", "pkce = false\ndefault_lifetime_secs")),
            wish("acme", &APP),
            None,
            None,
        );
        let account = account.expect("an account");
        let endpoint = Scripted::with(&[(200, r#"{"access_token":"at-2"}"#)]);
        let error = account.redeem(code(&account).0, &endpoint.ports()).await.expect_err("nobody knows whose it is");
        assert!(matches!(error, Error::IdToken(_)), "{error}");
    }

    #[tokio::test]
    async fn i6_an_id_token_of_another_log_in_or_client_throws_the_tokens_away() {
        for (nonce, client) in [(Some("another"), "app"), (None, "other")] {
            let account = account();
            let (code, own) = code(&account);
            let id_token = id_token(nonce.unwrap_or(&own), client);
            let reply = json!({ "access_token": "at-1", "id_token": id_token }).to_string();
            let error = account.redeem(code, &Scripted::with(&[(200, &reply)]).ports()).await.expect_err("not ours");
            assert!(matches!(error, Error::IdToken(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn an_error_is_an_error_whatever_the_status_and_shows_no_word_of_the_reply() {
        for (status, body) in [
            (200, r#"{"error":"bad_verification_code","error_description":"s3cr3t"}"#),
            (400, r#"{"error":"invalid_grant"}"#),
            (200, r#"{"token_type":"bearer"}"#),
            (302, ""),
            (500, "s3cr3t"),
        ] {
            let account = account();
            let ports = Scripted::with(&[(status, body)]).ports();
            let error = account.redeem(code(&account).0, &ports).await.expect_err(body);
            assert!(matches!(error, Error::Refused(_)) && !format!("{error:?}").contains("s3cr3t"), "{error:?}");
        }
    }

    #[test]
    fn what_does_not_know_the_state_leaves_the_consent_waiting() {
        let account = account();
        let (url, waiting) = account.ask(REDIRECT).expect("a page");
        let Heard::Strange(waiting, why) = waiting.hear(REDIRECT, "code=abc&state=x") else { panic!("not ours") };
        assert!(why.contains("state"), "{why}");
        let denied = format!("error=access_denied&state={}", parameter(&url, "state"));
        let Heard::Answer(Err(error)) = waiting.hear(REDIRECT, &denied) else { panic!("ours") };
        assert!(matches!(error, Error::Denied(_)) && error.is_a_no(), "{error}");
        // What the service or another one has to say is nobody's no.
        for said in ["error=server_error", "code=abc&iss=https://evil.example"] {
            let (url, waiting) = account.ask(REDIRECT).expect("a page");
            let answer = format!("{said}&state={}", parameter(&url, "state"));
            let Heard::Answer(Err(error)) = waiting.hear(REDIRECT, &answer) else { panic!("ours") };
            assert!(!error.is_a_no(), "{error}");
        }
    }
}

mod by_device {
    use super::*;

    const CODE: &str = r#"{"device_code":"dc-1","user_code":"WDJB-MJHT","verification_uri":"https://acme.example/device",
        "expires_in":60,"interval":5}"#;
    const PENDING: (u16, &str) = (400, r#"{"error":"authorization_pending"}"#);
    const SLOW_DOWN: (u16, &str) = (400, r#"{"error":"slow_down"}"#);
    const TOKENS: (u16, &str) = (200, r#"{"access_token":"at-1","refresh_token":"rt-1","expires_in":60}"#);

    async fn end(replies: &[(u16, &str)]) -> (Result<Obtained, Error>, Vec<u64>, u64) {
        let endpoint = Scripted::with(&[&[(200, CODE)], replies].concat());
        let (account, start) = (account(), Instant::now());
        let device = account.device(&endpoint.ports()).await.expect("a device code");
        assert_eq!((device.user_code(), device.left()), ("WDJB-MJHT", Duration::from_secs(60)));
        let end = account.typed(device, &endpoint.ports()).await;
        (end, endpoint.times(start), start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn questions_keep_the_interval_and_slow_down_for_good() {
        let (end, times, _) = end(&[PENDING, PENDING, SLOW_DOWN, PENDING, TOKENS]).await;
        assert!(end.is_ok_and(|obtained| obtained.is_renewable()));
        assert_eq!(times, [0, 5, 10, 15, 25, 35]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_asked_less_often_and_not_for_ever() {
        let (end_well, times, _) = end(&[(0, ""), (503, ""), TOKENS]).await;
        assert!(end_well.is_ok());
        assert_eq!(times, [0, 5, 15, 30]);
        let (end_badly, ..) = end(&[(0, ""); 6]).await;
        assert!(matches!(end_badly, Err(Error::Expired)), "a minute is over before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_ends_with_its_time_or_a_no() {
        let (late, times, seconds) = end(&[PENDING; 20]).await;
        assert!(matches!(late, Err(Error::Expired)));
        assert_eq!((times.len(), seconds), (12, 60), "eleven questions, the last before the end");
        let (said, ..) = end(&[PENDING, (400, r#"{"error":"expired_token"}"#)]).await;
        assert!(matches!(said, Err(Error::Expired)));
        let (denied, ..) = end(&[(400, r#"{"error":"access_denied"}"#)]).await;
        assert!(matches!(denied, Err(Error::Denied(_))));
        let (odd, ..) = end(&[(400, r#"{"error":"invalid_grant"}"#)]).await;
        assert!(matches!(odd, Err(Error::Refused(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn i2_the_clients_secret_goes_to_no_other_host_than_the_token_endpoints() {
        let endpoint = Scripted::with(&[(200, CODE)]);
        account().device(&endpoint.ports()).await.expect("a device code");
        let same = endpoint.sent();
        assert!(same[0].1 == "scope=openid+read&client_id=app&client_secret=s3cr3t-of-app", "{same:?}");
        let elsewhere = ACME.replace("https://login.acme.example/device", "https://device.acme.example/");
        let endpoint = Scripted::with(&[(200, CODE)]);
        let account =
            Account::new(provider_of(&elsewhere), wish("acme:alice", &[]), None, Some(&entry(&APP))).expect("an account");
        account.device(&endpoint.ports()).await.expect("a device code");
        assert_eq!(
            endpoint.sent(),
            [("https://device.acme.example/".to_owned(), "scope=openid+read&client_id=app".to_owned())]
        );
    }
}

mod revoking {
    use super::*;

    fn whole() -> Entry {
        entry(&[&APP[..], &[("access_token", "at-1"), ("refresh_token", "rt-1")]].concat())
    }

    #[tokio::test]
    async fn both_tokens_are_told_of_and_the_refresh_tokens_end_counts() {
        let endpoint = Scripted::with(&[(200, ""), (400, r#"{"error":"invalid_token"}"#)]);
        let done = revoke(&provider_of(ACME), &whole(), &endpoint.ports()).await;
        assert_eq!(done.expect("an end"), Revoked::Yes);
        let sent = endpoint.sent();
        assert!(sent.iter().all(|(url, _)| url == "https://login.acme.example/revoke"), "{sent:?}");
        assert!(sent[0].1.starts_with("token=rt-1&token_type_hint=refresh_token&client_id=app"), "{sent:?}");
        assert!(sent[1].1.starts_with("token=at-1&token_type_hint=access_token"), "{sent:?}");
        let endpoint = Scripted::with(&[(503, ""), (200, "")]);
        let failed = revoke(&provider_of(ACME), &whole(), &endpoint.ports()).await;
        assert!(matches!(failed, Err(Error::NotRevoked(_))));
    }

    #[tokio::test]
    async fn i2_where_nothing_was_sealed_for_the_endpoint_or_no_client_consented_nothing_is_sent() {
        let endpoint = Scripted::with(&[]);
        let mut moved = whole();
        moved.token_urls = vec!["https://old.acme.example/token".to_owned()];
        let typed = entry(&[("access_token", "typed")]);
        for entry in [&moved, &typed] {
            assert_eq!(revoke(&provider_of(ACME), entry, &endpoint.ports()).await.expect("nothing"), Revoked::Nothing);
        }
        let none = ACME.replace("revocation_url = \"https://login.acme.example/revoke\"\n", "");
        assert_eq!(revoke(&provider_of(&none), &whole(), &endpoint.ports()).await.expect("nothing"), Revoked::Nothing);
        assert_eq!(endpoint.sent(), []);
        let elsewhere = ACME.replace("https://login.acme.example/revoke", "https://evil.example/revoke");
        assert!(parse("acme.toml", &elsewhere).is_err());
    }
}
