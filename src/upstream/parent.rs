//! A corporate proxy between us and the world: CONNECT through it, with its own exceptions.

use http::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Error;
use crate::model::{Authority, Host};

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
        let broken = |cause| Error::ParentUnreachable { parent: self.authority.clone(), cause };
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await.map_err(broken)?;
        let status = read_status(stream).await.map_err(broken)?;
        match status {
            200..=299 => Ok(()),
            // tinyproxy answers a wrong password by 401; the service has said nothing yet.
            401 | 407 => Err(Error::ParentPassword),
            _ => Err(Error::Parent { authority: authority.clone(), status }),
        }
    }
}

/// Reads up to the empty line, byte by byte so that nothing behind it is swallowed, and gives the three digits.
async fn read_status(stream: &mut TcpStream) -> std::io::Result<u16> {
    let malformed = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= ANSWER_LIMIT {
            return Err(malformed());
        }
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head);
    let mut words = text.split(' ');
    let version = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let code = words.next().and_then(|word| word.get(..3)).ok_or_else(malformed)?;
    let digits = version && code.bytes().all(|b| b.is_ascii_digit());
    if digits { code.parse().map_err(|_number| malformed()) } else { Err(malformed()) }
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
}
