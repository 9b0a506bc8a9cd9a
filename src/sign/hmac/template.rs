//! What is signed and where it goes: literal text with `{hole}`s.

use std::str::FromStr;

use crate::model::braces::{self, Unpaired};
use crate::model::is_field_name;

/// One hole. The words for parts of the request win over fields of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hole {
    /// `{method}`.
    Method,
    /// `{host}`: as in `Host`.
    Host,
    /// `{path}`: as sent, without the query.
    Path,
    /// `{query}`: as sent, without `?`.
    Query,
    /// `{sorted_query}`: sorted by name, names and values encoded anew (RFC 3986 §2.3), joined by `&`.
    SortedQuery,
    /// `{path_and_query}`: as sent, with `?` where there is a query.
    PathAndQuery,
    /// `{body}`: its bytes.
    Body,
    /// `{body_sha256_hex}`: of an empty body too.
    BodySha256Hex,
    /// `{timestamp}`.
    Timestamp,
    /// `{nonce}`.
    Nonce,
    /// `{signature}`: where it goes only.
    Signature,
    /// `{api_key}`, `{site}` and so on: a field of the credential.
    Field(Box<str>),
}

/// The words for what is no field.
const WORDS: [(Hole, &str); 11] = [
    (Hole::Method, "method"),
    (Hole::Host, "host"),
    (Hole::Path, "path"),
    (Hole::Query, "query"),
    (Hole::SortedQuery, "sorted_query"),
    (Hole::PathAndQuery, "path_and_query"),
    (Hole::Body, "body"),
    (Hole::BodySha256Hex, "body_sha256_hex"),
    (Hole::Timestamp, "timestamp"),
    (Hole::Nonce, "nonce"),
    (Hole::Signature, "signature"),
];

impl Hole {
    fn named(name: &str) -> Option<Self> {
        let word = WORDS.into_iter().find(|(_, word)| *word == name).map(|(hole, _)| hole);
        word.or_else(|| is_field_name(name).then(|| Self::Field(name.into())))
    }

    /// What stands between the braces.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Field(name) => name,
            other => WORDS.iter().find(|(hole, _)| hole == other).map_or("", |(_, word)| word),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<str>),
    Hole(Hole),
}

/// Literal text with `{hole}`s. A line end is written as such or as `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(pub(super) Vec<Piece>);

/// Why a template is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// `{a`, `a}`, `{{a}}`.
    #[error("braces do not pair: write {{hole}}")]
    Braces,
    /// `{Access Token}`, `{}`.
    #[error("a hole's name is lower-case letters, digits and _, beginning with a letter")]
    Name,
    /// Tabs, carriage returns and what is not ASCII.
    #[error("a template holds visible ASCII, spaces and line ends only")]
    Character,
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if !text.bytes().all(|byte| byte == b' ' || byte == b'\n' || byte.is_ascii_graphic()) {
            return Err(TemplateError::Character);
        }
        let text = text.replace("\\n", "\n");
        let piece = |piece: Result<braces::Piece<'_>, Unpaired>| match piece.map_err(|_unpaired| TemplateError::Braces)? {
            braces::Piece::Text(text) => Ok(Piece::Text(text.into())),
            braces::Piece::Hole(name) => Hole::named(name).map(Piece::Hole).ok_or(TemplateError::Name),
        };
        braces::pieces(&text).map(piece).collect::<Result<_, _>>().map(Self)
    }
}

impl Template {
    /// Its holes, in order.
    pub(crate) fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Hole(hole) => Some(hole),
        })
    }

    /// The fields it needs, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.holes().filter_map(|hole| match hole {
            Hole::Field(name) => Some(name.as_ref()),
            _ => None,
        })
    }

    pub(super) fn has(&self, hole: &Hole) -> bool {
        self.holes().any(|other| other == hole)
    }

    /// Whether its literal text has a line end, which no field of a request can carry.
    pub(super) fn has_line_end(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains('\n')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_parts_of_the_request_or_fields() {
        let template: Template = "{method}\\n{path}\n{api_key} x".parse().expect("a template");
        let text = |text: &str| Piece::Text(text.into());
        let expected = [
            Piece::Hole(Hole::Method),
            text("\n"),
            Piece::Hole(Hole::Path),
            text("\n"),
            Piece::Hole(Hole::Field("api_key".into())),
            text(" x"),
        ];
        assert_eq!(template.0, expected);
        assert_eq!(template.fields().collect::<Vec<_>>(), ["api_key"]);
    }

    #[test]
    fn disorder_is_refused() {
        for text in ["{", "}", "{a", "a}", "{{a}}", "{a{b}}"] {
            assert_eq!(text.parse::<Template>(), Err(TemplateError::Braces), "{text}");
        }
        for text in ["{}", "{A}", "{a b}", "{1a}", "{a|b}"] {
            assert_eq!(text.parse::<Template>(), Err(TemplateError::Name), "{text}");
        }
        assert_eq!("a\r\nb".parse::<Template>(), Err(TemplateError::Character));
    }
}
