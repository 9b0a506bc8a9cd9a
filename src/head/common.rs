//! The names of the fields that most messages have, as nearly everybody spells them: found without a look at each letter.

use http::HeaderName;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCEPT_RANGES, AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE, ETAG, EXPIRES, HOST, IF_NONE_MATCH, LAST_MODIFIED, LINK, LOCATION, ORIGIN,
    PRAGMA, REFERER, REFERRER_POLICY, RETRY_AFTER, SERVER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING,
    USER_AGENT, VARY, VIA, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `$name` among names that have as many bytes, in small letters or with capitals at the beginnings of its words.
macro_rules! among {
    ($name:expr, $($text:literal = $header:ident),+) => {{
        const LENGTH: usize = [$($text.len()),+][0];
        static NAMES: [([u8; LENGTH], [u8; LENGTH], HeaderName); [$($text.len()),+].len()] =
            [$((*$text, capitals(*$text), $header)),+];
        // Of known length, so that a comparison is one or two of words.
        let name: &[u8; LENGTH] = $name.try_into().ok()?;
        NAMES.iter().find(|(small, capitals, _)| name == small || name == capitals).map(|(_, _, header)| header)
    }};
}

/// `name`, if it is a common one in a common spelling.
#[inline]
pub(super) fn common_name(name: &[u8]) -> Option<&'static HeaderName> {
    match name.len() {
        3 => among!(name, b"age" = AGE, b"via" = VIA),
        4 => among!(name, b"host" = HOST, b"date" = DATE, b"etag" = ETAG, b"vary" = VARY, b"link" = LINK),
        6 => among!(name, b"accept" = ACCEPT, b"server" = SERVER, b"cookie" = COOKIE, b"origin" = ORIGIN, b"pragma" = PRAGMA),
        7 => among!(name, b"expires" = EXPIRES, b"referer" = REFERER),
        8 => among!(name, b"location" = LOCATION),
        9 => among!(name, b"x-api-key" = X_API_KEY),
        10 => among!(name, b"user-agent" = USER_AGENT, b"connection" = CONNECTION, b"set-cookie" = SET_COOKIE),
        11 => among!(name, b"retry-after" = RETRY_AFTER),
        12 => among!(name, b"content-type" = CONTENT_TYPE, b"x-request-id" = X_REQUEST_ID),
        13 => among!(
            name,
            b"authorization" = AUTHORIZATION,
            b"cache-control" = CACHE_CONTROL,
            b"last-modified" = LAST_MODIFIED,
            b"accept-ranges" = ACCEPT_RANGES,
            b"if-none-match" = IF_NONE_MATCH
        ),
        14 => among!(name, b"content-length" = CONTENT_LENGTH),
        15 => among!(
            name,
            b"accept-encoding" = ACCEPT_ENCODING,
            b"accept-language" = ACCEPT_LANGUAGE,
            b"referrer-policy" = REFERRER_POLICY,
            b"x-frame-options" = X_FRAME_OPTIONS
        ),
        16 => among!(name, b"content-encoding" = CONTENT_ENCODING),
        17 => among!(name, b"transfer-encoding" = TRANSFER_ENCODING),
        22 => among!(name, b"x-content-type-options" = X_CONTENT_TYPE_OPTIONS),
        25 => among!(name, b"strict-transport-security" = STRICT_TRANSPORT_SECURITY),
        _ => None,
    }
}

/// `Content-Type` for `content-type`.
#[expect(clippy::indexing_slicing, reason = "below the length, and known when it is compiled")]
const fn capitals<const LENGTH: usize>(mut name: [u8; LENGTH]) -> [u8; LENGTH] {
    let mut at = 0;
    while at < LENGTH {
        if at == 0 || name[at - 1] == b'-' {
            name[at] = name[at].to_ascii_uppercase();
        }
        at += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whatever is found is what the letters say.
    #[test]
    fn every_name_in_the_table_is_its_own() {
        let table = include_str!("common.rs").split("mod tests").next().expect("before the tests");
        let mut found = 0;
        for text in table.split("b\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let capitals: String =
                text.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<Vec<_>>().join("-");
            for spelled in [text, &capitals] {
                assert_eq!(common_name(spelled.as_bytes()).map(HeaderName::as_str), Some(text));
            }
            found += 1;
        }
        assert!(found > 35, "{found}");
    }

    proptest! {
        #[test]
        fn nothing_else_passes_for_one(name in "[A-Za-z-]{3,25}|(?i)user-agent|(?i)content-typ[a-f]|(?i)x-api-key") {
            if let Some(found) = common_name(name.as_bytes()) {
                prop_assert!(found.as_str().eq_ignore_ascii_case(&name));
            }
        }
    }
}
