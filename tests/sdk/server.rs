//! `Server`: a vendor's service that is more than a table of answers, played by a program in `servers/`. It looks at each request's
//! credential itself and writes a line of JSON about it.

use std::net::SocketAddr;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::case::{Case, folder};
use crate::harness::{Authority, Seen};
use crate::installed;
use crate::stub::{Account, Secrets};

/// What it says of one request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    call: String,
    fault: Option<String>,
    /// Whether the answer was that the credential has expired.
    expired: bool,
    method: String,
    host: String,
    target: String,
    fields: Vec<(String, String)>,
    body: String,
}

/// A running one.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    /// All that it said, once it has ended.
    lines: JoinHandle<Vec<String>>,
}

impl Server {
    /// Starts `file`, which accepts what is registered for `case` and nothing else.
    pub(crate) async fn start(ca: &Authority, case: &Case, secrets: &Secrets, file: &str) -> Self {
        let (chain, key) = ca.leaf(&case.service.hosts());
        let told = json!({
            "certificate": STANDARD.encode(&chain[0]),
            "key": STANDARD.encode(key.secret_der()),
            "stored": case.register(&secrets.credentials),
            "expires": case.program.expires,
        });
        let mut command = Command::new(installed().join("venv/bin/python"));
        command.arg(folder().join("servers").join(file)).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("python");
        let input = child.stdin.as_mut().expect("its input");
        input.write_all(format!("{told}\n").as_bytes()).await.expect("it listens");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let port = lines.next_line().await.expect("its output").expect("a port");
        let address = ([127, 0, 0, 1], port.parse().expect("a port")).into();
        // As it comes: a full pipe would hold it up.
        let lines = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(line) = lines.next_line().await.expect("its output") {
                all.push(line);
            }
            all
        });
        Self { address, child, lines }
    }

    /// Ends it, and says what it saw.
    pub(crate) async fn finish(mut self) -> (Account, Vec<Seen>) {
        drop(self.child.stdin.take());
        let (mut account, mut seen) = (Account::default(), Vec::new());
        let mut times = 1;
        for line in self.lines.await.expect("a task") {
            let line: Line = serde_json::from_str(&line).expect("a line");
            account.expired += usize::from(line.expired);
            account.faults.extend(line.fault.clone());
            match account.calls.last_mut() {
                Some(last) if last.split(" ×").next() == Some(&line.call) => {
                    times += 1;
                    *last = format!("{} ×{times}", line.call);
                }
                _ => {
                    times = 1;
                    account.calls.push(line.call.clone());
                }
            }
            seen.push(line.seen());
        }
        self.child.wait().await.expect("a status");
        (account, seen)
    }
}

impl Line {
    fn seen(self) -> Seen {
        let field = |(name, value): &(String, String)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        };
        Seen {
            connection: 0,
            version: Version::HTTP_11,
            method: self.method.parse().expect("a method"),
            path: self.target,
            authority: Some(self.host),
            headers: self.fields.iter().map(field).collect::<HeaderMap>(),
            body: Some(self.body.into()),
            trailers: None,
        }
    }
}
