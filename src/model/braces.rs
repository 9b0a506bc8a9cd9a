//! Text with `{holes}`, cut into what stands between them and what they are called.

/// A piece of such a text, in the text's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// Literal text; never empty.
    Text(&'t str),
    /// What stands between two braces, whatever it is.
    Hole(&'t str),
}

/// `{a`, `a}`, `{{a}}`: braces that do not pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unpaired;

/// Cuts `text` where its braces are. Of several mistakes the first is told, and nothing after it.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, Unpaired>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let piece = next(rest);
        rest = piece.map_or("", |(_, behind)| behind);
        Some(piece.map(|(piece, _)| piece).ok_or(Unpaired))
    })
}

/// The first piece of `text`, and what stands behind it.
fn next(text: &str) -> Option<(Piece<'_>, &str)> {
    if let Some(inside) = text.strip_prefix('{') {
        let (name, behind) = inside.split_once('}')?;
        return (!name.contains('{')).then_some((Piece::Hole(name), behind));
    }
    let (literal, behind) = text.split_at(text.find('{').unwrap_or(text.len()));
    (!literal.contains('}')).then_some((Piece::Text(literal), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_holes_come_in_their_order() {
        let found: Result<Vec<Piece<'_>>, Unpaired> = pieces("a {b|c}{}é{D e}").collect();
        assert_eq!(
            found,
            Ok(vec![Piece::Text("a "), Piece::Hole("b|c"), Piece::Hole(""), Piece::Text("é"), Piece::Hole("D e"),])
        );
        assert_eq!(pieces("").count(), 0);
        assert_eq!(pieces("plain").collect::<Vec<_>>(), [Ok(Piece::Text("plain"))]);
    }

    #[test]
    fn the_first_brace_without_its_other_ends_it() {
        for text in ["{", "}", "{a", "a}", "{{a}}", "{a{b}}", "a}{b}"] {
            assert_eq!(pieces(text).collect::<Vec<_>>(), [Err(Unpaired)], "{text}");
        }
        assert_eq!(pieces("{a}}{b}").collect::<Vec<_>>(), [Ok(Piece::Hole("a")), Err(Unpaired)]);
    }
}
