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
    /// So many went on.
    pub(crate) let_on: u64,
    /// It refused so many, by itself, by what it limits or by the person whom it asked.
    pub(crate) refused: u64,
    /// So many did neither: something else refused them, Nexus answered them itself, or their callers left before anything was decided.
    pub(crate) otherwise: u64,
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
    #[serde(default)]
    verdict: String,
    rule: Option<String>,
    #[serde(default)]
    notes: Vec<String>,
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

    /// Counts the line that says which rule decided a request: its first one, or its only one. Other lines name rules as well: what people
    /// answered, and a CONNECT that was opened, whose requests name them again.
    fn count(&mut self, line: &str, since: Timestamp) {
        if !line.contains(r#","rule":""#) && !line.contains(r#","would_"#) {
            return;
        }
        let Ok(line) = serde_json::from_str::<Line>(line) else { return };
        if line.time < since || line.verdict == "intercept" {
            return;
        }
        let Some(became) = became(&line) else { return };
        let mut note = |name: &str, count: Count| {
            if self.rules.len() < RULES || self.rules.contains_key(name) {
                let matched = self.rules.entry(name.to_owned()).or_default();
                *count(matched) += 1;
                matched.last = matched.last.max(Some(line.time));
            }
        };
        let each = |names: &Option<String>, note: &mut dyn FnMut(&str)| {
            names.iter().flat_map(|names| names.split(", ")).for_each(note);
        };
        line.rule.iter().for_each(|name| note(name, became));
        each(&line.would_refuse, &mut |name| note(name, |matched| &mut matched.would_refuse));
        each(&line.would_hold, &mut |name| note(name, |matched| &mut matched.would_hold));
    }
}

/// Where something is counted.
type Count = fn(&mut Matched) -> &mut u64;

/// What became of the request that `line` is the first or the only one of.
fn became(line: &Line) -> Option<Count> {
    // A record that is refused may name the rule that let it on, for something else refused it.
    let by_rule = || line.notes.iter().any(|note| note == "rule" || note.starts_with("approval_"));
    match line.event.as_str() {
        "open" | "tunnel_open" if line.verdict == "answer" => Some(|matched| &mut matched.otherwise),
        "open" | "tunnel_open" => Some(|matched| &mut matched.let_on),
        "refuse" | "tunnel_refuse" if by_rule() => Some(|matched| &mut matched.refused),
        "refuse" | "tunnel_refuse" => Some(|matched| &mut matched.otherwise),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_counted_once_for_each_request_and_for_nothing_else() {
        let (now, seen) = (Timestamp::UNIX_EPOCH, Observations::new(KINDS));
        let mut survey =
            Survey { made: Instant::now(), since: SystemTime::UNIX_EPOCH, from: now, whole: true, rules: HashMap::new(), seen };
        for (event, more) in [
            ("open", r#","verdict":"inject""#),
            ("close", r#","verdict":"inject""#),
            ("open", r#","verdict":"answer""#),
            ("tunnel_open", r#","verdict":"tunnel","would_refuse":"s, t","would_hold":"t""#),
            ("tunnel_open", r#","verdict":"intercept","would_refuse":"s""#),
            ("refuse", r#","verdict":"refuse","notes":["rule"]"#),
            ("refuse", r#","verdict":"refuse","notes":["held","approval_denied"]"#),
            ("refuse", r#","verdict":"refuse","refusal":"auth_required","notes":["pending"]"#),
            ("refuse", r#","notes":["held","abandoned"]"#),
            ("approval", r#","answer":"allow_once""#),
            ("approval_revoked", ""),
        ] {
            let line = format!(r#"{{"v":1,"event":"{event}","time":"2026-01-01T00:00:00Z","rule":"r"{more}}}"#);
            survey.count(&line, now);
            survey.count(&line, "2026-01-02T00:00:00Z".parse().expect("a time"));
        }
        let counted = |name: &str| {
            survey.rules.get(name).map(|rule| (rule.let_on, rule.refused, rule.otherwise, rule.would_refuse, rule.would_hold))
        };
        assert_eq!(counted("r"), Some((2, 2, 3, 0, 0)));
        assert_eq!((counted("s"), counted("t")), (Some((0, 0, 0, 1, 0)), Some((0, 0, 0, 1, 1))));
    }
}
