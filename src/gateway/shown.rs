//! What of a request may be a key: the field `X-API-Key`, else `Authorization`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::problem::Problem;

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
        return Ok(vec![text(value)]);
    }
    let Some(value) = one(AUTHORIZATION.as_str())? else { return Ok(Vec::new()) };
    Ok(authorization(&text(value)))
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

#[cfg(test)]
mod tests {
    use super::*;

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
