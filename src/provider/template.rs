//! Templates: literal text with `{field}` holes.

use std::str::FromStr;

use crate::model::braces::{self, Unpaired};
use crate::model::is_field_name;

/// Text with `{field}` holes; `{access_token|api_key}` takes the first of them that the credential has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub(super) Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<str>),
    /// Alternatives, best first; never empty.
    Field(Vec<Box<str>>),
}

/// Why a template is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{a`, `a}`, `{{a}}`.
    #[error("braces do not pair: write {{field}}")]
    Braces,
    /// `{Access Token}`, `{}`.
    #[error("a field's name is lower-case letters, digits and _, beginning with a letter")]
    Name,
    /// Line ends and the like.
    #[error("a template holds visible ASCII and spaces only")]
    Character,
}

impl FromStr for Template {
    type Err = TemplateError;
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(TemplateError::Character);
        }
        let piece = |piece: Result<braces::Piece<'_>, Unpaired>| match piece.map_err(|_unpaired| TemplateError::Braces)? {
            braces::Piece::Text(text) => Ok(Piece::Text(text.into())),
            braces::Piece::Hole(names) if !names.split('|').all(is_field_name) => Err(TemplateError::Name),
            braces::Piece::Hole(names) => Ok(Piece::Field(names.split('|').map(Into::into).collect())),
        };
        braces::pieces(text).map(piece).collect::<Result<_, _>>().map(Self)
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => formatter.write_str(text),
            Piece::Field(names) => write!(formatter, "{{{}}}", names.join("|")),
        })
    }
}

impl Template {
    /// The names in its holes, alternatives included, in order.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.holes().flatten().map(AsRef::as_ref)
    }

    /// Its text, each hole filled with the first of its fields that `value` has; `None` where one has none. Not for secrets.
    pub(super) fn fill(&self, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.to_string()),
            Piece::Field(names) => names.iter().find_map(|name| value(name)),
        };
        self.0.iter().map(fill).collect()
    }

    /// The field of its only hole, and what stands there in `text`; `None` where it has more than one, or the rest is another text.
    pub(super) fn read(&self, text: &str) -> Option<(String, String)> {
        let hole = self.0.iter().position(|piece| matches!(piece, Piece::Field(_)))?;
        let (before, rest) = self.0.split_at_checked(hole)?;
        let (Piece::Field(names), after) = rest.split_first()? else { return None };
        let literal = |pieces: &[Piece]| {
            let text = |piece: &Piece| if let Piece::Text(text) = piece { Some(text.to_string()) } else { None };
            pieces.iter().map(text).collect::<Option<String>>()
        };
        let inner = text.strip_prefix(literal(before)?.as_str())?.strip_suffix(literal(after)?.as_str())?;
        Some((names.first()?.to_string(), inner.to_owned()))
    }

    /// Whether each hole finds one of its fields.
    pub(super) fn is_filled_by(&self, has: &dyn Fn(&str) -> bool) -> bool {
        self.holes().all(|names| names.iter().any(|name| has(name)))
    }

    /// The alternatives of each hole, in order.
    pub fn holes(&self) -> impl Iterator<Item = &[Box<str>]> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Field(names) => Some(names.as_slice()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_name_fields_and_alternatives() {
        let template: Template = "Token {access_token|api_key}/{site}".parse().expect("a template");
        assert_eq!(template.fields().collect::<Vec<_>>(), ["access_token", "api_key", "site"]);
        assert_eq!(template.to_string(), "Token {access_token|api_key}/{site}");
        assert!(template.is_filled_by(&|name| name != "access_token"));
        assert!(!template.is_filled_by(&|name| name != "site"));
        let filled = |name: &str| (name != "access_token").then(|| name.to_uppercase());
        assert_eq!(template.fill(&filled).as_deref(), Some("Token API_KEY/SITE"));
        assert_eq!(template.fill(&|name| (name == "site").then(String::new)), None);
        let site: Template = "https://{site}.acme.example".parse().expect("a template");
        assert_eq!(site.read("https://one.acme.example"), Some(("site".to_owned(), "one".to_owned())));
        assert_eq!((site.read("https://one.other.example"), template.read("Token a/b")), (None, None));
        let literal: Template = "x-access-token".parse().expect("a template");
        assert_eq!(literal.fields().count(), 0);
    }

    #[test]
    fn disorder_is_refused() {
        for text in ["{", "}", "{a", "a}", "{{a}}", "{a{b}}"] {
            assert_eq!(text.parse::<Template>(), Err(TemplateError::Braces), "{text}");
        }
        for text in ["{}", "{A}", "{a|}", "{a b}", "{1a}"] {
            assert_eq!(text.parse::<Template>(), Err(TemplateError::Name), "{text}");
        }
        assert_eq!("a\r\nb".parse::<Template>(), Err(TemplateError::Character));
    }
}
