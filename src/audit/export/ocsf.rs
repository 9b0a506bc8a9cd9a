//! OCSF 1.6.0, HTTP Activity (class 4002) with the profiles `host` and `security_control`.

use serde_json::{Map, Value, json};

use super::{Account, since_epoch};

const VERSION: &str = "1.6.0";
const CLASS: u64 = 4002;

/// The request or tunnel as an event; `None` for what is neither.
pub(super) fn event(account: &Account) -> Option<Value> {
    let id = account.text("id")?;
    let (activity, activity_name) = activity(account);
    let refused = account.text("verdict") == Some("refuse");
    let (action, disposition) = if refused { (2, 2) } else { (1, 1) };
    let (status, status_name) = status(account);
    let (severity, severity_name) = severity(account, refused);
    let millis = |time| u64::try_from(since_epoch(time).as_millis()).unwrap_or(u64::MAX);
    let mut event = json!({
        "class_uid": CLASS,
        "class_name": "HTTP Activity",
        "category_uid": 4,
        "category_name": "Network Activity",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": CLASS * 100 + activity,
        "type_name": format!("HTTP Activity: {activity_name}"),
        "time": millis(account.time),
        "end_time": millis(account.time),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "action_id": action,
        "action": if refused { "Denied" } else { "Allowed" },
        "disposition_id": disposition,
        "disposition": if refused { "Blocked" } else { "Allowed" },
        "metadata": metadata(account, id),
        "http_request": request(account, id),
        "connection_info": { "direction_id": 2, "direction": "Outbound", "protocol_name": "tcp" },
    });
    if let Value::Object(event) = &mut event {
        event.extend(account.began.map(|began| ("start_time".to_owned(), json!(millis(began)))));
        event.extend(rest(account));
    }
    Some(event)
}

/// What not every event has.
fn rest(account: &Account) -> Map<String, Value> {
    let endpoint = |name| account.endpoint(name).map(|at| json!({ "ip": at.ip().to_string(), "port": at.port() }));
    let traffic = account.number("bytes_up").zip(account.number("bytes_down"));
    let words = [
        ("actor", actor(account)),
        ("src_endpoint", endpoint("source")),
        ("dst_endpoint", destination(account)),
        ("http_response", account.number("status").map(|code| json!({ "code": code }))),
        ("status_code", account.number("status").map(|code| json!(code.to_string()))),
        ("status_detail", account.text("refusal").map(|kind| json!(kind))),
        ("duration", account.number("duration_us").map(|micros| json!(micros / 1000))),
        ("traffic", traffic.map(|(up, down)| json!({ "bytes_out": up, "bytes_in": down, "bytes": up.saturating_add(down) }))),
        ("unmapped", unmapped(account)),
    ];
    words.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The agent, its lease as the session that it acts in, and the process that asked.
fn actor(account: &Account) -> Option<Value> {
    let user = |uid: u64| json!({ "uid": uid.to_string() });
    let process = account.process("pid").map(|pid| match account.process("uid") {
        Some(uid) => json!({ "pid": pid, "user": user(uid) }),
        None => json!({ "pid": pid }),
    });
    let words = [
        ("user", account.text("agent").map(|agent| json!({ "name": agent }))),
        ("session", account.text("lease").map(|id| json!({ "uid": id }))),
        ("process", process),
    ];
    let words: Map<String, Value> = words.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    (!words.is_empty()).then_some(Value::Object(words))
}

fn activity(account: &Account) -> (u64, &'static str) {
    if account.event().starts_with("tunnel") {
        return (1, "Connect");
    }
    match account.text("method") {
        None => (0, "Unknown"),
        Some("CONNECT") => (1, "Connect"),
        Some("DELETE") => (2, "Delete"),
        Some("GET") => (3, "Get"),
        Some("HEAD") => (4, "Head"),
        Some("OPTIONS") => (5, "Options"),
        Some("POST") => (6, "Post"),
        Some("PUT") => (7, "Put"),
        Some("TRACE") => (8, "Trace"),
        Some("PATCH") => (9, "Patch"),
        Some(_) => (99, "Other"),
    }
}

/// Whether it came to a good end, as far as the log knows.
fn status(account: &Account) -> (u64, &'static str) {
    match account.number("status") {
        Some(100..=399) => (1, "Success"),
        Some(_) => (2, "Failure"),
        None if account.event() == "tunnel_close" => (1, "Success"),
        None => (0, "Unknown"),
    }
}

fn severity(account: &Account, refused: bool) -> (u64, &'static str) {
    match account.number("guard_hits") {
        Some(1..) => (3, "Medium"),
        _ if refused => (2, "Low"),
        _ => (1, "Informational"),
    }
}

fn metadata(account: &Account, id: &str) -> Value {
    json!({
        "version": VERSION,
        "product": { "name": "Nexus", "vendor_name": "Nexus", "version": env!("CARGO_PKG_VERSION") },
        "profiles": ["host", "security_control"],
        "uid": id,
        "log_name": "audit",
        "log_version": "1",
        "event_code": account.event(),
        "original_time": account.text("time"),
        "sequence": account.number("seq").unwrap_or_default(),
    })
}

fn request(account: &Account, id: &str) -> Value {
    let mut request = Map::from_iter([("uid".to_owned(), json!(id))]);
    request.extend(account.text("method").map(|method| ("http_method".to_owned(), json!(method))));
    request.extend(account.text("http").map(|version| ("version".to_owned(), json!(version))));
    if let Some(host) = account.text("host") {
        let (path, query) = match account.text("path").unwrap_or_default().split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (account.text("path").unwrap_or_default(), None),
        };
        let scheme = account.text("scheme").unwrap_or("https");
        let usual = if scheme == "http" { 80 } else { 443 };
        let port = account.number("port").unwrap_or(usual);
        let authority = if port == usual { host.to_owned() } else { format!("{host}:{port}") };
        let whole = account.text("path").unwrap_or_default();
        let mut url = json!({
            "scheme": scheme, "hostname": host, "port": port, "path": path, "url_string": format!("{scheme}://{authority}{whole}"),
        });
        if let (Value::Object(url), Some(query)) = (&mut url, query) {
            url.insert("query_string".to_owned(), json!(query));
        }
        request.insert("url".to_owned(), url);
    }
    Value::Object(request)
}

fn destination(account: &Account) -> Option<Value> {
    let mut words = Map::new();
    words.extend(account.text("host").map(|host| ("hostname".to_owned(), json!(host))));
    words.extend(account.number("port").map(|port| ("port".to_owned(), json!(port))));
    words.extend(account.endpoint("dialled").map(|at| ("ip".to_owned(), json!(at.ip().to_string()))));
    words.contains_key("hostname").then_some(Value::Object(words))
}

/// What the class has no word for.
fn unmapped(account: &Account) -> Option<Value> {
    let names =
        ["verdict", "provider", "connection", "strategy", "door", "process", "sni", "upstream_http", "guard_hits", "notes"];
    let words: Map<String, Value> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), account.words.get(*name)?.clone()))).collect();
    (!words.is_empty()).then_some(Value::Object(words))
}
