//! `Gateway`: whoever asks the gateway, byte by byte where a client library would not send it.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One that asks; each request has a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    fields: Vec<(String, String)>,
}

/// What it was answered.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Said {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The word of a problem, which must be one: RFC 9457, with what the Nexus contract adds.
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        assert_eq!(self.field("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(body["status"], self.status, "{self:?}");
        assert!(body["type"] == format!("urn:nexus:problem:{}", body["code"].as_str().unwrap_or("-")), "{self:?}");
        assert!(body["message"] == body["detail"] && body["title"].is_string(), "{self:?}");
        body["code"].as_str().expect("a code").to_owned()
    }

    /// A field of its head, named in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Gateway {
    /// A program of the user that runs the test, without a key.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, fields: Vec::new() }
    }

    /// The same, with one more field.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.fields.push((name.to_owned(), value.to_owned()));
        other
    }

    /// What it sends in the field `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.as_str())
    }

    /// The same, with a key.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with("X-API-Key", key)
    }

    /// Somebody without a key whom nothing makes the gateway's own user: only programs that no browser is in are.
    pub(crate) fn nobody(&self) -> Self {
        self.with("Sec-Fetch-Mode", "cors")
    }

    /// Somebody at the page whom this administrator invited, as `role`.
    pub(crate) async fn signed_in(&self, role: &str) -> Self {
        let wanted = serde_json::json!({ "name": format!("{role}-1"), "role": role });
        let invited = self.ask("POST", "/api/sessions", Some(&wanted)).await.json();
        let link = invited["url"].as_str().and_then(|url| url.split_once('#')).expect("a link").1;
        let page = Self::at(self.address);
        let signed = page.ask("POST", "/api/session", Some(&serde_json::json!({ "link": link }))).await;
        let cookie = signed.field("set-cookie").and_then(|field| field.split(';').next()).expect("a cookie").to_owned();
        page.with("Cookie", &cookie).with("Nexus-Page", signed.json()["page"].as_str().expect("a secret"))
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Said {
        self.ask("GET", path, None).await
    }

    /// A request with a JSON body, or none.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Said {
        let body = body.map(ToString::to_string);
        let mut head = self.head(method, path);
        if let Some(body) = &body {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        self.send(format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes()).await
    }

    /// The stream of an answer that has no end, from its beginning.
    pub(crate) async fn open(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("the gateway");
        stream.write_all(format!("{}\r\n", self.head("GET", path)).as_bytes()).await.expect("sent");
        stream
    }

    fn head(&self, method: &str, path: &str) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    /// These bytes, and all that comes back until the other end closes.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Said {
        let mut stream = TcpStream::connect(self.address).await.expect("the gateway");
        // Who is refused early may not be read to the end.
        drop(stream.write_all(bytes).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        said(&answer)
    }
}

/// Takes an answer apart.
pub(crate) fn said(answer: &[u8]) -> Said {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Said { status, head: head.to_owned(), body: body.to_owned() }
}
