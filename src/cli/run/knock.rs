//! Whether our proxy is up: whoever listens on a port is not believed to be Nexus until it shows our root.

use std::time::Duration;

use memchr::memmem;
use nexus::model::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

const DEADLINE: Duration = Duration::from_secs(2);
/// Between the questions whether a new agent is known: six seconds in all.
const PAUSES_MILLIS: [u64; 7] = [60, 100, 200, 400, 800, 1600, 3000];
/// Longer than any answer with one certificate.
const LONGEST_ANSWER: u64 = 64 * 1024;
const REQUEST: &[u8] = b"GET http://nexus.internal/ca.pem HTTP/1.1\r\nHost: nexus.internal\r\nConnection: close\r\n\r\n";

/// Who answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knocked {
    /// Nobody, or a stranger.
    Nobody,
    /// Our proxy.
    Ours,
    /// Our proxy, which lets nothing out for now: its audit log can't be written.
    Unlogged,
}

/// Whether a proxy with the root `ca` (a PEM file's bytes) answers at `proxy`.
pub(crate) async fn knock(proxy: &str, ca: &[u8]) -> Knocked {
    match timeout(DEADLINE, ask(proxy, REQUEST)).await {
        Ok(Ok(answer)) if !ca.is_empty() && shows(&answer, ca) => Knocked::Ours,
        Ok(Ok(answer)) if !ca.is_empty() && is_unlogged(&answer) => Knocked::Unlogged,
        _ => Knocked::Nobody,
    }
}

/// Waits until the proxy at `proxy` knows `token`, or can't tell for want of its log; an agent that was just added is known once the proxy has read its file again.
///
/// Wrong tokens are counted there, so the pauses grow: few questions, and none before the proxy can have read it.
pub(crate) async fn knows(proxy: &str, token: &Secret<String>) -> bool {
    let authorization = Zeroizing::new(format!("Proxy-Authorization: Bearer {}\r\n", token.expose()));
    let page = "GET http://nexus.internal/whoami HTTP/1.1\r\nHost: nexus.internal\r\nConnection: close\r\n";
    let request = Zeroizing::new([page, authorization.as_str(), "\r\n"].concat());
    for pause in PAUSES_MILLIS {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let answer = timeout(DEADLINE, ask(proxy, request.as_bytes())).await;
        if answer.is_ok_and(|answer| answer.is_ok_and(|bytes| bytes.starts_with(b"HTTP/1.1 200") || is_unlogged(&bytes))) {
            return true;
        }
    }
    false
}

async fn ask(proxy: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn shows(answer: &[u8], ca: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200") && memmem::find(answer, ca.trim_ascii()).is_some()
}

/// The proxy's refusal for want of its log: no page of its own goes unlogged either. Its `Nexus-Refusal` stands in the head.
fn is_unlogged(answer: &[u8]) -> bool {
    let head = answer.get(..memmem::find(answer, b"\r\n\r\n").unwrap_or_default()).unwrap_or_default().to_ascii_lowercase();
    head.starts_with(b"http/1.1 503") && memmem::find(&head, b"\r\nnexus-refusal: audit").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn listener(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; REQUEST.len()];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        proxy
    }

    #[tokio::test]
    async fn a_proxy_with_our_root_is_ours() {
        let proxy = listener(b"HTTP/1.1 200 OK\r\n\r\n-----BEGIN ours-----\n").await;
        assert_eq!(knock(&proxy, b"-----BEGIN ours-----\n").await, Knocked::Ours);
    }

    #[tokio::test]
    async fn a_proxy_that_cannot_write_its_log_is_up() {
        let proxy = listener(b"HTTP/1.1 503 Service Unavailable\r\nNexus-Refusal: audit\r\n\r\n{}").await;
        assert_eq!(knock(&proxy, b"ours").await, Knocked::Unlogged);
    }

    #[tokio::test]
    async fn a_stranger_on_our_port_is_not() {
        for (answer, ca) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n-----BEGIN other-----\n"[..], &b"-----BEGIN ours-----"[..]),
            (b"HTTP/1.1 404 Not Found\r\n\r\nours", b"ours"),
            (b"HTTP/1.1 200 OK\r\n\r\n", b""),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\nnexus-refusal: audit", b"ours"),
        ] {
            assert_eq!(knock(&listener(answer).await, ca).await, Knocked::Nobody, "{}", String::from_utf8_lossy(answer));
        }
    }

    #[tokio::test]
    async fn nobody_there_is_no_proxy() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        assert_eq!(knock(&gone, b"ours").await, Knocked::Nobody);
    }
}
