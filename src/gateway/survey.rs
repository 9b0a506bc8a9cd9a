//! `Survey`: what the log says of the rules, counted in one pass over its last days.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde::Deserialize;

use crate::audit::{self, Tail};
use crate::policy::Observations;

/// How much of the log is read: what is before it is not counted, and that is said.
const BYTES: u64 = 256 * 1024 * 1024;
/// How long what was counted is told again.
const FRESH: Duration = Duration::from_secs(60);
/// Kinds of requests that are looked at: what is counted stays in memory.
const KINDS: usize = 20_000;
/// Names of rules that are counted; there are no more than ten thousand at a time.
const RULES: usize = 20_000;

/// What was counted.
pub(crate) struct Survey {
    made: Instant,
    /// What was asked for.
    since: SystemTime,
    /// What was counted from.
    pub(crate) from: Timestamp,
    /// Whether that is as early as was asked for.
    pub(crate) whole: bool,
    /// By the rule's name.
    pub(crate) rules: HashMap<String, Matched>,
    /// Who went where.
    pub(crate) seen: Observations,
}

/// How often a rule had a say.
#[derive(Debug, Default, Clone)]
pub(crate) struct Matched {
    /// It let so many on.
    pub(crate) let_on: u64,
    /// It refused so many.
    pub(crate) refused: u64,
    /// It would have refused so many if it were enforced.
    pub(crate) would_refuse: u64,
    /// It would have held so many for a person.
    pub(crate) would_hold: u64,
    /// When it had a say last.
    pub(crate) last: Option<Timestamp>,
}

/// Any line.
#[derive(Deserialize)]
struct Told {
    time: Timestamp,
}

/// A line as far as it is about rules.
#[derive(Deserialize)]
struct Line {
    event: String,
    time: Timestamp,
    rule: Option<String>,
    would_refuse: Option<String>,
    would_hold: Option<String>,
}

impl Survey {
    /// Counts what the log in `folder` has from `since` on.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub(crate) fn make(folder: &Path, since: SystemTime) -> Result<Self, audit::Error> {
        let (mut tail, whole) = Tail::recent(folder, since, BYTES)?;
        let asked = Timestamp::try_from(since).unwrap_or(Timestamp::UNIX_EPOCH);
        let (rules, seen) = (HashMap::new(), Observations::new(KINDS));
        let mut survey = Self { made: Instant::now(), since, from: asked, whole, rules, seen };
        let mut first = !whole;
        while let Some(line) = tail.next_line(Duration::ZERO)? {
            if std::mem::take(&mut first) {
                survey.from = serde_json::from_str(&line).map_or(asked, |Told { time }| time);
            }
            survey.seen.take(&line, asked, None);
            survey.count(&line, asked);
        }
        Ok(survey)
    }

    /// Whether it was made a moment ago, of about the same time.
    pub(crate) fn serves(&self, since: SystemTime) -> bool {
        let apart = since.duration_since(self.since).or_else(|_| self.since.duration_since(since)).unwrap_or_default();
        self.made.elapsed() < FRESH && apart < FRESH
    }

    fn count(&mut self, line: &str, since: Timestamp) {
        if !line.contains(r#","rule":""#) && !line.contains(r#","would_"#) {
            return;
        }
        let Ok(Line { event, time, rule, would_refuse, would_hold }) = serde_json::from_str(line) else { return };
        if time < since {
            return;
        }
        let refused = event.ends_with("refuse");
        let mut note = |name: &str, count: fn(&mut Matched) -> &mut u64| {
            if self.rules.len() < RULES || self.rules.contains_key(name) {
                let matched = self.rules.entry(name.to_owned()).or_default();
                *count(matched) += 1;
                matched.last = matched.last.max(Some(time));
            }
        };
        rule.iter().for_each(|name| {
            note(name, if refused { |matched| &mut matched.refused } else { |matched| &mut matched.let_on });
        });
        would_refuse
            .iter()
            .flat_map(|names| names.split(", "))
            .for_each(|name| note(name, |matched| &mut matched.would_refuse));
        would_hold.iter().flat_map(|names| names.split(", ")).for_each(|name| note(name, |matched| &mut matched.would_hold));
    }
}
