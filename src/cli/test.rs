//! `nexus test`: one harmless request with a connection's credential, through the proxy, as a program would send it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nexus::app::login::shown;
use nexus::app::registration::command;
use nexus::model::{ConnectionId, UserName};
use nexus::provider::{FixedBody, Provider, WhoAmI};
use nexus::vault::{Entry, Snapshot};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::arguments::Test;
use super::context::{Context, Hint, connection};
use super::doors::{self, Passing};
use super::process::{harden, start_log};
use super::terminal::Terminal;
use super::{list, node, providers};

/// For the whole request, a renewal included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of the answer.
const LIMIT: usize = 1024 * 1024;
/// Members that name an account, the best first, and those that they may stand in.
const NAMES: [&str; 9] =
    ["login", "username", "userPrincipalName", "email", "emailAddress", "display_name", "displayName", "name", "user"];
const AROUND: [&str; 8] = ["data", "user", "me", "viewer", "profile", "account", "current_user", "bot"];

/// What came back.
struct Answer {
    status: StatusCode,
    /// The kind of a refusal of Nexus's own.
    refusal: Option<String>,
    body: Value,
}

impl Answer {
    /// Slack and its like answer 200 to everything, and GraphQL to every mistake.
    fn works(&self) -> bool {
        let failed =
            self.body.get("ok") == Some(&Value::Bool(false)) || self.body.get("errors").is_some_and(|errors| !errors.is_null());
        self.refusal.is_none() && self.status.is_success() && !failed
    }

    /// What a person types now: what a refusal says, or `again` where the service has said no to the credential.
    fn mended_by(&self, again: &str) -> Option<String> {
        if self.refusal.is_some() {
            return self.body.get("command").and_then(Value::as_str).map(shown);
        }
        let no = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || self.status.is_success();
        (no && !self.works()).then(|| again.to_owned())
    }
}

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Test) -> anyhow::Result<ExitCode> {
    context.require_home()?;
    let flood = start_log(terminal, "nexus=error");
    harden(terminal);
    let vault = node::connections(context, terminal, &context.store()?)?;
    let id = chosen(&vault, options)?;
    let catalogue = context.catalogue(terminal);
    let provider = providers::find(&catalogue, id.provider())?;
    let Some(entry) = vault.get(&id) else {
        return Err(node::elsewhere(context, terminal, &id)?.unwrap_or_else(|| absent(provider, &id)).into());
    };
    if let Some(captured) = &entry.captured {
        anyhow::bail!("{id} is the log-in of the agent {}, which nobody else can use", captured.agent);
    }
    anyhow::ensure!(!entry.is_app_alone(), app_alone(provider, &id));
    let requests = requests(provider, &id, entry)?;
    let agent = Passing::new(id.user().map(UserName::as_str))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (request, answer) = runtime.block_on(async {
        let door = doors::open(context, terminal, &agent).await?;
        let asked = ask_until_one_works(&door.proxy, &agent, &requests, &id);
        let answer = timeout(PATIENCE, asked).await.context("no answer came in time").flatten();
        drop(door.guard);
        answer
    })?;
    flood.report();
    let again = command(provider, &vault, &id);
    tell(terminal, (provider, &id, entry), (&format!("{} {}", request.method, request.url), &answer), &again)
}

/// One that may show that the credential works.
struct Harmless<'a> {
    method: &'a Method,
    url: String,
    body: Option<&'a FixedBody>,
}

/// Those that the connection can send, of which one has to succeed.
fn requests<'a>(provider: &'a Provider, id: &ConnectionId, entry: &Entry) -> anyhow::Result<Vec<Harmless<'a>>> {
    if let Some(reason) = &provider.no_whoami {
        anyhow::bail!("no request to {} would be harmless: {reason}", provider.title);
    }
    let Some(first) = provider.whoami.first() else { anyhow::bail!("no harmless request of {} is known", provider.title) };
    let is_spent = provider.spends("client_secret");
    let field = |name: &str| entry.placed_field(name, is_spent);
    let harmless =
        |one: &'a WhoAmI| Some(Harmless { method: &one.method, url: one.bound_url(&field)?, body: one.body.as_ref() });
    let requests: Vec<Harmless<'a>> =
        provider.whoami.iter().filter(|one| provider.whoami_of(&field).any(|own| own == *one)).filter_map(harmless).collect();
    if requests.is_empty() {
        return Err(list::missing(id.as_str())).with_context(|| format!("{id} has not what {first} needs"));
    }
    Ok(requests)
}

/// The first that succeeds; else the first of all, which is the likeliest.
async fn ask_until_one_works<'r, 'a>(
    proxy: &str,
    agent: &Passing,
    requests: &'r [Harmless<'a>],
    id: &ConnectionId,
) -> anyhow::Result<(&'r Harmless<'a>, Answer)> {
    let mut likeliest = None;
    for request in requests {
        let answer = ask(proxy, agent, request, id).await?;
        if answer.works() {
            return Ok((request, answer));
        }
        likeliest.get_or_insert((request, answer));
    }
    likeliest.context("there is no request to send")
}

/// The connection that the command line names, its person by name or by number.
fn chosen(vault: &Snapshot, options: &Test) -> anyhow::Result<ConnectionId> {
    let user = options.user_id.as_deref().or(options.user.as_deref());
    if options.user_id.is_some() {
        let id = connection(&options.provider, None)?;
        anyhow::ensure!(id.user().is_none(), "the person is named twice: in {id} and by --user-id");
    }
    Ok(vault.meant(&connection(&options.provider, user)?))
}

fn absent(provider: &Provider, id: &ConnectionId) -> Hint {
    let user = id.user().map(|user| format!(" --user {user}")).unwrap_or_default();
    let verb = if provider.oauth2.as_ref().is_some_and(|oauth2| oauth2.authorize_url.is_some()) { "login" } else { "register" };
    Hint::new(format!("{id} is not registered"), format!("nexus {verb} {}{user}", provider.id))
}

fn app_alone(provider: &Provider, id: &ConnectionId) -> Hint {
    Hint::new(format!("{id} is an app that people log in by, and nobody has yet"), format!("nexus login {}", provider.id))
}

/// Sends the request by the base-URL door, from where it takes the path of every other.
async fn ask(proxy: &str, agent: &Passing, harmless: &Harmless<'_>, id: &ConnectionId) -> anyhow::Result<Answer> {
    let Harmless { method, url, body } = harmless;
    let stream = TcpStream::connect(proxy).await.context("the proxy is not reached")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let path = agent.path_to(url).context("the address of the harmless request is not one")?;
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
    if *method == Method::POST {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    }
    *request.method_mut() = (*method).clone();
    *request.uri_mut() = path;
    let (head, body) = sender.send_request(request).await.context("the proxy broke off")?.into_parts();
    let body = Limited::new(body, LIMIT).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    driver.abort();
    let refusal = head.headers.get("nexus-refusal").map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    Ok(Answer { status: head.status, refusal, body: serde_json::from_slice(&body).unwrap_or_default() })
}

/// Says what the service answered; `again` is what connects the account anew. Anything but a success is exit code 1.
fn tell(
    terminal: &Terminal,
    (provider, id, entry): (&Provider, &ConnectionId, &Entry),
    (request, answer): (&str, &Answer),
    again: &str,
) -> anyhow::Result<ExitCode> {
    let Answer { status, refusal, body } = answer;
    let works = answer.works();
    let account = works.then(|| account(body)).flatten().filter(|name| !is_secret(entry, name)).map(|name| shown(&name));
    let command = answer.mended_by(again);
    let facts = json!({
        "connection": id.as_str(), "request": request, "status": status.as_u16(), "works": works,
        "refusal": refusal, "account": account, "command": command,
    });
    terminal.either(&facts, || {
        let whose = account.as_ref().map(|account| format!(", as {account}")).unwrap_or_default();
        match refusal {
            Some(kind) => format!("{id}: Nexus refused {request} ({kind})\n"),
            None => format!("{id}: {} answered {} to {request}{whose}\n", provider.title, status.as_u16()),
        }
    })?;
    if works {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(detail) = body.get("detail").and_then(Value::as_str).filter(|_| refusal.is_some()) {
        terminal.error(&shown(detail));
    } else {
        terminal.error(&format!("the credential of {id} does not do"));
    }
    if let Some(command) = command {
        terminal.hint(&format!("run `{command}`"));
    }
    Ok(ExitCode::FAILURE)
}

/// What the account calls itself, where the answer has an obvious place for it.
fn account(body: &Value) -> Option<String> {
    let name_in = |value: &Value| {
        let text = NAMES.iter().filter_map(|name| value.get(name)?.as_str()).find(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let inner = || AROUND.iter().filter_map(|name| body.get(name)).find_map(name_in);
    name_in(body).or_else(inner).or_else(|| name_in(body.get("data")?.get("viewer").or_else(|| body.get("data")?.get("me"))?))
}

/// A service may say back what it was sent.
fn is_secret(entry: &Entry, text: &str) -> bool {
    let secret = |name: &&str| !matches!(*name, "username" | "client_id");
    entry.fields.names().filter(secret).any(|name| entry.fields.field(name).is_some_and(|value| value.matches(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_credential_is_told_with_what_mends_it() {
        let command = |status, refusal: Option<&str>, body| {
            let status = StatusCode::from_u16(status).unwrap();
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
