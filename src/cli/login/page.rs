//! The page at the end of a log-in. It loads nothing and runs nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use nexus::app::login::{Account, Obtained};
use sha2::{Digest as _, Sha256};

/// The look, in light and in dark.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--ground:#f4f5f7;--card:#fff;--line:#e1e4e9;--mark:#1a7f4b}
:root.bad{--mark:#b3382c}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#9aa4b2;--ground:#14171c;--card:#1d2128;--line:#2d333d;--mark:#4cc38a}
:root.bad{--mark:#f0857a}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);\
font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
main{width:100%;max-width:30rem;padding:2.5rem 2.25rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;\
text-align:center}
.mark{width:3.25rem;height:3.25rem;margin:0 auto 1.25rem;border:2px solid var(--mark);border-radius:50%;display:grid;\
place-items:center;color:var(--mark);font-size:1.6rem;line-height:1}
h1{margin:0 0 .5rem;font-size:1.35rem;font-weight:600;letter-spacing:-.01em;text-wrap:balance}
p{margin:.4rem 0 0;color:var(--soft);overflow-wrap:anywhere}
footer{margin-top:1.75rem;padding-top:1.1rem;border-top:1px solid var(--line);font-size:.85rem;color:var(--soft)}
";

/// What a browser shows.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    good: bool,
    heading: String,
    text: String,
}

impl Page {
    /// How the log-in ended.
    pub(super) fn end(account: &Account, end: &anyhow::Result<Obtained>) -> Self {
        match end {
            Ok(obtained) => {
                let person = obtained.person().map(|person| format!(" as {person}")).unwrap_or_default();
                let heading = format!("{} is connected{person}", account.provider().title);
                Self::new(StatusCode::OK, true, heading, "You can close this page.".to_owned())
            }
            Err(error) => {
                let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
                let heading = format!("{} is not connected", account.provider().title);
                let text = format!("{}. You can close this page; the terminal says what to do.", causes.join(": "));
                Self::new(StatusCode::BAD_REQUEST, false, heading, text)
            }
        }
    }

    /// For what is no answer to this log-in, which goes on.
    pub(super) fn strange(why: &str) -> Self {
        let text = format!("It was left aside: {why}. The log-in in the terminal still waits for its own.");
        Self::new(StatusCode::BAD_REQUEST, false, "That was not the answer".to_owned(), text)
    }

    /// For every other request.
    pub(super) fn nothing_here() -> Self {
        let text = "Nexus waits for one answer only, at another address.".to_owned();
        Self::new(StatusCode::NOT_FOUND, false, "There is nothing here".to_owned(), text)
    }

    fn new(status: StatusCode, good: bool, heading: String, text: String) -> Self {
        Self { status, good, heading, text }
    }

    pub(super) fn html(&self) -> String {
        let (class, mark) = if self.good { ("good", "\u{2713}") } else { ("bad", "!") };
        let (heading, text) = (escaped(&self.heading), escaped(&self.text));
        format!(
            "<!doctype html>\n<html lang=\"en\" class=\"{class}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{heading} \u{b7} Nexus</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<div class=\"mark\" aria-hidden=\"true\">{mark}</div>\n\
             <h1>{heading}</h1>\n<p>{text}</p>\n<footer>Nexus on this machine</footer>\n</main>\n</body>\n</html>\n"
        )
    }

    /// Nothing is loaded, framed or kept, and the address, which holds a code, is told to nobody.
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let fixed = HeaderValue::from_static;
        vec![
            (CONTENT_TYPE, fixed("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy).unwrap_or_else(|_odd| fixed("default-src 'none'"))),
            (CACHE_CONTROL, fixed("no-store")),
            (REFERRER_POLICY, fixed("no-referrer")),
            (X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        ]
    }
}

/// Text as HTML shows it (HTML §13.1.2.1 and §13.1.2.3).
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_text_on_the_page() {
        let html = Page::strange("<img src=x onerror=\"alert('1')\"> & so on").html();
        assert!(html.contains("&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; so on"), "{html}");
        assert!(!html.contains("<img"));
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = Page::nothing_here();
        let html = page.html();
        for word in ["http:", "https:", "//", "url(", "<script", "<link", "@import"] {
            assert!(!html.contains(word), "{word}");
        }
        let policy = page.headers().into_iter().find(|(name, _)| name == CONTENT_SECURITY_POLICY).unwrap().1;
        assert!(policy.to_str().unwrap().starts_with("default-src 'none'; style-src 'sha256-"), "{policy:?}");
    }
}
