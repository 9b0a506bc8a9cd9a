//! A gateway as a process, nodes in the test's process, one service and one token endpoint.

use std::net::{SocketAddr, TcpListener};

use std::time::SystemTime;

use nexus::app::GatewayKeyKind;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, ReadHalf};
use tokio::net::TcpStream;

use crate::harness::{
    Authentication, Authority, Builder, Caller, Nexus, Offers, Reply, TokenServer, Upstream, access, eventually, refresh,
};
use crate::renewal::house::{API, answer_by_token, fields, provider};

const TOKEN: &str = "token.renew.test";

/// What is there before any node.
pub(crate) struct House {
    pub(crate) ca: Authority,
    pub(crate) tokens: TokenServer,
    pub(crate) service: Upstream,
    pub(crate) gateway: Nexus,
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

impl House {
    /// The connection `renew` is registered at the gateway with `access(1)` and `refresh(1)`, ending at `expires_at`.
    pub(crate) async fn new(expires_at: Option<SystemTime>) -> Self {
        Self::with(expires_at, |_ca, builder| builder).await
    }

    /// As [`House::new`], the gateway's home changed by `change`.
    pub(crate) async fn with(expires_at: Option<SystemTime>, change: impl FnOnce(&Authority, Builder) -> Builder) -> Self {
        Self::on(Authority::new(), expires_at, change).await
    }

    /// As [`House::with`], on `ca`, which other actors have too.
    pub(crate) async fn on(
        ca: Authority,
        expires_at: Option<SystemTime>,
        change: impl FnOnce(&Authority, Builder) -> Builder,
    ) -> Self {
        let tokens = TokenServer::start(&ca, TOKEN, Authentication::Basic).await;
        let known = tokens.clone();
        let service = Upstream::serve(&ca, &[API], Offers::Both, move |call| answer_by_token(known.clone(), call)).await;
        let address = free_address();
        let (access, refresh) = (access(1), refresh(1));
        let all = fields(&access, &refresh);
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let builder = Builder::new(&ca)
            .resolve(TOKEN, tokens.upstream().address)
            .provider("renew", &provider(Authentication::Basic, ""))
            .gateway()
            .config(&format!("[gateway]\nlisten = \"{address}\""))
            .register_until("renew", &all, expires_at);
        let builder = change(&ca, builder);
        let (builder, key) = builder.key("node", GatewayKeyKind::Node, |_key| ());
        let gateway = builder.spawn().await;
        Self { ca, tokens, service, gateway, address, key }
    }

    /// The home of a node that has not started; it cannot reach the token endpoint.
    pub(crate) fn node_home(&self) -> Builder {
        Builder::new(&self.ca).resolve(API, self.service.address).provider("renew", &provider(Authentication::Basic, ""))
    }

    /// The URL of `path` at the service.
    pub(crate) fn at(path: &str) -> String {
        format!("https://{API}{path}")
    }

    /// A node.
    pub(crate) fn node(&self) -> Nexus {
        self.start(self.node_home())
    }

    /// `home` as a node with the right key.
    pub(crate) fn start(&self, home: Builder) -> Nexus {
        home.start_as_node(&[("NEXUS_GATEWAY_URL", &self.url()), ("NEXUS_GATEWAY_KEY", &self.key)])
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Another process registers these tokens at the gateway.
    pub(crate) fn register(&self, connection: &str, access: &str, refresh: &str) {
        let all = fields(access, refresh);
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.gateway.register(connection, &all, None);
    }

    /// Another key, made while the gateway runs.
    pub(crate) fn another_key(&self, name: &str, kind: GatewayKeyKind) -> String {
        self.gateway.add_key(name, kind)
    }

    /// The stream as bytes, for who has `key`: its head, and its lines.
    pub(crate) async fn stream(&self, key: &str) -> (String, Lines<BufReader<ReadHalf<TcpStream>>>) {
        let (read, mut write) = tokio::io::split(TcpStream::connect(self.address).await.expect("a gateway"));
        let host = self.address;
        let request = format!("GET /v1/node/stream HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n");
        write.write_all(request.as_bytes()).await.expect("sent");
        let mut lines = BufReader::new(read).lines();
        let mut head = String::new();
        while let Some(line) = lines.next_line().await.expect("a head") {
            if line.is_empty() {
                break;
            }
            head.push_str(&line);
            head.push('\n');
        }
        // Nothing is sent any more, but an end of it would be one of all.
        std::mem::forget(write);
        (head, lines)
    }
}

/// The next line of a chunked stream that is a JSON object.
pub(crate) async fn next(lines: &mut Lines<BufReader<ReadHalf<TcpStream>>>) -> Value {
    loop {
        let line = lines.next_line().await.expect("a line").expect("no end");
        if line.starts_with('{') {
            return serde_json::from_str(&line).expect("JSON");
        }
    }
}

/// The next line that is none of a heartbeat.
pub(crate) async fn next_word(lines: &mut Lines<BufReader<ReadHalf<TcpStream>>>) -> Value {
    loop {
        let line = next(lines).await;
        if line.as_object().is_some_and(|line| !line.is_empty()) {
            return line;
        }
    }
}

/// Asks again and again until an answer satisfies `wanted`.
pub(crate) async fn until(node: &Nexus, wanted: impl Fn(&Reply) -> bool) -> Reply {
    let caller = Caller::new(node);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let reply = caller.get(&format!("https://{API}/wait")).await;
        if wanted(&reply) {
            return reply;
        }
        assert!(std::time::Instant::now() < deadline, "waited too long; the last answer was {}", reply.status);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// What the node wrote down of its link, once it satisfies `wanted`.
pub(crate) async fn noted(node: &Nexus, wanted: impl Fn(&Value) -> bool) -> Value {
    let file = node.home().node_file();
    eventually("a note", || {
        let text = std::fs::read(&file).ok()?;
        serde_json::from_slice(&text).ok().filter(&wanted)
    })
    .await
}

/// An address that nobody has just now, so that a gateway can be started there twice.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a socket").local_addr().expect("an address")
}
