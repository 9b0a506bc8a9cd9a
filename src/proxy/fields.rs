//! Header fields and trailers on their way to a caller: what a response may not bring, and placeholders where a secret stood.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::broker::Permit;
use crate::guard::{Needles, StandIn};

/// Takes from the head of a response to an injected request sessions that outlive the credential, and its secrets; says how many.
pub(super) fn clean_injected(headers: &mut HeaderMap, permit: &Permit, stand_in: &dyn Fn() -> StandIn) -> u32 {
    let keeps_cookies = permit.provider().inject.get(permit.rule()).is_some_and(|rule| rule.set_cookie);
    if !keeps_cookies {
        headers.remove(SET_COOKIE);
    }
    scrub(headers, permit, stand_in)
}

/// Puts a placeholder where a field holds a secret that the request of `permit` was sent with; says how often.
pub(super) fn scrub(headers: &mut HeaderMap, permit: &Permit, stand_in: &dyn Fn() -> StandIn) -> u32 {
    permit.needles().fold(0, |hits, needles| hits.saturating_add(replace(headers, needles, stand_in)))
}

/// The same for `needles`. A field whose name holds one goes, and so does a value that would be none afterwards.
pub(super) fn replace(headers: &mut HeaderMap, needles: &Needles, stand_in: &dyn Fn() -> StandIn) -> u32 {
    if needles.is_empty() {
        return 0;
    }
    let (mut hits, mut gone) = (0_u32, Vec::new());
    for (name, value) in headers.iter_mut() {
        if needles.name(name.as_str().as_bytes()) {
            hits = hits.saturating_add(1);
            gone.push(name.clone());
        } else if let Some((clean, found)) = needles.replaced(value.as_bytes(), stand_in) {
            hits = hits.saturating_add(found);
            match HeaderValue::from_bytes(&clean) {
                Ok(clean) => *value = clean,
                Err(_invalid) => gone.push(name.clone()),
            }
        }
    }
    gone.iter().for_each(|name: &HeaderName| drop(headers.remove(name)));
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    const SECRET: &str = "Acme-Key/0123456789+ab";

    fn stand_in(prefix: &str) -> StandIn {
        StandIn { prefix: prefix.to_owned(), tail: "TheTail012".to_owned() }
    }

    fn scrubbed(fields: &[(&str, &str)], prefix: &str) -> (Vec<(String, String)>, u32) {
        let needles = Needles::new(&[Secret::new(SECRET.to_owned())]);
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        let hits = replace(&mut headers, &needles, &|| stand_in(prefix));
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        (headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(), hits)
    }

    fn one(value: &str) -> String {
        let (fields, hits) = scrubbed(&[("x-a", value)], "acme_");
        assert_eq!(hits, 1, "{value}");
        fields.into_iter().next().expect("a field").1
    }

    #[test]
    fn t35_t41_a_placeholder_stands_in_a_field_and_the_rest_of_it_stays() {
        let key = "acme_0000000TheTail012";
        assert_eq!(one(&format!("/next?key={SECRET}&a=1")), format!("/next?key={key}&a=1"));
        assert_eq!(one("/a?b=Acme%2DKey%2f0123456789%2Bab&c=100%"), "/a?b=acme_0000000000000TheTail012&c=100%");
        let escaped: String = SECRET.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
        assert!(one(&format!("{{\"k\":\"{escaped}\"}}")).ends_with("TheTail012\"}"));
        let hexadecimal: String = SECRET.bytes().map(|byte| format!("{byte:02X}")).collect();
        let of_key: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(one(&hexadecimal), of_key);
        assert!(one(&format!("&#x41;&#x63;{}", &SECRET[2..])).ends_with("TheTail012"));
        let random = one("a%41cme-Ke%79/01%3234567\\u00389+a%2562");
        assert!(random.starts_with("aacme_00") && random.ends_with("00TheTail012"), "{random}");
    }

    #[test]
    fn t36_a_name_that_holds_a_secret_goes_with_its_field() {
        let escaped = "x-%61cme-key%2F0123456789%2bab";
        let hexadecimal: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        // A name is never longer than its field: `/` is none of its letters.
        let plain = Needles::new(&[Secret::new("Acme-Key_0123456789+ab".to_owned())]);
        assert!(plain.name(b"x-acme-key_0123456789+ab-y") && !plain.name(b"x-acme-key_0123456789+a"));
        let fields = [(escaped, "1"), (hexadecimal.as_str(), "2"), ("strict-transport-security-of-a-site", "3")];
        let (kept, hits) = scrubbed(&fields, "");
        assert_eq!((kept, hits), (vec![("strict-transport-security-of-a-site".to_owned(), "3".to_owned())], 2));
    }

    #[test]
    fn each_value_of_a_name_is_looked_at_and_what_would_be_no_value_goes() {
        let fields = [("link", "<a>"), ("link", SECRET), ("x-b", "Acme-Key/0123456789+a?")];
        let (kept, hits) = scrubbed(&fields, "");
        assert_eq!((kept.len(), hits), (3, 1), "{kept:?}");
        let (kept, hits) = scrubbed(&fields, "\n");
        assert_eq!((kept, hits), (vec![("x-b".to_owned(), "Acme-Key/0123456789+a?".to_owned())], 1));
    }
}
