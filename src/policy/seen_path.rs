//! Paths as the log has them, as patterns of rules: no wider than what was seen, and few.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Fit, Glob, readings};

/// More kinds of a segment than this are any.
const KINDS: usize = 8;
/// A rule with more paths than this is about what they begin with.
const PATHS: usize = 24;
/// Segments this long, with a digit in them, are somebody's number.
const LONG: usize = 16;
/// Paths with more segments are nobody's to speak of.
const SEGMENTS: usize = 48;
/// The log shows the first 2048 bytes of a path, escaped.
const CUT: usize = 1024;
/// How the log shows a path that is a secret.
const HIDDEN: &str = "/***";

/// The segments of a pattern.
pub(super) type Segments = Vec<String>;

/// The segments of a path, those that are somebody's number or that services read in several ways as `*`. `None` where no pattern is without
/// doubt about it: it is cut short or hidden in the log, or some service reads more or fewer segments.
pub(super) fn segments(path: &str) -> Option<Segments> {
    let path = path.split('?').next().unwrap_or_default();
    if path == HIDDEN || is_cut(path) {
        return None;
    }
    let mut given = path.strip_prefix('/')?.split('/').peekable();
    let mut segments = Segments::new();
    while let Some(segment) = given.next() {
        segments.push(if segment.is_empty() && given.peek().is_none() { String::new() } else { of_segment(segment)? });
    }
    let fits = |glob: Glob| readings(path).is_ok_and(|all| glob.fits(&all, &BTreeMap::new()) == Fit::Yes);
    let sound = segments.len() <= SEGMENTS && written(&segments).parse().is_ok_and(fits);
    sound.then_some(segments)
}

fn of_segment(segment: &str) -> Option<String> {
    let alone = format!("/{segment}");
    let read = readings(&alone).ok()?;
    if !read.iter().all(|reading| matches!(reading.strip_prefix('/'), Some(one) if !one.is_empty() && !one.contains('/'))) {
        return None;
    }
    let plain = read.iter().count() == 1 && !segment.contains(['*', '{', '}']) && alone.parse::<Glob>().is_ok();
    Some(if plain && !varies(segment) { segment.to_owned() } else { "*".to_owned() })
}

/// Whether the log cut it short, and marked it so.
fn is_cut(path: &str) -> bool {
    path.rsplit_once("...+")
        .is_some_and(|(known, left)| known.len() >= CUT && !left.is_empty() && left.bytes().all(|b| b.is_ascii_digit()))
}

fn varies(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let simple = segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let hexadecimal = segment.len() >= 8 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    simple && digits > 0 && (digits == segment.len() || segment.len() >= LONG || hexadecimal)
}

/// Where more than [`KINDS`] segments stand at one place, they are any.
fn folded(paths: BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let mut by_first: BTreeMap<Option<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for mut path in paths {
        let first = if path.is_empty() { None } else { Some(path.remove(0)) };
        by_first.entry(first).or_default().insert(path);
    }
    let many = by_first.keys().flatten().filter(|first| *first != "**" && !first.is_empty()).count() > KINDS;
    if many {
        let mut merged = BTreeSet::new();
        let taken = by_first.extract_if(.., |first, _| first.as_ref().is_some_and(|first| first != "**" && !first.is_empty()));
        taken.for_each(|(_, rests)| merged.extend(rests));
        by_first.entry(Some("*".to_owned())).or_default().extend(merged);
    }
    let mut all = BTreeSet::new();
    for (first, rests) in by_first {
        match first {
            None => all.extend([Vec::new()]),
            Some(first) => all.extend(folded(rests).into_iter().map(|mut rest| {
                rest.insert(0, first.clone());
                rest
            })),
        }
    }
    all
}

/// Paths in few words: what is left is as short as it must be for [`PATHS`].
pub(super) fn shortened(paths: BTreeSet<Segments>) -> Vec<String> {
    let mut paths = folded(paths);
    for depth in (0..=3).rev() {
        if paths.len() <= PATHS {
            break;
        }
        paths = paths
            .into_iter()
            .map(|path| if path.len() > depth { path.into_iter().take(depth).chain(["**".to_owned()]).collect() } else { path })
            .collect();
    }
    let narrow = |path: &&Segments| !paths.iter().any(|other| other != *path && covers(other, path));
    paths.iter().filter(narrow).map(|path| written(path)).collect()
}

/// Whether `wide` fits every path that `narrow` does.
fn covers(wide: &[String], narrow: &[String]) -> bool {
    match (wide.split_first(), narrow.split_first()) {
        (None, None) => true,
        (Some((any, _)), _) if any == "**" => true,
        (Some((one, rest)), Some((first, after))) => {
            let alike = one == first || (one == "*" && first != "**" && !first.is_empty());
            alike && covers(rest, after)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn written(segments: &[String]) -> String {
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_segment_is_any_and_what_is_read_as_more_or_fewer_is_nobodys() {
        let long = format!("/deep{}", "/x".repeat(100));
        let cut = format!("/files/{}...+953", "a/".repeat(700));
        for (path, pattern) in [
            ("/user", Some("/user")),
            ("/", Some("/")),
            ("/a/b/", Some("/a/b/")),
            ("/caf%C3%A9", Some("/*")),
            ("/files/caf%C3%A9/x", Some("/files/*/x")),
            ("/files/a%20b", Some("/files/*")),
            ("/files/a.", Some("/files/*")),
            ("/x/{a}/***", Some("/x/*/*")),
            ("/items/17/0123456789abcdef", Some("/items/*/*")),
            ("/files/...", None),
            ("/bucket//key", None),
            ("/a/../b", None),
            ("/a%2fb", None),
            ("/a/%2e%2e/b", None),
            ("/a/b%3Fc/d", None),
            ("/a;v=1/;/b", None),
            ("/a%00", None),
            ("/***", None),
            ("*", None),
            (&long, None),
            (&cut, None),
        ] {
            assert_eq!(segments(path).map(|segments| written(&segments)).as_deref(), pattern, "{path}");
        }
    }

    #[test]
    fn what_another_covers_is_left_out() {
        let path = |text: &str| text.split('/').skip(1).map(str::to_owned).collect::<Segments>();
        for (wide, narrow, expected) in [
            ("/**", "/a/b", true),
            ("/a/**", "/a", true),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/", false),
            ("/a/*", "/a/**", false),
            ("/a/*", "/a/b/c", false),
            ("/*/c", "/a/c", true),
            ("/a/b", "/a/*", false),
        ] {
            assert_eq!(covers(&path(wide), &path(narrow)), expected, "{wide} {narrow}");
        }
        let all = ["/items/*", "/items/new", "/items/", "/*/old"].map(path);
        assert_eq!(shortened(all.into()), ["/*/old", "/items/", "/items/*"]);
    }
}
