//! What both benches work on.

use bytes::Bytes;
use http::Method;
use nexus::model::{Authority, Scheme, Target};

/// As a common client sends it.
pub(crate) const REQUEST: &[u8] = b"GET /repos/octo/hello/issues?state=open&per_page=100 HTTP/1.1\r\n\
    Host: api.github.com\r\n\
    User-Agent: python-requests/2.32.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept: application/vnd.github+json\r\n\
    X-GitHub-Api-Version: 2022-11-28\r\n\
    Authorization: Bearer ghp_0123456789abcdefghijklmnopqrstuvwxyz\r\n\
    Connection: keep-alive\r\n\r\n";

/// A GET of `url`.
pub(crate) fn target(url: &str) -> Target {
    let rest = url.strip_prefix("https://").expect("https");
    let (authority, path) = rest.split_once('/').expect("a path");
    Target {
        scheme: Scheme::Https,
        authority: Authority::parse(authority, Some(443)).expect("an authority"),
        method: Method::GET,
        path: format!("/{path}").parse().expect("a path"),
    }
}

/// About `size` bytes of an answer as APIs give them, in pieces as they come off a connection.
pub(crate) fn answer(size: usize) -> Vec<Bytes> {
    let issue = |number: usize| {
        format!(
            r#"{{"id":{number},"node_id":"MDU6SXNzdWU{number:06}","url":"https://api.github.com/repos/octo/hello/issues/{number}","state":"open",
"title":"A title that says what is wrong with {number}","body":"It was fine yesterday.\\n\\n> quoted \\"text\\" & more of it\\n","locked":false,
"user":{{"login":"octocat","avatar_url":"https://avatars.example/u/{number}?v=4&s=40%2F80"}},"created_at":"2026-11-23T01:02:03Z","comments":{}}},"#,
            number % 7
        )
    };
    let text: String = (0..)
        .map(issue)
        .scan(0, |length, issue| {
            *length += issue.len();
            (*length < size).then_some(issue)
        })
        .collect();
    text.as_bytes().chunks(64 * 1024).map(Bytes::copy_from_slice).collect()
}
