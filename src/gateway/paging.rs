//! A part of a long list: what is looked for, where it begins, how much of it. Lists are in the order of their keys, so a cursor is one.

use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;

/// The most at a time.
pub(super) const MOST: usize = 1_000;
/// As much as anybody looks for.
const WORDS: usize = 200;
/// No key of a list is longer.
const CURSOR: usize = 256;

/// Which part.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Words, each of which stands somewhere in what is looked for; case doesn't matter.
    #[param(max_length = 200)]
    q: Option<String>,
    /// `next` of the answer before: goes on behind it.
    #[param(max_length = 256)]
    cursor: Option<String>,
    /// So many at a time.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What is looked for and how much of it, checked.
#[derive(Debug)]
pub(super) struct Wanted {
    words: Vec<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// One part of a list.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) rows: Vec<T>,
    /// The cursor of what follows.
    pub(super) next: Option<String>,
    /// All that is like that.
    pub(super) total: usize,
}

impl Part {
    /// With its bounds looked at.
    ///
    /// # Errors
    /// 400 for what is too long or too much.
    pub(super) fn wanted(self) -> Result<Wanted, Problem> {
        let Self { q, cursor, limit } = self;
        if q.as_ref().is_some_and(|text| text.chars().count() > WORDS) {
            return Err(Problem::malformed(format!("q is at most {WORDS} letters long")));
        }
        if cursor.as_ref().is_some_and(|text| text.chars().count() > CURSOR) {
            return Err(Problem::malformed("cursor is the next of the answer before"));
        }
        if limit.is_some_and(|limit| !(1..=MOST).contains(&limit)) {
            return Err(Problem::malformed(format!("limit is from 1 to {MOST}")));
        }
        let words = q.unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
        Ok(Wanted { words, cursor, limit })
    }
}

impl Wanted {
    /// So many at a time where nothing is said.
    pub(super) fn or(self, limit: usize) -> Self {
        Self { limit: self.limit.or(Some(limit)), ..self }
    }

    /// Whether each word stands in one of `texts`, which are made only where there is something to look for.
    pub(super) fn fits<T: AsRef<str>>(&self, texts: impl FnOnce() -> Vec<T>) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let texts = texts();
        self.words.iter().all(|word| texts.iter().any(|text| contains(text.as_ref(), word)))
    }

    /// The part of `all` that is wanted, where `key` orders them; all of it where no limit is set.
    pub(super) fn of<'a, T>(&self, all: impl Iterator<Item = T>, key: impl Fn(&T) -> &'a str) -> Found<T> {
        let (mut total, mut rows) = (0, Vec::new());
        for row in all {
            total += 1;
            if self.cursor.as_deref().is_none_or(|cursor| key(&row) > cursor) {
                rows.push(row);
            }
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        if more {
            // The first of them, in no order yet: of very many most are never sorted.
            rows.select_nth_unstable_by(limit, |one, two| key(one).cmp(key(two)));
            rows.truncate(limit);
        }
        rows.sort_unstable_by(|one, two| key(one).cmp(key(two)));
        let next = rows.last().filter(|_| more).map(|row| key(row).to_owned());
        Found { rows, next, total }
    }
}

/// Whether `word`, which is in lower case, stands in `text` in any case.
fn contains(text: &str, word: &str) -> bool {
    if text.is_ascii() {
        let (text, word) = (text.as_bytes(), word.as_bytes());
        return word.is_empty() || text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    }
    text.to_lowercase().contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(q: &str, cursor: Option<&str>, limit: Option<usize>) -> Wanted {
        Part { q: Some(q.to_owned()), cursor: cursor.map(str::to_owned), limit }.wanted().expect("it is within bounds")
    }

    fn part(wanted: &Wanted, all: &[&'static str]) -> (Vec<&'static str>, Option<String>, usize) {
        let fitting = all.iter().copied().filter(|name| wanted.fits(|| vec![*name]));
        let found = wanted.of(fitting, |name| *name);
        (found.rows, found.next, found.total)
    }

    #[test]
    fn a_list_is_told_in_parts_that_miss_nothing_and_tell_nothing_twice() {
        let all = ["d", "b", "a", "e", "c"];
        let (rows, next, total) = part(&wanted("", None, Some(2)), &all);
        assert_eq!((rows, next.as_deref(), total), (vec!["a", "b"], Some("b"), 5));
        let (rows, next, _) = part(&wanted("", Some("b"), Some(2)), &all);
        assert_eq!((rows, next.as_deref()), (vec!["c", "d"], Some("d")));
        // What came meanwhile before the cursor is not told, what comes behind it is.
        let (rows, next, _) = part(&wanted("", Some("d"), Some(2)), &["dd", "aa", "e"]);
        assert_eq!((rows, next), (vec!["dd", "e"], None));
        assert_eq!(part(&wanted("", None, None), &all).0, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn words_are_found_in_any_case_and_order() {
        let all = ["GitHub:alice", "slack:alice", "github:bob", "Straße"];
        assert_eq!(part(&wanted("ALICE  git", None, None), &all).0, ["GitHub:alice"]);
        assert_eq!(part(&wanted("straße", None, None), &all).0, ["Straße"]);
        assert_eq!(part(&wanted("github alice bob", None, None), &all).0, [""; 0]);
    }

    #[test]
    fn i7_what_is_asked_for_is_bounded() {
        let refused = |part: Part| part.wanted().is_err();
        assert!(refused(Part { limit: Some(0), ..Part::default() }) && refused(Part { limit: Some(1001), ..Part::default() }));
        assert!(refused(Part { q: Some("x".repeat(201)), ..Part::default() }));
        assert!(refused(Part { cursor: Some("x".repeat(257)), ..Part::default() }));
    }
}
