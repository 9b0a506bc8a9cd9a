//! Patterns of paths.

use std::str::FromStr;

use super::pattern::PatternError;
use crate::model::{Readings, readings, without_format};

/// One entry of `paths`: `*` is one segment, `bot*` one that begins so, `**` any number of segments at the end (none included).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// `bot*`: at least one letter follows.
    Begins(Box<str>),
    One,
    Rest,
}

impl FromStr for PathPattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let inside = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        if inside.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'%' | b'\\' | b';' | b'?' | b'#' | b'{' | b'}')) {
            return Err(PatternError::PathCharacter);
        }
        let parts: Vec<&str> = inside.split('/').collect();
        let last = parts.len() - 1;
        let segments = parts.into_iter().enumerate().map(|(at, part)| match part {
            "*" => Ok(Segment::One),
            "**" if at == last => Ok(Segment::Rest),
            "**" => Err(PatternError::RestNotLast),
            "." | ".." => Err(PatternError::Dots),
            "" if at != last => Err(PatternError::EmptySegment),
            _ => match part.strip_suffix('*').unwrap_or(part) {
                begin if begin.contains('*') => Err(PatternError::PartOfSegment),
                begin if begin.len() < part.len() => Ok(Segment::Begins(begin.into())),
                _ => Ok(Segment::Literal(part.into())),
            },
        });
        segments.collect::<Result<_, _>>().map(Self)
    }
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(formatter, "/{text}"),
            Segment::Begins(text) => write!(formatter, "/{text}*"),
            Segment::One => formatter.write_str("/*"),
            Segment::Rest => formatter.write_str("/**"),
        })
    }
}

impl PathPattern {
    /// Whether every reading of `path` matches, letter for letter. For injection: doubt is no match.
    pub fn matches_all_readings(&self, path: &str) -> bool {
        readings(path).is_ok_and(|all| self.matches_all_of(&all))
    }

    /// The same of readings that are at hand.
    pub(super) fn matches_all_of(&self, all: &Readings<'_>) -> bool {
        all.iter().all(|reading| self.matches_one(reading, str::eq))
    }

    /// Whether any reading of `path` matches, in any letter case. For refusals: doubt is a match.
    pub fn matches_any_reading(&self, path: &str) -> bool {
        self.matches_any_of(readings(path).ok().as_ref())
    }

    /// The same of readings that are at hand; what has none may be any path.
    pub(super) fn matches_any_of(&self, all: Option<&Readings<'_>>) -> bool {
        all.is_none_or(|all| all.iter().any(|reading| self.may_take(reading)))
    }

    /// Whether one reading of a path matches, in any letter case and but for a slash or a format at the end.
    pub(super) fn may_take(&self, reading: &str) -> bool {
        let trimmed = reading.strip_suffix('/').filter(|rest| !rest.is_empty());
        [Some(reading), trimmed, without_format(reading)]
            .into_iter()
            .flatten()
            .any(|path| self.matches_one(path, str::eq_ignore_ascii_case))
    }

    /// How many leading segments it spells out: where two providers share a host, the longer prefix wins.
    pub fn specificity(&self) -> usize {
        self.0.iter().take_while(|segment| matches!(segment, Segment::Literal(_))).count()
    }

    /// Whether every path it takes has a segment of this number, counted from 1.
    pub(super) fn has_segment(&self, number: usize) -> bool {
        number > 0 && self.0.get(number - 1).is_some_and(|segment| !matches!(segment, Segment::Rest))
    }

    /// Whether some path matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        for at in 0.. {
            match (self.0.get(at), other.0.get(at)) {
                (Some(Segment::Rest), _) | (_, Some(Segment::Rest)) | (None, None) => return true,
                (None, _) | (_, None) => return false,
                (Some(Segment::Literal(one)), Some(Segment::Literal(two))) if one != two => return false,
                (Some(Segment::Literal(text)), Some(Segment::Begins(begin)))
                | (Some(Segment::Begins(begin)), Some(Segment::Literal(text)))
                    if text.len() <= begin.len() || !text.starts_with(&**begin) =>
                {
                    return false;
                }
                (Some(Segment::Begins(one)), Some(Segment::Begins(two)))
                    if !one.starts_with(&**two) && !two.starts_with(&**one) =>
                {
                    return false;
                }
                _ => {}
            }
        }
        false
    }

    fn matches_one(&self, path: &str, same: fn(&str, &str) -> bool) -> bool {
        let mut given = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.0 {
            let fits = match segment {
                Segment::Rest => return true,
                Segment::One => given.next().is_some_and(|part| !part.is_empty()),
                Segment::Literal(text) => given.next().is_some_and(|part| same(part, text)),
                Segment::Begins(text) => given
                    .next()
                    .is_some_and(|part| part.len() > text.len() && part.get(..text.len()).is_some_and(|part| same(part, text))),
            };
            if !fits {
                return false;
            }
        }
        given.next().is_none()
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
