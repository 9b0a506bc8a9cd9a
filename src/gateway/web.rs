//! The page's files: part of the binary, the same for everybody, without a word of data. What they show they ask `/api` for.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, VARY, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};

use super::access::{Asked, Page};
use super::context::Shared;
use super::problem::{self, Problem};

/// Nothing from elsewhere, nothing written into the page, nothing made of text; and no other page has it in a frame.
const POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The one document; each view is a path of it.
const DOCUMENT: &str = "index.html";

/// Name, text.
macro_rules! files {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("../../web/", $name)))),+] };
}

/// All files of `web/`, in the order of their names.
const FILES: &[(&str, &str)] = &files![
    "api.js",
    "app.css",
    "app.js",
    "connect.js",
    "decided.js",
    "dom.js",
    "drawer.js",
    "format.js",
    "icon.svg",
    "index.html",
    "lines.js",
    "list.js",
    "meanings.js",
    "plot.js",
    "as_rule.js",
    "held.js",
    "record.js",
    "standing.js",
    "text.js",
    "views/agents.js",
    "views/approvals.js",
    "views/catalogue.js",
    "views/connections.js",
    "views/live.js",
    "views/overview.js",
    "views/policy.js",
    "views/search.js",
];

/// A file as it is sent.
struct File {
    name: &'static str,
    text: &'static str,
    gzip: Vec<u8>,
    etag: HeaderValue,
}

static ALL: LazyLock<Vec<File>> = LazyLock::new(|| FILES.iter().map(|(name, text)| File::new(name, text)).collect());

impl File {
    fn new(name: &'static str, text: &'static str) -> Self {
        let mut coder = GzEncoder::new(Vec::new(), Compression::best());
        let coded = coder.write_all(text.as_bytes()).and_then(|()| coder.finish());
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())));
        // An empty one is never sent.
        let gzip = coded.unwrap_or_default();
        Self { name, text, gzip, etag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"0\"")) }
    }

    fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|file| file.name == name)
    }

    fn kind(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        }
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let current = self.etag.to_str().unwrap_or_default();
        let fresh = known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == current);
        let accepted = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let gzip = !self.gzip.is_empty() && accepted.flat_map(|codings| codings.split(',')).any(takes_gzip);
        let mut response = match (fresh, gzip) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, true) => self.gzip.clone().into_response(),
            (false, false) => self.text.into_response(),
        };
        let fields = response.headers_mut();
        fields.insert(ETAG, self.etag.clone());
        if gzip && !fresh {
            fields.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let plain: [(HeaderName, &str); 8] = [
            (CONTENT_TYPE, self.kind()),
            (CACHE_CONTROL, "no-cache"),
            (VARY, "accept-encoding"),
            (REFERRER_POLICY, "no-referrer"),
            (X_FRAME_OPTIONS, "DENY"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ];
        for (name, value) in plain {
            // In the place of what a body of this kind brought along.
            fields.insert(name, HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("")));
        }
        response
    }
}

/// `gzip`, and not with a weight of nothing (RFC 9110 section 12.5.3).
fn takes_gzip(coding: &str) -> bool {
    let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
    let none = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty());
    name.trim().eq_ignore_ascii_case("gzip") && !none
}

/// The document under the path of each view, and its parts.
pub(super) fn routes() -> Router<Shared> {
    let views =
        ["/", "/sign-in", "/live", "/search", "/overview", "/connections", "/catalogue", "/agents", "/approvals", "/policy"];
    let document = || get(|_asked: Asked<Page>, fields: HeaderMap| async move { part(DOCUMENT, &fields) });
    let router = views.iter().fold(Router::new(), |router, view| router.route(view, document()));
    router.route("/page/{*name}", get(file).fallback(problem::no_such_method))
}

/// Below these paths programs ask, who read a problem document whatever they say they take.
const OF_PROGRAMS: [&str; 4] = ["/api", "/v1", "/page", "/oauth"];

/// A path that leads nowhere: a browser gets the document, which says so in the page; anybody else a problem.
pub(super) async fn no_such_view(
    asked: Result<Asked<Page>, Problem>,
    method: Method,
    path: Uri,
    mut fields: HeaderMap,
) -> Response {
    let first = path.path().split_inclusive('/').take(2).collect::<String>();
    let programs = OF_PROGRAMS.contains(&first.trim_end_matches('/'));
    let shows = fields.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|kinds| kinds.contains("text/html"));
    if programs || !shows || !matches!(method, Method::GET | Method::HEAD) {
        return problem::no_such_page().await.into_response();
    }
    // It is no version of what may be kept.
    fields.remove(IF_NONE_MATCH);
    match asked.and_then(|_asked| part(DOCUMENT, &fields)) {
        Ok(mut response) => {
            *response.status_mut() = StatusCode::NOT_FOUND;
            response.headers_mut().remove(ETAG);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

async fn file(_asked: Asked<Page>, Path(name): Path<String>, fields: HeaderMap) -> Result<Response, Problem> {
    part(&name, &fields)
}

fn part(name: &str, fields: &HeaderMap) -> Result<Response, Problem> {
    let found = File::find(name).ok_or_else(|| Problem::missing("the page has no such part"))?;
    Ok(found.answer(fields))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_in_the_binary_and_small() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut folders = vec![root.clone()];
        let mut there = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    there.insert(entry.strip_prefix(&root).expect("below it").to_str().expect("a name").to_owned());
                }
            }
        }
        let here: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(here, there);
        let coded: usize = ALL.iter().map(|file| file.gzip.len()).sum();
        assert!(ALL.iter().all(|file| !file.gzip.is_empty()) && coded < 200 * 1024, "{coded}");
    }

    #[test]
    fn nothing_of_the_page_is_written_into_it() {
        for (name, text) in FILES {
            // A name of the language that plots are drawn in, which nothing is fetched from.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for door in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "javascript:",
                "style=\"",
                " onclick",
            ] {
                assert!(!text.contains(door), "{name}: {door}");
            }
            assert!(
                !text.contains("http://") && !text.contains("https://") || name.ends_with(".svg"),
                "{name} names another place"
            );
        }
        assert_eq!(FILES.iter().find(|(name, _)| *name == DOCUMENT).map(|(_, text)| text.matches("<script").count()), Some(1));
    }

    #[test]
    fn a_coding_with_no_weight_is_not_taken() {
        let taken = ["gzip", " gzip", "GZIP;q=1", "gzip;q=0.001"];
        assert!(taken.iter().all(|coding| takes_gzip(coding)));
        assert!(!["br", "gzip;q=0", "gzip; q=0.000", "x-gzip", ""].iter().any(|coding| takes_gzip(coding)));
    }
}
