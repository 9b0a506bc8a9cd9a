//! `Glob`: a pattern of paths with named parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fit::Fit;
use super::path::{Readings, without_format};

/// More segments than this are no path of an API.
const MAX_SEGMENTS: usize = 64;

/// One entry of `paths`: `*` is one segment, `{name}` one that has a name, `issue-*` one that begins so, `*.json` one that ends so, `**` any
/// number of segments, none included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// What stands before and behind the star.
    Around(Box<str>, Box<str>),
    One,
    Named(Box<str>),
    Rest,
}

/// Why a text is not a pattern of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// `repos/**`.
    #[error("a path begins with /")]
    NoSlash,
    /// Escapes, queries.
    #[error(
        "a path is plain: letters, digits and -._~!$&'()+,:=@ as they are once escapes are undone, without ? # % ; or spaces"
    )]
    Character,
    /// `/a/../b`, `/a//b`.
    #[error("a path holds no empty, . or .. segments")]
    Segment,
    /// `/a*b*c`.
    #[error("a segment holds one * at most; ** is a segment of its own")]
    Stars,
    /// `/{}`, `/x{a}`.
    #[error("a named part is a whole segment, {{name}}, in lower-case letters, digits and _")]
    Part,
    /// The same name twice.
    #[error("a named part stands there twice")]
    Twice,
    /// More than 64.
    #[error("a path has at most 64 segments")]
    Long,
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        let inside = text.strip_prefix('/').ok_or(GlobError::NoSlash)?;
        if inside.bytes().any(|b| !b.is_ascii_graphic() || matches!(b, b'%' | b'\\' | b';' | b'?' | b'#' | b'"')) {
            return Err(GlobError::Character);
        }
        let parts: Vec<&str> = inside.split('/').collect();
        if parts.len() > MAX_SEGMENTS {
            return Err(GlobError::Long);
        }
        let last = parts.len() - 1;
        let segments = parts.iter().enumerate().map(|(at, part)| segment(part, at == last));
        let segments: Vec<Segment> = segments.collect::<Result<_, _>>()?;
        let names = || segments.iter().filter_map(|segment| if let Segment::Named(name) = segment { Some(name) } else { None });
        if names().enumerate().any(|(at, name)| names().skip(at + 1).any(|other| other == name)) {
            return Err(GlobError::Twice);
        }
        Ok(Self(segments))
    }
}

fn segment(part: &str, last: bool) -> Result<Segment, GlobError> {
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return if super::credential::is_field_name(name) { Ok(Segment::Named(name.into())) } else { Err(GlobError::Part) };
    }
    match part {
        "**" => Ok(Segment::Rest),
        "*" => Ok(Segment::One),
        "." | ".." => Err(GlobError::Segment),
        "" if !last => Err(GlobError::Segment),
        _ if part.contains(['{', '}']) => Err(GlobError::Part),
        _ => match part.split_once('*') {
            Some((_, after)) if after.contains('*') => Err(GlobError::Stars),
            Some((before, after)) => Ok(Segment::Around(before.into(), after.into())),
            None => Ok(Segment::Literal(part.into())),
        },
    }
}

impl TryFrom<String> for Glob {
    type Error = GlobError;
    fn try_from(text: String) -> Result<Self, GlobError> {
        text.parse()
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.to_string()
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(formatter, "/{text}"),
            Segment::Around(before, after) => write!(formatter, "/{before}*{after}"),
            Segment::One => formatter.write_str("/*"),
            Segment::Named(name) => write!(formatter, "/{{{name}}}"),
            Segment::Rest => formatter.write_str("/**"),
        })
    }
}

/// What the named parts may be: a name, and the texts of which one must fit; each may have a `*`.
pub(crate) type Parts = std::collections::BTreeMap<String, Vec<Part>>;

/// `acme`, `acme-*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Part(Segment);

/// Not a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected what a segment of a path may be, such as `acme` or `acme-*`")]
pub struct PartError;

impl TryFrom<String> for Part {
    type Error = PartError;
    fn try_from(text: String) -> Result<Self, PartError> {
        let one: Glob = format!("/{text}").parse().map_err(|_not_one: GlobError| PartError)?;
        match <[Segment; 1]>::try_from(one.0) {
            Ok([segment @ (Segment::Literal(_) | Segment::Around(..))]) if !text.is_empty() => Ok(Self(segment)),
            _ => Err(PartError),
        }
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        Glob(vec![part.0]).to_string().split_off(1)
    }
}

impl Glob {
    /// The names of its parts.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| if let Segment::Named(name) = segment { Some(&**name) } else { None })
    }

    /// Whether it certainly fits every path that `other` fits, whatever the named parts of either are.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (wide, narrow) = (&self.0, &other.0);
        // By how much of `wide` is left, from its end: whether that covers what is left of `narrow`, by where that begins.
        let mut behind: Vec<bool> = (0..=narrow.len()).map(|at| at == narrow.len()).collect();
        for segment in wide.iter().rev() {
            let mut here = vec![false; narrow.len() + 1];
            for at in (0..=narrow.len()).rev() {
                let one = |list: &[bool], at: usize| list.get(at).copied().unwrap_or_default();
                let fits = match (segment, narrow.get(at)) {
                    (Segment::Rest, _) => one(&behind, at) || one(&here, at + 1),
                    (_, None) => false,
                    (segment, Some(given)) => segment.covers(given) && one(&behind, at + 1),
                };
                here.get_mut(at).into_iter().for_each(|place| *place = fits);
            }
            behind = here;
        }
        behind.first().copied().unwrap_or_default()
    }

    /// Whether it fits one path only.
    pub(crate) fn is_literal(&self) -> bool {
        self.0.iter().all(|segment| matches!(segment, Segment::Literal(_)))
    }

    /// Whether it fits what `readings` has: not letter for letter, or but for a slash or a format at the end, is doubt.
    pub(crate) fn fits(&self, readings: &Readings<'_>, parts: &Parts) -> Fit {
        Fit::of_readings(readings.iter().map(|path| self.fits_one(path, parts)))
    }

    fn fits_one(&self, path: &str, parts: &Parts) -> Fit {
        if self.matches(path, parts, str::eq) {
            return Fit::Yes;
        }
        let alike = |path: &str| self.matches(path, parts, str::eq_ignore_ascii_case);
        let trimmed = path.strip_suffix('/').filter(|rest| !rest.is_empty());
        if alike(path) || trimmed.is_some_and(alike) || without_format(path).is_some_and(alike) { Fit::Maybe } else { Fit::No }
    }

    /// As file names are matched: behind the last `**` everything is tried again from one segment on, so that it takes the product of both
    /// lengths at most.
    fn matches(&self, path: &str, parts: &Parts, same: fn(&str, &str) -> bool) -> bool {
        let (mut pattern, mut given) = (self.0.as_slice(), Some(path.strip_prefix('/').unwrap_or(path)));
        let mut again: Option<(&[Segment], Option<&str>)> = None;
        loop {
            match (pattern.split_first(), given) {
                (None, None) => return true,
                (Some((Segment::Rest, [])), _) => return true,
                (Some((Segment::Rest, rest)), here) => {
                    again = Some((rest, here));
                    pattern = rest;
                    continue;
                }
                (Some((segment, rest)), Some(here)) => {
                    let (first, after) = cut(here);
                    if segment.fits(first, parts, same) {
                        (pattern, given) = (rest, after);
                        continue;
                    }
                }
                (None, Some(_)) | (Some(_), None) => {}
            }
            let Some((rest, Some(here))) = again else { return false };
            let (_, after) = cut(here);
            again = Some((rest, after));
            (pattern, given) = (rest, after);
        }
    }
}

/// The first segment, and what follows its slash.
fn cut(path: &str) -> (&str, Option<&str>) {
    path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)))
}

impl Segment {
    /// Whether it fits all that `other` does, one segment each.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rest, _) | (Self::One | Self::Named(_), Self::One | Self::Named(_) | Self::Around(..)) => true,
            (Self::One | Self::Named(_), Self::Literal(text)) => !text.is_empty(),
            (Self::Around(before, after), Self::Around(start, end)) => start.starts_with(&**before) && end.ends_with(&**after),
            (Self::Around(..), Self::Literal(text)) => self.fits(text, &Parts::new(), str::eq),
            (Self::Literal(text), Self::Literal(other)) => text == other,
            (Self::Literal(_) | Self::Around(..), _) | (Self::One | Self::Named(_), Self::Rest) => false,
        }
    }

    fn fits(&self, given: &str, parts: &Parts, same: fn(&str, &str) -> bool) -> bool {
        match self {
            Self::Literal(text) => same(given, text),
            Self::Around(before, after) => {
                let room = given.len() > before.len() + after.len();
                let start = given.get(..before.len()).is_some_and(|start| same(start, before));
                room && start
                    && given.len().checked_sub(after.len()).and_then(|at| given.get(at..)).is_some_and(|end| same(end, after))
            }
            Self::One => !given.is_empty(),
            Self::Named(name) => {
                let may = parts.get(&**name);
                !given.is_empty() && may.is_none_or(|may| may.iter().any(|part| part.0.fits(given, parts, same)))
            }
            Self::Rest => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::readings;

    fn fit(glob: &str, path: &str) -> Fit {
        let glob: Glob = glob.parse().unwrap_or_else(|error| panic!("{glob}: {error}"));
        glob.fits(&readings(path).expect("readable"), &Parts::new())
    }

    #[test]
    fn a_pattern_covers_another_one_where_it_fits_all_that_that_fits() {
        let glob = |text: &str| text.parse::<Glob>().expect("a pattern");
        for (wide, narrow, covers) in [
            ("/pay/**", "/pay/z2", true),
            ("/pay/**", "/pay/*/x", true),
            ("/pay/**", "/pay", true),
            ("/pay/**", "/**", false),
            ("/pay/**", "/*/z2", false),
            ("/**", "/a/**/b", true),
            ("/**/b", "/a/**/b", true),
            ("/**/b", "/a/**", false),
            ("/**/x/*", "/x/x/y", true),
            ("/a/*", "/a/b-*", true),
            ("/a/*", "/a/", false),
            ("/a/b*c", "/a/bb*cc", true),
            ("/a/b*c", "/a/b*", false),
            ("/a/b*c", "/a/bc", false),
            ("/repos/{owner}/x", "/repos/*/x", true),
            ("/repos/acme/x", "/repos/{owner}/x", false),
            ("/a", "/A", false),
        ] {
            assert_eq!(glob(wide).covers(&glob(narrow)), covers, "{wide} {narrow}");
        }
    }

    #[test]
    fn stars_are_segments_and_parts_of_them() {
        for (glob, path, expected) in [
            ("/repos/*/*", "/repos/octo/hello", Fit::Yes),
            ("/repos/*/*", "/repos/octo", Fit::No),
            ("/repos/**", "/repos", Fit::Yes),
            ("/repos/**", "/repos/a/b/c", Fit::Yes),
            ("/repos/**", "/repository", Fit::No),
            ("/**/contents/**", "/repos/a/b/contents/x", Fit::Yes),
            ("/**/contents/**", "/repos/contents/b/contents", Fit::Yes),
            ("/**/a/b", "/a/a/b", Fit::Yes),
            ("/**/a/b", "/a/b/a", Fit::No),
            ("/v1/*:search", "/v1/files:search", Fit::Yes),
            ("/v1/*:search", "/v1/:search", Fit::No),
            ("/chat.*", "/chat.delete", Fit::Yes),
            ("/{owner}/x", "/octo/x", Fit::Yes),
            ("/{owner}/x", "//x", Fit::No),
            ("/", "/", Fit::Yes),
            ("/**", "/", Fit::Yes),
            ("/items/*/delete", "/items/1/delete.json", Fit::Maybe),
            ("/items/*/delete", "/items/1/Delete.xml/", Fit::Maybe),
            ("/items/*/delete", "/items/1/delete.json/x", Fit::No),
            ("/items/*/delete", "/items/1/delete.", Fit::Maybe),
            ("/items", "/items/.json", Fit::No),
        ] {
            assert_eq!(fit(glob, path), expected, "{glob} {path}");
        }
    }

    #[test]
    fn what_services_may_read_in_two_ways_is_doubt() {
        for path in [
            "/Admin/x",
            "/admin/x/",
            "/public/../admin/x",
            "/%61dmin/x",
            "//admin/x",
            "/admin;v=1/x",
            "/public%2f..%2fadmin/x",
            "\\admin/x",
        ] {
            let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            assert_eq!(fit("/admin/x", &path), Fit::Maybe, "{path}");
        }
        assert_eq!(fit("/admin/**", "/admin/../public"), Fit::Maybe);
        assert_eq!(fit("/admin/*", "/admin/a%20b"), Fit::Yes, "an escape that changes nothing for the pattern");
    }

    #[test]
    fn named_parts_may_be_narrowed() {
        let glob: Glob = "/repos/{owner}/{repo}/**".parse().expect("a pattern");
        let part = |text: &str| Part::try_from(text.to_owned()).expect("a part");
        let parts = Parts::from([("owner".to_owned(), vec![part("acme"), part("acme-*")])]);
        let fits = |path: &str| glob.fits(&readings(path).expect("readable"), &parts);
        assert_eq!((fits("/repos/acme/x"), fits("/repos/acme-labs/x/y")), (Fit::Yes, Fit::Yes));
        assert_eq!((fits("/repos/evil/x"), fits("/repos/ACME/x")), (Fit::No, Fit::Maybe));
        assert_eq!(glob.names().collect::<Vec<_>>(), ["owner", "repo"]);
        for bad in ["", "*", "**", "a/b", "{a}", "a*b*c"] {
            assert!(Part::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mistake_says_what_a_pattern_is() {
        for (text, error) in [
            ("repos", GlobError::NoSlash),
            ("/a b", GlobError::Character),
            ("/a%20b", GlobError::Character),
            ("/a//b", GlobError::Segment),
            ("/a/../b", GlobError::Segment),
            ("/a*b*c", GlobError::Stars),
            ("/x{a}", GlobError::Part),
            ("/{A}", GlobError::Part),
            ("/{a}/{a}", GlobError::Twice),
        ] {
            assert_eq!(text.parse::<Glob>(), Err(error), "{text}");
        }
        assert_eq!(format!("/{}", "a/".repeat(64)).parse::<Glob>(), Err(GlobError::Long));
    }

    proptest! {
        /// Against the plainest way to say it.
        #[test]
        fn it_matches_as_its_definition_says(glob in "/(a|b|\\*|\\*\\*)(/(a|b|\\*|\\*\\*)){0,4}", path in "/(a|b|c)(/(a|b|c)){0,5}") {
            fn slow(pattern: &[&str], given: &[&str]) -> bool {
                match pattern.split_first() {
                    None => given.is_empty(),
                    Some((&"**", rest)) => (0..=given.len()).any(|at| slow(rest, &given[at..])),
                    Some((one, rest)) => given.split_first().is_some_and(|(first, after)| (*one == "*" || one == first) && slow(rest, after)),
                }
            }
            let split = |text: &str| text.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
            let (pattern, given) = (split(&glob), split(&path));
            let expected = slow(&pattern.iter().map(String::as_str).collect::<Vec<_>>(), &given.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(fit(&glob, &path) == Fit::Yes, expected);
            prop_assert_eq!(glob.parse::<Glob>().expect("a pattern").to_string(), glob);
        }
    }
}
