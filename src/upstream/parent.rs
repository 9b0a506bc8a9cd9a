//! A corporate proxy between us and the world: CONNECT through it, with its own exceptions.

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Error;
use crate::model::{Authority, Host};

/// How an answer begins (RFC 9112 §4).
const VERSION: &[u8] = b"HTTP/1.";
const NOT_HTTP: &str = "it does not speak HTTP/1";
const BROKE_OFF: &str = "it broke off before it had answered";
/// The parent keeps silent.
pub(super) const SILENT: &str = "it did not answer in time";

/// The answer to our CONNECT may be this long and no longer.
const ANSWER_LIMIT: usize = 16 * 1024;

/// `upstream.proxy`: where it listens, how we identify ourselves, what goes past it.
#[derive(Debug, Clone)]
pub(crate) struct Parent {
    /// Where it listens.
    pub(crate) authority: Authority,
    /// `Proxy-Authorization`, marked sensitive.
    pub(crate) authorization: Option<HeaderValue>,
    /// Hosts that are dialled directly: exact names or `.suffix`.
    pub(crate) except: Vec<String>,
}

impl Parent {
    /// Whether `host` goes through it.
    pub(super) fn covers(&self, host: &Host) -> bool {
        let Some(name) = host.name() else {
            let text = host.to_string();
            return !self.except.contains(&text);
        };
        let excepted = |entry: &String| match entry.strip_prefix('.') {
            Some(suffix) => name == suffix || name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')),
            None => name == entry.as_str(),
        };
        !self.except.iter().any(excepted)
    }

    /// Asks the parent for a tunnel to `authority` (RFC 9110 §9.3.6).
    pub(super) async fn connect(&self, stream: &mut TcpStream, authority: &Authority) -> Result<(), Error> {
        let useless = |why| Error::ParentAnswer { parent: self.authority.clone(), why };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await.map_err(|_cause| useless(BROKE_OFF))?;
        let status = read_status(stream).await.map_err(useless)?;
        match status {
            200..=299 => Ok(()),
            // tinyproxy answers a wrong password by 401; the service has said nothing yet.
            401 | 407 => Err(Error::ParentPassword),
            _ => Err(Error::Parent { authority: authority.clone(), status }),
        }
    }
}

/// Reads up to the empty line, byte by byte so that nothing behind it is swallowed, and gives the three digits.
///
/// # Errors
/// What is wrong with the answer, in words.
async fn read_status(stream: &mut (impl AsyncRead + Unpin)) -> Result<u16, &'static str> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= ANSWER_LIMIT {
            return Err("the head of its answer has no end");
        }
        head.push(stream.read_u8().await.map_err(|_cause| BROKE_OFF)?);
        if !head.starts_with(VERSION) && !VERSION.starts_with(&head) {
            return Err(NOT_HTTP);
        }
    }
    let text = String::from_utf8_lossy(&head);
    let code = text.split(' ').nth(1).and_then(|word| word.get(..3)).ok_or(NOT_HTTP)?;
    let digits = code.bytes().all(|b| b.is_ascii_digit());
    if digits { code.parse().map_err(|_number| NOT_HTTP) } else { Err(NOT_HTTP) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_match_names_and_suffixes_on_label_borders() {
        let parent = Parent {
            authority: "corp:3128".parse().expect("authority"),
            authorization: None,
            except: vec![".internal.example".into(), "one.example".into()],
        };
        let covers = |text: &str| parent.covers(&text.parse().expect("host"));
        assert!(!covers("a.internal.example") && !covers("internal.example") && !covers("one.example"));
        assert!(covers("evilinternal.example") && covers("two.one.example") && covers("1.2.3.4"));
    }

    #[tokio::test]
    async fn i7_an_answer_that_is_none_is_told_by_what_is_wrong_with_it() {
        let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), vec![b'a'; ANSWER_LIMIT]].concat();
        for (answer, outcome) in [
            (&b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nrest"[..], Ok(200)),
            (b"HTTP/1.0 407 No\r\n\r\n", Ok(407)),
            (b"SSH-2.0-OpenSSH_9.9\r\n", Err(NOT_HTTP)),
            (b"HTTP/2 200\r\n\r\n", Err(NOT_HTTP)),
            (b"HTTP/1.1 abc\r\n\r\n", Err(NOT_HTTP)),
            (b"HTTP/1.1\r\n\r\n", Err(NOT_HTTP)),
            (b"HTTP/1.1 200 O", Err(BROKE_OFF)),
            (b"", Err(BROKE_OFF)),
            (&endless, Err("the head of its answer has no end")),
        ] {
            let mut rest = answer;
            assert_eq!(read_status(&mut rest).await, outcome, "{}", String::from_utf8_lossy(&answer[..answer.len().min(40)]));
        }
    }
}
