//! `nexus agent lease`: tokens for a short time, made and ended by the gateway of this home.

use http::{Method, StatusCode};
use nexus::model::AgentName;
use serde_json::{Map, Value, json};

use super::arguments::LeaseAgent;
use super::context::{Context, Hint};
use super::terminal::Terminal;
use super::{control, surroundings};

pub(super) fn add(context: &Context, terminal: &Terminal, options: &LeaseAgent) -> anyhow::Result<()> {
    let name = &options.name;
    let mut wanted = Map::new();
    wanted.insert("seconds".into(), json!(options.time.as_secs()));
    let lists = [("providers", &options.providers), ("hosts", &options.hosts)];
    wanted.extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name.to_owned(), json!(list))));
    wanted.extend(options.calls.map(|calls| ("calls".to_owned(), json!(calls))));
    let made = ask(context, &Method::POST, &format!("/api/agents/{name}/leases"), Some(&Value::Object(wanted)))?;
    let text = |member: &str| made.get(member).and_then(Value::as_str).unwrap_or_default();
    let proxy = context.config()?.proxy.listen.first().map(|address| surroundings::reachable(*address)).unwrap_or_default();
    let url = format!("http://{name}:{}@{proxy}", text("token"));
    let mut shown = made.clone();
    if let Some(members) = shown.as_object_mut() {
        members.insert("proxy".into(), json!(url));
    }
    terminal.either(&shown, || {
        format!(
            "token of the lease {} of {name}, shown this once, until {}:\n  {}\n\
             for a client that takes only a proxy and a CA file:\n  HTTPS_PROXY={url}\n",
            text("id"),
            text("expires_at"),
            text("token")
        )
    })
}

pub(super) fn list(context: &Context, terminal: &Terminal, name: &AgentName) -> anyhow::Result<()> {
    let found = ask(context, &Method::GET, &format!("/api/agents/{name}/leases"), None)?;
    terminal.either(&found, || {
        let rows = found.get("leases").and_then(Value::as_array).into_iter().flatten().map(|lease| {
            let text = |member: &str| lease.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
            let all = |member: &str| {
                let list = lease.get(member).and_then(Value::as_array);
                let list = list.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
                list.unwrap_or_else(|| "all".to_owned())
            };
            let user = Some(text("user")).filter(|user| !user.is_empty()).unwrap_or_else(|| "-".to_owned());
            let calls = lease.get("calls_left").and_then(Value::as_u64);
            let calls = calls.map_or_else(|| "all".to_owned(), |calls| calls.to_string());
            let (made, expires) = (text("created_at"), text("expires_at"));
            vec![text("id"), text("agent"), user, all("providers"), all("hosts"), made, expires, calls]
        });
        Terminal::table(&["Lease", "Agent", "User", "Providers", "Hosts", "Made", "Expires", "Calls left"], rows.collect())
    })
}

pub(super) fn end(context: &Context, terminal: &Terminal, id: &str) -> anyhow::Result<()> {
    let plain = !id.is_empty() && id.bytes().all(|letter| letter.is_ascii_alphanumeric());
    anyhow::ensure!(plain, Hint::new(format!("{id:?} is not the id of a lease"), "nexus agent leases NAME"));
    ask(context, &Method::DELETE, &format!("/api/leases/{id}"), None)?;
    terminal.either(&json!({ "ended": id }), || format!("ended {id}\n"))
}

fn ask(context: &Context, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let Some(answer) = control::ask(context, method, path, body)? else {
        anyhow::bail!(Hint::new("leases live in the proxy that is up, and none is that has a gateway", "nexus up"));
    };
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    let why = answer.body.get("detail").and_then(Value::as_str).unwrap_or_default().to_owned();
    match answer.status {
        StatusCode::NOT_FOUND => anyhow::bail!(Hint::new(why, "nexus agent list")),
        status => anyhow::bail!("the gateway answered {status}: {why}"),
    }
}
