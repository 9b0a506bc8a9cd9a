//! Rules from the text of a file, each with the line where it stands.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::row::{Line, Row};
use super::rule::Rule;
use crate::wording::Mistake;

/// How many rules there may be in all files together.
pub const MAX_RULES: usize = 10_000;

/// Why rules are refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// At one place of a file.
    #[error("{file}: {mistake}")]
    Mistake {
        /// The file.
        file: String,
        /// Where, and what is wrong. No cause: it is all in the text, and would be said twice.
        mistake: Mistake,
    },
    /// More than ten thousand.
    #[error("there are more than {MAX_RULES} rules")]
    TooMany,
}

/// The file of a policy: rules and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    rule: Vec<Row>,
}

/// Any file with rules in it.
#[derive(Deserialize)]
struct Places {
    #[serde(default)]
    rule: Vec<Spanned<IgnoredAny>>,
}

/// Reads a file of rules.
///
/// # Errors
/// The first mistake.
pub fn read(file: &str, text: &str) -> Result<Vec<Row>, Error> {
    let wrong = |mistake| Error::Mistake { file: file.to_owned(), mistake };
    let document: Document = toml::from_str(text).map_err(|cause| wrong(Mistake::new(text, &cause)))?;
    let mut rows = document.rule;
    locate(&mut rows, text).map_err(wrong)?;
    Ok(rows)
}

/// Tells each of `rows`, which were read from `text`, its line, and checks it.
///
/// # Errors
/// The first whose keys don't go together.
pub(crate) fn locate(rows: &mut [Row], text: &str) -> Result<(), Mistake> {
    let places: Vec<usize> = toml::from_str::<Places>(text)
        .map(|places| places.rule.iter().map(|rule| rule.span().start).collect())
        .map_err(|cause| Mistake::new(text, &cause))?;
    for (row, start) in rows.iter_mut().zip(places) {
        let before = text.get(..start).unwrap_or(text);
        row.line = Line(before.matches('\n').count() + 1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        row.check().map_err(|what| Mistake { line: row.line.0, column, what })?;
    }
    Ok(())
}

/// Makes rules of the rows of all files, in their order.
///
/// # Errors
/// Two of one name; too many.
pub(crate) fn gather(files: Vec<(String, Vec<Row>)>) -> Result<Vec<Arc<Rule>>, Error> {
    let mut rules: Vec<Arc<Rule>> = Vec::new();
    let mut names: HashMap<Arc<str>, (String, usize)> = HashMap::new();
    let mut counters: HashMap<Arc<str>, usize> = HashMap::new();
    for (file, rows) in files {
        let shared: Arc<str> = file.as_str().into();
        for row in rows {
            let mut rule = Rule::new(row, &shared);
            let same = counters.entry(Arc::clone(rule.counter())).or_insert(0);
            if *same > 0 {
                rule.tell_apart(*same);
            }
            *same += 1;
            let (_, line) = rule.place();
            if let Some((other, at)) = names.insert(Arc::clone(rule.name()), (file.clone(), line)) {
                let what = format!("a rule of the same name stands in {other}, line {at}; records must tell them apart");
                return Err(Error::Mistake { file, mistake: Mistake { line, column: 1, what } });
            }
            rules.push(Arc::new(rule));
        }
    }
    if rules.len() > MAX_RULES { Err(Error::TooMany) } else { Ok(rules) }
}
