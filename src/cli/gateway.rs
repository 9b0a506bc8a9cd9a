//! Whether a gateway is named, whether it answers, and what is kept there instead of in the local vault.

use anyhow::Context as _;
use http::Method;
use nexus::app::{AskError, Config, Consent, Home, Link, Node, NodeError, ReturnUrl, Typed, dotenv_value};
use nexus::model::{Authority, ConnectionId};
use nexus::vault::Entry;
use serde_json::Value;

use super::context::{Context, Hint};
use super::remote::plain;
use super::terminal::Terminal;

/// `NEXUS_GATEWAY_URL` of the environment or of `$NEXUS_HOME/.env`.
pub(super) fn url(context: &Context) -> Option<String> {
    let given = Context::variable("NEXUS_GATEWAY_URL").filter(|url| !url.is_empty());
    given.or_else(|| dotenv_value(&context.home, "NEXUS_GATEWAY_URL").ok().flatten().map(|url| url.expose().clone()))
}

/// `NEXUS_RETURN_URL` of the environment or of `$NEXUS_HOME/.env`: where people go after a consent if the app says nothing.
pub(super) fn return_url(context: &Context) -> anyhow::Result<Option<String>> {
    let given = Context::variable("NEXUS_RETURN_URL").filter(|url| !url.is_empty());
    let url = match given {
        Some(url) => Some(url),
        None => dotenv_value(&context.home, "NEXUS_RETURN_URL")?.map(|url| url.expose().clone()).filter(|url| !url.is_empty()),
    };
    let why = |error| format!("NEXUS_RETURN_URL can't be used: {error}");
    url.map(|url| ReturnUrl::parse(&url).map(|_| url).map_err(|error| anyhow::anyhow!(why(error)))).transpose()
}

/// The host and port of `http[s]://host[:port][/…]`.
pub(super) fn authority(url: &str) -> Option<Authority> {
    let (rest, port) = match url.split_once("://")? {
        ("http", rest) => (rest, 80),
        ("https", rest) => (rest, 443),
        _ => return None,
    };
    Authority::parse(rest.split(['/', '?', '#']).next()?, Some(port)).ok()
}

/// The gateway that keeps the connections, where one is named that is another home's.
pub(super) struct There {
    node: Node,
    home: Home,
    config: Config,
}

/// The gateway that `NEXUS_GATEWAY_URL` names, if it answers; else, with a warning, none: then the local vault serves. One that says no is an
/// error, not away.
pub(super) fn there(context: &Context, terminal: &Terminal) -> anyhow::Result<Option<There>> {
    let node = match Node::find(&context.home, &|name| context.variable_or_secret(name)) {
        Ok(Some(node)) => node,
        Ok(None) => return Ok(None),
        // Whoever gave a key for it means it: what is lent there is not to be shadowed by something here.
        Err(NodeError::Url(why)) if Node::find_lender(&context.home, &|name| context.variable_or_secret(name)).is_err() => {
            return Err(anyhow::anyhow!(
                "NEXUS_GATEWAY_URL can't be used ({why}), and there is a key for it; nothing was done"
            ));
        }
        Err(NodeError::Url(why)) => {
            terminal.warn(&format!("NEXUS_GATEWAY_URL can't be used ({why}); the local vault is used"));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    if node.is_local(&context.home)? {
        return Ok(None);
    }
    let there = There { node, home: context.home.clone(), config: context.config()? };
    match there.ask(Method::GET, "/health") {
        Ok(health) if health.get("version").is_some_and(Value::is_string) => Ok(Some(there)),
        Ok(_other) => Err(AskError::NoGateway.into()),
        Err(AskError::Away(_why)) => {
            terminal.warn(&format!("the gateway at {} does not answer; the local vault is used", there.node.url()));
            Ok(None)
        }
        Err(AskError::Untrusted(why)) => Err(untrusted(&there.node, &why).into()),
        Err(error) => Err(error).with_context(|| format!("the gateway at {} can't be used", there.node.url())),
    }
}

/// Its certificate can't be verified: another authority was said to sign it, or none.
fn untrusted(node: &Node, why: &str) -> Hint {
    let url = node.url();
    let more = match node.is_pinned() {
        true => {
            "another authority signed it than the one that this home trusts for it (gateway-ca.pem, NEXUS_GATEWAY_CA). If its \
             own machine shows the new one, trust that"
        }
        false => "this home does not know who signed it; have that shown, and compare it with what its own machine shows",
    };
    let message = format!("the gateway at {url} can't be used: its certificate can't be verified ({why}): {more}");
    Hint::new(message, format!("nexus gateway trust {url}"))
}

/// Refuses to do to the vault here what is meant for the gateway, where that is away and lends `id` to this home: a connection of that name
/// in the vault here is never used.
pub(super) fn not_lent(context: &Context, id: &ConnectionId) -> anyhow::Result<()> {
    // What can't be used as a gateway lends nothing, and was told of.
    let Ok(Some(node)) = super::node::lender(context, &context.config()?) else { return Ok(()) };
    if !Link::has_served(&context.home, id)? {
        return Ok(());
    }
    let url = node.url();
    let why = format!(
        "the gateway at {url} serves {id} and does not answer, so nothing was changed; one in the vault here would never be used. Try again when it is up"
    );
    Err(Hint::new(why, "nexus status").into())
}

/// Refuses to show what lies in the vault here as if it were in use, where a gateway that is away lends `id` to this home.
pub(super) fn not_shown_here(context: &Context, id: &ConnectionId) -> anyhow::Result<()> {
    let Ok(Some(node)) = super::node::lender(context, &context.config()?) else { return Ok(()) };
    let why = || format!("{id} is kept at the gateway {}, which does not answer", node.url());
    anyhow::ensure!(!Link::has_served(&context.home, id)?, Hint::new(why(), "nexus status"));
    Ok(())
}

impl There {
    /// Where it is.
    pub(super) fn url(&self) -> String {
        self.node.url()
    }

    /// Whether it has `id`.
    pub(super) fn has(&self, id: &ConnectionId) -> anyhow::Result<bool> {
        Ok(self.shown(id)?.is_some())
    }

    /// What it tells of `id`, without its secrets; `None` where it has none of that name.
    pub(super) fn shown(&self, id: &ConnectionId) -> Result<Option<Value>, AskError> {
        match self.ask(Method::GET, &format!("/api/connections/{id}")) {
            Ok(shown) => Ok(Some(shown)),
            Err(AskError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has it store a credential, in the place of one that it has.
    pub(super) fn register(&self, id: &ConnectionId, entry: &Entry) -> anyhow::Result<Value> {
        self.store(id, entry, false)
    }

    /// Has it store what a log-in gave, beside what the connection has.
    pub(super) fn keep(&self, id: &ConnectionId, obtained: &Entry) -> anyhow::Result<Value> {
        self.store(id, obtained, true)
    }

    fn store(&self, id: &ConnectionId, entry: &Entry, merge: bool) -> anyhow::Result<Value> {
        let Entry { fields, expires_at, app, .. } = entry;
        let typed = Typed { connection: id, fields, expires_at: *expires_at, app: *app, replace: true, merge };
        Ok(alone(self.node.register((&self.home, &self.config), &typed))?)
    }

    /// What stands in the way of storing there what this machine obtains for `id`; `None` where nothing does, or the gateway doesn't say.
    /// And whether it would be stored if any admin key were shown, there being none.
    pub(super) fn cannot_store(&self, id: &ConnectionId) -> anyhow::Result<Option<(String, bool)>> {
        let Ok(told) = self.ask(Method::GET, "/api/whoami") else { return Ok(None) };
        not_stored_for(&told, || Ok(self.has(id)?.then(|| id.clone())))
    }

    /// Its connections, without their secrets.
    pub(super) fn list(&self) -> anyhow::Result<Value> {
        Ok(self.ask(Method::GET, "/api/connections")?)
    }

    /// Takes `id` out there, or its tokens alone; `revoke` ends them at the service.
    pub(super) fn remove(&self, id: &ConnectionId, (keep, revoke): (bool, bool)) -> Result<Value, AskError> {
        self.ask(Method::DELETE, &format!("/v1/connections/{id}?keep={keep}&revoke={revoke}"))
    }

    /// What it answers to a question.
    pub(super) async fn get(&self, path: &str) -> Result<Value, AskError> {
        self.node.ask((&self.home, &self.config), Method::GET, path, None).await
    }

    /// Has it ask a person for `id`.
    pub(super) async fn ask_consent(&self, id: &ConnectionId, scopes: &[String]) -> Result<Consent, AskError> {
        self.node.ask_consent((&self.home, &self.config), id, scopes).await
    }

    /// Takes a question back that it asks.
    pub(super) async fn withdraw(&self, consent: &Consent) -> Result<Value, AskError> {
        self.node.withdraw((&self.home, &self.config), consent).await
    }

    fn ask(&self, method: Method, path: &str) -> Result<Value, AskError> {
        alone(self.node.ask((&self.home, &self.config), method, path, None))
    }
}

/// By whom the gateway says that is asked. `there` is the connection where there is one already: who shows no key replaces none.
fn not_stored_for(
    told: &Value,
    there: impl FnOnce() -> anyhow::Result<Option<ConnectionId>>,
) -> anyhow::Result<Option<(String, bool)>> {
    Ok(match told.get("kind").and_then(Value::as_str) {
        None | Some("admin") => None,
        Some("owner") => {
            let make = "`nexus gateway key add NAME --kind admin` there makes one";
            there()?.map(|id| (format!("it has {id} already, which takes an admin key to replace ({make})"), true))
        }
        Some(kind) => Some((format!("it takes an admin key, and NEXUS_GATEWAY_KEY is one of kind {}", plain(kind)), false)),
    })
}

/// Waits for it on a thread of its own: whoever asks may be in the middle of other waiting.
fn alone(asked: impl Future<Output = Result<Value, AskError>> + Send) -> Result<Value, AskError> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| AskError::Failed(error.to_string()))?.block_on(asked)
    };
    let stopped = |_panic| Err(AskError::Failed("the question was broken off".to_owned()));
    std::thread::scope(|threads| threads.spawn(work).join().unwrap_or_else(stopped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_admin_key_stores() {
        let id: ConnectionId = "github:alice".parse().expect("a name");
        let told = |told: Value, there: Option<&ConnectionId>| not_stored_for(&told, || Ok(there.cloned())).expect("an answer");
        let kind = |kind: &str, there| told(serde_json::json!({ "kind": kind }), there);
        assert!(kind("admin", Some(&id)).is_none() && kind("owner", None).is_none());
        assert!(
            kind("owner", Some(&id))
                .is_some_and(|(why, keyless)| keyless && why.contains("admin key") && why.contains("github:alice"))
        );
        assert!(told(Value::Null, Some(&id)).is_none(), "an older gateway doesn't say");
        for other in ["node", "app"] {
            assert!(
                kind(other, None).is_some_and(|(why, keyless)| !keyless && why.contains("admin key") && why.ends_with(other))
            );
        }
    }

    #[test]
    fn a_gateway_is_a_host_and_a_port() {
        let text = |url: &str| authority(url).map(|authority| authority.to_string());
        assert_eq!(text("http://127.0.0.1:8090/x").as_deref(), Some("127.0.0.1:8090"));
        assert_eq!(text("https://gw.example").as_deref(), Some("gw.example:443"));
        for url in ["gw.example", "ftp://x", "https://u:p@x", ""] {
            assert_eq!(text(url), None, "{url}");
        }
    }
}
