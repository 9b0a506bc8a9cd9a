//! A record as a span, in OTLP's JSON encoding, with the attributes of OpenTelemetry's conventions for HTTP servers.

use std::time::SystemTime;

use super::line;
use super::record::{Field, Record};
use super::text::decimal;
use crate::telemetry::{Method, Span};

impl Record {
    /// Its span, ended now. Texts are those of the log: escaped, without values of a query, masked where the log masks.
    #[cold]
    pub(super) fn span(&self, span: &Span) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let method = Method::of(self.text(Field::Method).unwrap_or_default()).as_str();
        span.write(&mut out, if method == "_OTHER" { "HTTP" } else { method }, SystemTime::now());
        out.extend_from_slice(br#","attributes":["#);
        let start = out.len();
        string(&mut out, "http.request.method", method.as_bytes());
        let path = self.text(Field::Path).unwrap_or_default();
        string(&mut out, "url.path", path.split(|letter| *letter == b'?').next().unwrap_or_default());
        string(&mut out, "url.scheme", self.scheme.map_or("", crate::model::Scheme::as_str).as_bytes());
        for (name, field) in [
            ("server.address", Field::Host),
            ("error.type", Field::Refusal),
            ("nexus.agent", Field::Agent),
            ("nexus.provider", Field::Provider),
            ("nexus.connection", Field::Connection),
            ("nexus.rule", Field::Rule),
            ("nexus.canary", Field::Canary),
        ] {
            string(&mut out, name, self.text(field).unwrap_or_default());
        }
        string(&mut out, "nexus.request.id", self.id.as_str().as_bytes());
        string(&mut out, "nexus.verdict", self.verdict.map_or("", line::verdict).as_bytes());
        string(&mut out, "network.protocol.version", self.http.map_or("", line::version).as_bytes());
        for (name, number) in [
            ("server.port", self.port.map(u64::from)),
            ("http.response.status_code", self.status.map(u64::from)),
            ("http.request.body.size", Some(self.bytes_up)),
            ("http.response.body.size", Some(self.bytes_down)),
            ("nexus.guard.hits", Some(u64::from(self.guard_hits)).filter(|hits| *hits > 0)),
        ] {
            integer(&mut out, name, number);
        }
        // Each attribute ends with a comma.
        out.truncate(out.len().max(start + 1) - 1);
        out.push(b']');
        // A server's span is an error from 500 on, or where there was no answer.
        if self.status.is_none_or(|status| status >= 500) {
            out.extend_from_slice(br#","status":{"code":2}"#);
        }
        out.push(b'}');
        out
    }
}

/// `value` is escaped already.
fn string(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !value.is_empty() {
        out.extend_from_slice(format!(r#"{{"key":"{name}","value":{{"stringValue":""#).as_bytes());
        out.extend_from_slice(value);
        out.extend_from_slice(br#""}},"#);
    }
}

/// OTLP's JSON writes 64 bits as text.
fn integer(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        out.extend_from_slice(format!(r#"{{"key":"{name}","value":{{"intValue":""#).as_bytes());
        decimal(out, value);
        out.extend_from_slice(br#""}},"#);
    }
}
