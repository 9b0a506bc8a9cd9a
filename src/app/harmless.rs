//! One harmless request with a connection's credential, through the proxy, as a program would send it: what `nexus test` and the page do.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::model::ConnectionId;
use crate::oauth::shown;
use crate::provider::{FixedBody, Provider, WhoAmI};
use crate::vault::Entry;

/// Of the answer.
const LIMIT: usize = 1024 * 1024;
/// Members that name an account, the best first, and those that they may stand in.
const NAMES: [&str; 9] =
    ["login", "username", "userPrincipalName", "email", "emailAddress", "display_name", "displayName", "name", "user"];
const AROUND: [&str; 8] = ["data", "user", "me", "viewer", "profile", "account", "current_user", "bot"];

/// A request that may show that a credential works.
#[derive(Debug)]
pub struct Harmless<'a> {
    method: &'a Method,
    url: String,
    body: Option<&'a FixedBody>,
}

/// Why there is no such request.
#[derive(Debug, thiserror::Error)]
pub enum NoTrial {
    /// The provider's file says so.
    #[error("no request to {title} would be harmless: {reason}")]
    Harmful {
        /// The provider's name for people.
        title: String,
        /// Why.
        reason: String,
    },
    /// Its file names none.
    #[error("no harmless request of {0} is known")]
    Unknown(String),
    /// The connection lacks a part of its address.
    #[error("{id} has not what {request} needs")]
    Lacks {
        /// Which connection.
        id: ConnectionId,
        /// The first request.
        request: String,
    },
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unasked {
    /// Nobody listens there.
    #[error("the proxy is not reached")]
    Proxy(#[source] std::io::Error),
    /// It broke off.
    #[error("the proxy broke off")]
    Broken(#[from] hyper::Error),
    /// What the provider's file names is no address.
    #[error("the address of the harmless request is not one")]
    Address,
    /// A name that no field can hold.
    #[error("a field of the harmless request can't be written")]
    Field(#[from] http::header::InvalidHeaderValue),
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The service's status, or that of a refusal.
    pub status: StatusCode,
    /// The kind of a refusal of Nexus's own.
    pub refusal: Option<String>,
    /// Its body, where that is JSON.
    pub body: Value,
}

impl Harmless<'_> {
    /// `GET https://api.github.com/user`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

impl Answer {
    /// Slack and its like answer 200 to everything, and GraphQL to every mistake.
    pub fn works(&self) -> bool {
        let failed =
            self.body.get("ok") == Some(&Value::Bool(false)) || self.body.get("errors").is_some_and(|errors| !errors.is_null());
        self.refusal.is_none() && self.status.is_success() && !failed
    }

    /// What a person types now: what a refusal says, or `again` where the service has said no to the credential.
    pub fn mended_by(&self, again: &str) -> Option<String> {
        if self.refusal.is_some() {
            return self.body.get("command").and_then(Value::as_str).map(shown);
        }
        let no = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || self.status.is_success();
        (no && !self.works()).then(|| again.to_owned())
    }

    /// What a refusal says to do.
    pub fn detail(&self) -> Option<String> {
        self.body.get("detail").and_then(Value::as_str).filter(|_| self.refusal.is_some()).map(shown)
    }

    /// What the account calls itself, where the answer has an obvious place for it. A service may say back what it was sent.
    pub fn account(&self, entry: &Entry) -> Option<String> {
        let name = self.works().then(|| account(&self.body)).flatten();
        name.filter(|name| !is_secret(entry, name)).map(|name| shown(&name))
    }
}

/// The requests that the connection can send, of which one has to succeed.
///
/// # Errors
/// As [`NoTrial`] says.
pub fn harmless<'a>(provider: &'a Provider, id: &ConnectionId, entry: &Entry) -> Result<Vec<Harmless<'a>>, NoTrial> {
    if let Some(reason) = &provider.no_whoami {
        return Err(NoTrial::Harmful { title: provider.title.clone(), reason: reason.clone() });
    }
    let first = provider.whoami.first().ok_or_else(|| NoTrial::Unknown(provider.title.clone()))?;
    let is_spent = provider.spends("client_secret");
    let field = |name: &str| entry.placed_field(name, is_spent);
    let harmless =
        |one: &'a WhoAmI| Some(Harmless { method: &one.method, url: one.bound_url(&field)?, body: one.body.as_ref() });
    let requests: Vec<Harmless<'a>> =
        provider.whoami.iter().filter(|one| provider.whoami_of(&field).any(|own| own == *one)).filter_map(harmless).collect();
    match requests.is_empty() {
        true => Err(NoTrial::Lacks { id: id.clone(), request: first.to_string() }),
        false => Ok(requests),
    }
}

/// The first of `requests` that succeeds, with its answer; else the first of all, which is the likeliest. `path_to` is how the base-URL door
/// is asked for an address.
///
/// # Errors
/// As [`Unasked`] says.
pub async fn ask_until_one_works<'r, 'a>(
    proxy: &str,
    path_to: &(dyn Fn(&str) -> Option<Uri> + Send + Sync),
    requests: &'r [Harmless<'a>],
    id: &ConnectionId,
) -> Result<(&'r Harmless<'a>, Answer), Unasked> {
    let mut likeliest = None;
    for request in requests {
        let answer = ask(proxy, path_to, request, id).await?;
        if answer.works() {
            return Ok((request, answer));
        }
        likeliest.get_or_insert((request, answer));
    }
    likeliest.ok_or(Unasked::Address)
}

/// Sends the request by the base-URL door, from where it takes the path of every other.
async fn ask(
    proxy: &str,
    path_to: &(dyn Fn(&str) -> Option<Uri> + Send + Sync),
    harmless: &Harmless<'_>,
    id: &ConnectionId,
) -> Result<Answer, Unasked> {
    let Harmless { method, url, body } = harmless;
    let path = path_to(url).ok_or(Unasked::Address)?;
    let stream = TcpStream::connect(proxy).await.map_err(Unasked::Proxy)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let text = body.map_or("", FixedBody::text);
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(proxy)?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("nexus/", env!("CARGO_PKG_VERSION"))));
    headers.insert("nexus-connection", HeaderValue::from_str(id.as_str())?);
    if let Some(body) = body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.media_type()));
    }
    if **method == Method::POST {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    }
    *request.method_mut() = (*method).clone();
    *request.uri_mut() = path;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, LIMIT).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    driver.abort();
    let refusal = head.headers.get("nexus-refusal").map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    Ok(Answer { status: head.status, refusal, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn account(body: &Value) -> Option<String> {
    let name_in = |value: &Value| {
        let text = NAMES.iter().filter_map(|name| value.get(name)?.as_str()).find(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let inner = || AROUND.iter().filter_map(|name| body.get(name)).find_map(name_in);
    name_in(body).or_else(inner).or_else(|| name_in(body.get("data")?.get("viewer").or_else(|| body.get("data")?.get("me"))?))
}

fn is_secret(entry: &Entry, text: &str) -> bool {
    let secret = |name: &&str| !matches!(*name, "username" | "client_id");
    entry.fields.names().filter(secret).any(|name| entry.fields.field(name).is_some_and(|value| value.matches(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_with_the_credential_is_told_with_what_mends_it() {
        let command = |status, refusal: Option<&str>, body| {
            let status = StatusCode::from_u16(status).expect("a status");
            Answer { status, refusal: refusal.map(str::to_owned), body }.mended_by("nexus login acme")
        };
        let again = Some("nexus login acme".to_owned());
        assert_eq!(command(401, None, Value::Null), again);
        assert_eq!(command(200, None, json!({ "ok": false, "error": "invalid_auth" })), again);
        assert_eq!((command(200, None, json!({})), command(503, None, Value::Null)), (None, None));
        let told = json!({ "command": "nexus register acme\u{1b}[2J" });
        assert_eq!(command(403, Some("auth_required"), told).as_deref(), Some("nexus register acme\u{fffd}[2J"));
        assert_eq!(command(403, Some("policy"), json!({})), None);
    }

    #[test]
    fn an_account_is_named_where_the_answer_has_an_obvious_place_for_it() {
        for (body, name) in [
            (json!({ "login": "octocat", "name": "The Octocat", "id": 1 }), Some("octocat")),
            (json!({ "ok": true, "user": "alice", "team": "acme" }), Some("alice")),
            (json!({ "data": { "viewer": { "email": "a@b.example" } } }), Some("a@b.example")),
            (json!({ "user": { "displayName": "Alice" } }), Some("Alice")),
            (json!({ "id": 1, "token": "s3cr3t", "name": "" }), None),
            (json!([{ "login": "x" }]), None),
            (Value::Null, None),
        ] {
            assert_eq!(account(&body).as_deref(), name, "{body}");
        }
    }
}
