//! `WWW-Authenticate` (RFC 9110 §11.6.1): lists of challenges, each with parameters or a token68.

/// One challenge of any scheme.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// As written; compared without case.
    pub(super) scheme: String,
    /// Names in lower case, values without quotes and escapes.
    pub(super) parameters: Vec<(String, Vec<u8>)>,
}

/// The field does not follow the grammar, or names a parameter twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads one field, which may hold several challenges. A comma stands between challenges and between parameters: what follows it is
/// a parameter when `=` comes next, else a scheme.
pub(super) fn parse(field: &[u8]) -> Result<Vec<Challenge>, Malformed> {
    let mut reader = Reader(field.trim_ascii());
    let mut found: Vec<Challenge> = Vec::new();
    while reader.next_item() {
        match (reader.parameter()?, found.last_mut()) {
            (Some(parameter), Some(challenge)) => challenge.push(parameter)?,
            (Some(_), None) => return Err(Malformed),
            (None, _) => found.push(reader.challenge()?),
        }
        reader.end_of_item()?;
    }
    Ok(found)
}

impl Challenge {
    fn push(&mut self, (name, value): (String, Vec<u8>)) -> Result<(), Malformed> {
        if self.get(&name).is_some() {
            return Err(Malformed);
        }
        self.parameters.push((name, value));
        Ok(())
    }

    /// The value of the parameter called `name`, in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Skips to the next list element, past empty ones (RFC 9110 §5.6.1.2); false at the end.
    fn next_item(&mut self) -> bool {
        self.take_while(|byte| is_blank(byte) || byte == b',');
        !self.0.is_empty()
    }

    fn end_of_item(&mut self) -> Result<(), Malformed> {
        self.take_while(is_blank);
        if self.0.first().is_none_or(|byte| *byte == b',') { Ok(()) } else { Err(Malformed) }
    }

    /// A scheme, and what follows it up to the next comma.
    fn challenge(&mut self) -> Result<Challenge, Malformed> {
        let scheme = self.token().ok_or(Malformed)?;
        let mut challenge = Challenge { scheme, parameters: Vec::new() };
        if self.take_while(is_blank).is_empty() || matches!(self.0.first(), None | Some(b',')) {
            return Ok(challenge);
        }
        match self.parameter()? {
            Some(parameter) => challenge.push(parameter)?,
            None => self.token68()?,
        }
        Ok(challenge)
    }

    /// `name = value`; `None`, and nothing read, where this is not the beginning of one.
    fn parameter(&mut self) -> Result<Option<(String, Vec<u8>)>, Malformed> {
        let before = self.0;
        let name = self.token();
        self.take_while(is_blank);
        let after = self.0.strip_prefix(b"=").map(<[u8]>::trim_ascii_start);
        let (Some(name), Some(after)) = (name, after) else { return Ok(self.back(before)) };
        self.0 = after;
        let value = match self.0.strip_prefix(b"\"") {
            Some(rest) => {
                self.0 = rest;
                Some(self.quoted().ok_or(Malformed)?)
            }
            None => self.token().map(String::into_bytes),
        };
        // `Negotiate abc==` looks like a parameter up to here.
        let Some(value) = value else { return Ok(self.back(before)) };
        Ok(Some((name.to_ascii_lowercase(), value)))
    }

    fn back<T>(&mut self, to: &'a [u8]) -> Option<T> {
        self.0 = to;
        None
    }

    /// RFC 9110 §11.2: letters, digits, `-._~+/`, then any number of `=`.
    fn token68(&mut self) -> Result<(), Malformed> {
        let read = self.take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.take_while(|byte| byte == b'=');
        if read.is_empty() { Err(Malformed) } else { Ok(()) }
    }

    /// RFC 9110 §5.6.2.
    fn token(&mut self) -> Option<String> {
        let read = self.take_while(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        (!read.is_empty()).then(|| read.iter().copied().map(char::from).collect())
    }

    /// RFC 9110 §5.6.4, after the opening quote; bytes beyond ASCII are let through.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        loop {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            let byte = match first {
                b'"' => return Some(value),
                b'\\' => {
                    let (escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    *escaped
                }
                byte => *byte,
            };
            if byte != b'\t' && byte.is_ascii_control() {
                return None;
            }
            value.push(byte);
        }
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !fits(byte)).unwrap_or(self.0.len());
        let (read, rest) = self.0.split_at_checked(end).unwrap_or((self.0, &[]));
        self.0 = rest;
        read
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::quoted;
    use super::*;

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(realm in "[\\PC\t]*", nonce in "[ -~]*") {
            let field = [b"Digest ", quoted("realm", realm.as_bytes()).as_slice(), b",", &quoted("nonce", nonce.as_bytes())].concat();
            let read = parse(&field).expect("a challenge");
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[0].get("realm"), Some(realm.as_bytes()));
            prop_assert_eq!(read[0].get("nonce"), Some(nonce.as_bytes()));
        }

        #[test]
        fn no_field_makes_more_challenges_than_it_has_bytes(field in "[DdA =\",\\\\\t/]*|.*") {
            if let Ok(read) = parse(field.as_bytes()) {
                prop_assert!(read.len() <= field.len());
            }
        }
    }

    fn shown(field: &str) -> Vec<String> {
        let show = |challenge: &Challenge| {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let pairs: Vec<String> =
                challenge.parameters.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
            format!("{}({})", challenge.scheme, pairs.join(";"))
        };
        parse(field.as_bytes()).expect("a list of challenges").iter().map(show).collect()
    }

    /// The examples of RFC 9110 §11.6.1 among them.
    #[test]
    fn challenges_and_parameters_are_told_apart() {
        assert_eq!(
            shown(r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#),
            [r#"Newauth(realm=apps;type=1;title=Login to "apps")"#, "Basic(realm=simple)"]
        );
        assert_eq!(shown("Basic , ,Digest  Realm = x ,, NONCE=\"a,b\","), ["Basic()", "Digest(realm=x;nonce=a,b)"]);
        assert_eq!(
            shown("Negotiate, NTLM TlRM=, Negotiate a/b==, Digest a=b"),
            ["Negotiate()", "NTLM()", "Negotiate()", "Digest(a=b)"]
        );
        assert_eq!(shown("Digest realm=\"é\""), ["Digest(realm=é)"]);
        assert_eq!(shown(""), [""; 0]);
    }

    #[test]
    fn what_the_grammar_does_not_have_is_malformed() {
        let fields = [
            "realm=\"x\"",
            "Digest realm=\"x",
            "Digest realm=\"x\\",
            "Digest realm=\"a\" nonce=\"b\"",
            "Digest realm=\"a\"b",
            "Digest a=1, A=2",
            "Digest realm=\"a\u{1}\"",
            "Digest \"x\"",
            "Digest a=1, =2",
            "Basic x y",
            "=",
            "\"",
        ];
        for field in fields {
            assert_eq!(parse(field.as_bytes()), Err(Malformed), "{field}");
        }
        // Without a value it is what a token68 looks like.
        assert_eq!(shown("Digest a="), ["Digest()"]);
    }
}
