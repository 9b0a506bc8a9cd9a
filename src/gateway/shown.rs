//! What of a request may be a key: the field `X-API-Key`, else `Authorization`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use zeroize::Zeroizing;

use super::problem::Problem;

/// What every key of a gateway begins with.
const KEY: &str = "nxk_";

/// The texts that may be a key: of `X-API-Key`, else of `Authorization` (RFC 6750 §2.1; RFC 7617, as password or as name).
pub(super) fn shown(headers: &HeaderMap) -> Result<Vec<Zeroizing<String>>, Problem> {
    let one = |name: &str| {
        let mut all = headers.get_all(name).iter();
        match (all.next(), all.next()) {
            (value, None) => Ok(value),
            _ => Err(Problem::malformed(format!("the field {name} stands there more than once"))),
        }
    };
    let text = |value: &http::HeaderValue| Zeroizing::new(value.to_str().unwrap_or_default().trim().to_owned());
    if let Some(value) = one("x-api-key")? {
        let value = text(value);
        // What else stands in Authorization may be for somebody in front of us.
        let beside = one(AUTHORIZATION.as_str())?.map(|beside| authorization(&text(beside))).unwrap_or_default();
        return match hold_another(&beside, &value) {
            true => {
                Err(Problem::malformed("the fields X-API-Key and Authorization hold different keys; one request shows one"))
            }
            false => Ok(vec![value]),
        };
    }
    let Some(value) = one(AUTHORIZATION.as_str())? else { return Ok(Vec::new()) };
    Ok(authorization(&text(value)))
}

/// Whether some of `texts` is a key of a gateway, and another than `key`. What else clients send there may be for somebody else.
pub(super) fn hold_another(texts: &[Zeroizing<String>], key: &str) -> bool {
    texts.iter().any(|text| text.starts_with(KEY) && text.as_str() != key)
}

fn authorization(value: &str) -> Vec<Zeroizing<String>> {
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return vec![Zeroizing::new(rest.trim().to_owned())];
    }
    let decoded = STANDARD.decode(rest.trim()).map(Zeroizing::new).unwrap_or_default();
    let pair = std::str::from_utf8(&decoded).unwrap_or_default();
    let (name, password) = pair.split_once(':').unwrap_or((pair, ""));
    [password, name].map(|text| Zeroizing::new(text.to_owned())).to_vec()
}

/// The field in which a page of ours shows its half of a session.
const PAGE: &str = "nexus-page";
/// The field that says that nobody did anything: the page only looks whether there is news.
const BACKGROUND: &str = "nexus-background";
/// Cookies of our name that are looked at: other programs of the host can add some, before ours too.
const COOKIES: usize = 256;

/// Both halves of a session.
pub(super) struct PageSecrets {
    /// What may be the one that no script can read.
    pub(super) cookies: Vec<Zeroizing<String>>,
    /// The one that the page keeps.
    pub(super) page: Zeroizing<String>,
    /// Whether a person did something.
    pub(super) active: bool,
}

/// The name of the cookie: where it can be, one that only this host can set, and only by TLS (RFC 6265bis section 4.1.3.2).
pub(super) fn cookie_name(tls: bool) -> &'static str {
    if tls { "__Host-nexus" } else { "nexus" }
}

/// The session that a page of ours shows; `None` where it shows none.
pub(super) fn at_the_page(headers: &HeaderMap) -> Result<Option<PageSecrets>, Problem> {
    let mut pages = headers.get_all(PAGE).iter();
    let Some(page) = pages.next() else { return Ok(None) };
    if pages.next().is_some() || headers.contains_key("x-api-key") || headers.contains_key(AUTHORIZATION) {
        return Err(Problem::malformed("one request shows one key: the field Nexus-Page stands alone, and once"));
    }
    let page = Zeroizing::new(page.to_str().unwrap_or_default().to_owned());
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let named = pairs.filter_map(|pair| pair.trim().split_once('='));
    let ours = named.filter(|(name, _)| *name == cookie_name(true) || *name == cookie_name(false));
    let cookies = ours.map(|(_, value)| Zeroizing::new(value.to_owned())).take(COOKIES).collect();
    Ok(Some(PageSecrets { cookies, page, active: !headers.contains_key(BACKGROUND) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_keys_are_none() {
        let shown = |authorization: &str| {
            let fields = [("x-api-key", "nxk_1"), ("authorization", authorization)];
            let fields = fields.map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")));
            shown(&HeaderMap::from_iter(fields)).map(|texts| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>())
        };
        for fine in ["Bearer nxk_1", "Bearer of.somebody.else", "Basic dXNlcjpwYXNz", ""] {
            assert_eq!(shown(fine).expect(fine), ["nxk_1"]);
        }
        for other in ["Bearer nxk_2".to_owned(), format!("Basic {}", STANDARD.encode("nxk_2:"))] {
            assert_eq!(shown(&other).expect_err("two keys").status(), http::StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn what_may_be_a_key_is_taken_out_of_the_field() {
        let texts = |value: &str| authorization(value).iter().map(|text| text.to_string()).collect::<Vec<_>>();
        assert_eq!(texts("Bearer nxk_1"), ["nxk_1"]);
        assert_eq!(texts("bearer  nxk_1 "), ["nxk_1"]);
        assert_eq!(texts(&format!("Basic {}", STANDARD.encode("name:nxk_1"))), ["nxk_1", "name"]);
        assert_eq!(texts(&format!("basic {}", STANDARD.encode("nxk_1:"))), ["", "nxk_1"]);
        assert_eq!(texts("Basic !!"), ["", ""]);
        assert_eq!(texts("nxk_1"), [""]);
    }
}
