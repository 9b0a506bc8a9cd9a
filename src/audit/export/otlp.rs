//! OpenTelemetry log records, in OTLP's JSON encoding; attributes have OpenTelemetry's HTTP names where there is one.

use serde_json::{Value, json};

use super::{Account, since_epoch};

/// Records in one line.
pub(super) const BATCH: usize = 100;

/// The texts of a line and the attributes that say the same.
const TEXTS: [(&str, &str); 17] = [
    ("id", "nexus.request.id"),
    ("agent", "nexus.agent"),
    ("lease", "nexus.lease"),
    ("door", "nexus.door"),
    ("method", "http.request.method"),
    ("scheme", "url.scheme"),
    ("host", "server.address"),
    ("provider", "nexus.provider"),
    ("connection", "nexus.connection"),
    ("strategy", "nexus.strategy"),
    ("verdict", "nexus.verdict"),
    ("refusal", "error.type"),
    ("sni", "tls.client.server_name"),
    ("http", "network.protocol.version"),
    ("upstream_http", "nexus.upstream.protocol.version"),
    ("source", "nexus.source"),
    ("through", "nexus.forgotten.through"),
];
const NUMBERS: [(&str, &str); 7] = [
    ("port", "server.port"),
    ("status", "http.response.status_code"),
    ("bytes_up", "http.request.body.size"),
    ("bytes_down", "http.response.body.size"),
    ("duration_us", "nexus.duration_us"),
    ("guard_hits", "nexus.guard.hits"),
    ("seq", "log.record.sequence"),
];

/// One event as a log record.
pub(super) fn record(account: &Account) -> Value {
    let refused = account.text("verdict") == Some("refuse") || matches!(account.event(), "lost" | "torn");
    let (severity, severity_text) = if refused { (13, "WARN") } else { (9, "INFO") };
    let nanos = since_epoch(account.time).as_nanos().to_string();
    json!({
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "severityNumber": severity,
        "severityText": severity_text,
        "eventName": format!("nexus.audit.{}", account.event()),
        "body": { "stringValue": body(account) },
        "attributes": attributes(account),
    })
}

/// A line of records (`LogsData`), with its end.
pub(super) fn request(records: Vec<Value>) -> String {
    let resource = [text("service.name", "nexus"), text("service.version", env!("CARGO_PKG_VERSION"))];
    let data = json!({
        "resourceLogs": [{
            "resource": { "attributes": resource },
            "scopeLogs": [{ "scope": { "name": "nexus.audit", "version": "1" }, "logRecords": Value::Array(records) }],
        }],
    });
    format!("{data}\n")
}

fn body(account: &Account) -> String {
    let words = [account.text("method"), account.text("host").or(Some(account.event())), account.text("path")];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn attributes(account: &Account) -> Vec<Value> {
    let mut attributes: Vec<Value> = TEXTS.iter().filter_map(|(word, name)| Some(text(name, account.text(word)?))).collect();
    // A 64-bit number is a string in protobuf's JSON.
    let number = |name: &str, number: u64| json!({ "key": name, "value": { "intValue": number.to_string() } });
    attributes.extend(NUMBERS.iter().filter_map(|(word, name)| Some(number(name, account.number(word)?))));
    if let Some((path, query)) = account.text("path").map(|path| path.split_once('?').unwrap_or((path, ""))) {
        attributes.push(text("url.path", path));
        attributes.extend(Some(query).filter(|query| !query.is_empty()).map(|query| text("url.query", query)));
    }
    if let Some(source) = account.endpoint("source") {
        attributes.push(text("client.address", &source.ip().to_string()));
        attributes.push(number("client.port", source.port().into()));
    }
    if let Some(peer) = account.endpoint("dialled") {
        attributes.push(text("network.peer.address", &peer.ip().to_string()));
        attributes.push(number("network.peer.port", peer.port().into()));
    }
    // `process.owner` is its name, which nobody knows here.
    let owners = [("uid", "nexus.process.user.id"), ("pid", "nexus.process.pid")];
    attributes.extend(owners.iter().filter_map(|(word, name)| Some(number(name, account.process(word)?))));
    let notes: Vec<Value> = account.notes().into_iter().map(|note| json!({ "stringValue": note })).collect();
    if !notes.is_empty() {
        attributes.push(json!({ "key": "nexus.notes", "value": { "arrayValue": { "values": notes } } }));
    }
    attributes
}

fn text(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}
