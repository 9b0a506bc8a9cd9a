//! `Charset`: in which letters a `Content-Type` says that a body is written, as far as that changes what its bytes mean.

/// The letters of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    /// Not said, or UTF-8.
    Utf8,
    /// Others that have ASCII's bytes for ASCII's letters.
    Ascii,
    /// The same bytes are other letters (UTF-7, UTF-16, EBCDIC), or readers differ in what is said.
    Doubtful,
}

const NAME: &[u8] = b"charset";

impl Charset {
    /// What a `Content-Type` says (RFC 9110 §8.3.1): nothing, or one parameter that every reader finds, with or without quotes.
    pub(crate) fn of(kind: &[u8]) -> Self {
        let mut places = kind.windows(NAME.len()).enumerate().filter(|(_, word)| word.eq_ignore_ascii_case(NAME));
        let Some((at, _)) = places.next() else { return Self::Utf8 };
        if places.next().is_some() {
            return Self::Doubtful;
        }
        let (before, rest) = kind.split_at(at);
        if before.trim_ascii_end().last() != Some(&b';') {
            return Self::Doubtful;
        }
        value(rest.get(NAME.len()..).unwrap_or_default()).map_or(Self::Doubtful, Self::named)
    }

    fn named(name: &[u8]) -> Self {
        let is = |own: &&str| own.as_bytes().eq_ignore_ascii_case(name);
        match () {
            () if ["utf-8", "utf8"].iter().any(is) => Self::Utf8,
            () if ["us-ascii", "iso-8859-1"].iter().any(is) => Self::Ascii,
            () => Self::Doubtful,
        }
    }
}

/// The value of the parameter whose name stands before `rest`.
fn value(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii_start().strip_prefix(b"=")?;
    let said = rest.split(|byte| *byte == b';').next()?.trim_ascii();
    match said.strip_prefix(b"\"") {
        Some(quoted) => quoted.strip_suffix(b"\""),
        None => Some(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_known_where_every_reader_finds_the_same() {
        for (said, charset) in [
            ("", Charset::Utf8),
            ("; v=8", Charset::Utf8),
            ("; charset=utf-8", Charset::Utf8),
            (";Charset = \"UTF-8\" ; v=1", Charset::Utf8),
            ("; charset=utf8;", Charset::Utf8),
            ("; charset=us-ascii", Charset::Ascii),
            ("; charset=\"ISO-8859-1\"", Charset::Ascii),
            ("; charset=utf-7", Charset::Doubtful),
            ("; charset=utf-16be; v=8", Charset::Doubtful),
            ("; charset=UTF-32", Charset::Doubtful),
            ("; v=8; charset=ibm037", Charset::Doubtful),
            ("; charset = utf-16", Charset::Doubtful),
            ("; charset=utf-8; charset=utf-16", Charset::Doubtful),
            ("; charset=utf-8; charset=utf-8", Charset::Doubtful),
            ("; charset*=utf-8''utf-16", Charset::Doubtful),
            ("; charset*0=utf-; charset*1=16", Charset::Doubtful),
            ("; charset=\"utf-8", Charset::Doubtful),
            ("; charset=\"utf\\-8\"", Charset::Doubtful),
            ("; charset='utf-16'", Charset::Doubtful),
            ("; charset=utf-8, text/plain; x=y", Charset::Doubtful),
            ("; charset", Charset::Doubtful),
            ("; charset=", Charset::Doubtful),
            ("; x-charset=utf-8", Charset::Doubtful),
            (" charset=utf-8", Charset::Doubtful),
            ("; v=\"; charset=utf-16\"", Charset::Doubtful),
        ] {
            assert_eq!(Charset::of(format!("application/json{said}").as_bytes()), charset, "{said}");
        }
    }
}
