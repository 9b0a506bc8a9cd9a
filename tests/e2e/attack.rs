//! What the hostile topics share: one provider, one scene, and bytes that no library would send.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::harness::{Authority, Builder, Call, Caller, Nexus, Offers, Seen, Upstream, answer};

/// The rule host of these tests.
pub(crate) const HOST: &str = "api.acme.test";
/// The credential that no caller may learn.
pub(crate) const KEY: &str = "acme-key-0123456789abcdefghijklmnop";

/// Every kind of slot, minting endpoints, a token endpoint, and paths without a rule.
pub(crate) const ACME: &str = r#"
name = "acme"
title = "Acme"
category = "test"
slots = ["authorization", "x-api-key", "query:token", "cookie:session"]
[oauth2]
authorize_url = "https://auth.acme.test/authorize"
token_url = "https://auth.acme.test/token"
[[inject]]
hosts = ["api.acme.test"]
paths = ["/**"]
strategy = { bearer = "{access_token|api_key}" }
mints = ["POST /mint/*", "GET /mint-by-get"]
[placeholder]
ACME_KEY = "acme_"
"#;

/// A home with the provider, its credential, and `service` behind its name.
pub(crate) fn home(ca: &Authority, service: &Upstream) -> Builder {
    let builder = Builder::new(ca).provider("acme", ACME).register("acme", &[("api_key", KEY)]);
    builder.resolve(HOST, service.address)
}

/// The service that says what it saw, for all names under `acme.test` and some strangers.
pub(crate) async fn service(ca: &Authority, offers: Offers) -> Upstream {
    let names = [
        HOST,
        "auth.acme.test",
        "evil.test",
        "evilapi.acme.test",
        "api.acme.test.evil.test",
        "x.api.acme.test",
        "acme.test",
        "127.0.0.1",
    ];
    Upstream::serve(ca, &names, offers, |mut call: Call| async move {
        drop(call.read().await);
        answer(200, "seen")
    })
    .await
}

/// A service, a Nexus before it, and a caller of the same user.
pub(crate) struct Scene {
    pub(crate) service: Upstream,
    pub(crate) nexus: Nexus,
    pub(crate) caller: Caller,
}

/// The usual scene with `config` laid over the usual configuration.
pub(crate) async fn scene(config: &str) -> Scene {
    let ca = Authority::new();
    let service = service(&ca, Offers::Both).await;
    let nexus = home(&ca, &service).config(config).start();
    let caller = Caller::new(&nexus);
    Scene { service, nexus, caller }
}

impl Scene {
    /// Whether the service saw nothing but `count` requests.
    pub(crate) fn saw(&self, count: usize) -> bool {
        self.service.count() == count
    }

    /// The last request that the service saw.
    pub(crate) fn last(&self) -> Seen {
        self.service.seen().pop().expect("a request")
    }

    /// Sends `bytes` inside a tunnel to the rule host and reads what comes back.
    pub(crate) async fn inside(&self, bytes: &[u8]) -> Raw {
        talk(self.caller.tls(HOST, &["http/1.1"]).await, bytes).await
    }
}

/// What came back for raw bytes.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) text: String,
    /// The stream was closed by Nexus within the time.
    pub(crate) closed: bool,
}

impl Raw {
    /// The first status line's code; 0 for none.
    pub(crate) fn status(&self) -> u16 {
        self.text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// `Nexus-Refusal`.
    pub(crate) fn refusal(&self) -> &str {
        let line = self.text.lines().find_map(|line| line.strip_prefix("nexus-refusal: "));
        line.unwrap_or_default().trim()
    }

    /// How many responses came.
    pub(crate) fn responses(&self) -> usize {
        let starts = self.text.match_indices("HTTP/1.1 ").map(|(at, _)| self.text.get(at + 9..at + 13).unwrap_or_default());
        starts.filter(|code| code.trim_end().len() == 3 && code.trim_end().bytes().all(|byte| byte.is_ascii_digit())).count()
    }
}

/// Writes `bytes`, then reads until the stream ends or a whole answer has come and nothing follows.
pub(crate) async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Raw {
    // A refusal may come, and the stream end, before all is written.
    drop(stream.write_all(bytes).await);
    drop(stream.flush().await);
    listen(&mut stream, Duration::from_millis(400)).await
}

/// Reads until the stream ends, or nothing has come for `quiet` after something has (20 s before).
pub(crate) async fn listen(stream: &mut (impl AsyncRead + Unpin), quiet: Duration) -> Raw {
    let mut bytes = Vec::new();
    let closed = loop {
        let limit = if bytes.is_empty() { Duration::from_secs(20) } else { quiet };
        match tokio::time::timeout(limit, stream.read_buf(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(_)) => {}
            Err(_elapsed) => break false,
        }
    };
    Raw { text: String::from_utf8_lossy(&bytes).into_owned(), closed }
}
