//! `Happened`: one thing that a request did, as those who watch are told.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;

use foldhash::fast::{FixedState, RandomState};
use serde_json::{Map, Value};

use crate::audit::trailer::Trailer;

/// Requests under way whose first lines are remembered; past it the oldest are told by their last line alone.
const BEGUN: usize = 10_000;

/// A request that began or ended.
#[derive(Debug)]
pub(crate) struct Happened {
    /// The number of its line.
    pub(crate) seq: u64,
    /// The request's id.
    pub(crate) id: Box<str>,
    /// Whether it has ended.
    pub(crate) ended: bool,
    /// Which requests stay where not all can: those whose number is divisible, so that of each both lines stay, or none.
    pub(crate) bucket: u64,
    /// A JSON object: what the log says of the request so far, without what only the chain needs.
    pub(crate) json: String,
    words: Map<String, Value>,
}

const INTERCEPT: &str = "intercept";

/// Which requests somebody watches; what is `None` holds for every one.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Whose.
    pub(crate) agent: Option<String>,
    /// The host, or `*.example.com` for all names below it.
    pub(crate) host: Option<String>,
    /// Whose service.
    pub(crate) provider: Option<String>,
    /// What was decided.
    pub(crate) verdict: Option<String>,
    /// Answered with this status or a higher one.
    pub(crate) min_status: Option<u16>,
    /// Words that all stand somewhere in it, in small letters.
    pub(crate) text: Vec<String>,
}

impl Watched {
    /// Whether `happened` is watched.
    pub(crate) fn has(&self, happened: &Happened) -> bool {
        let is = |name: &str, wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| happened.text(name) == wanted);
        // A CONNECT that was opened is told by the requests inside.
        (self.verdict.is_some() || happened.text("verdict") != INTERCEPT)
            && is("agent", &self.agent)
            && is("provider", &self.provider)
            && is("verdict", &self.verdict)
            && self.host.as_deref().is_none_or(|host| is_at(happened.text("host"), host))
            && self.min_status.is_none_or(|least| happened.status() >= u64::from(least))
            && self.text.iter().all(|word| happened.says(word))
    }
}

/// Whether `host` is `wanted`, or a name below it where that begins with `*.`.
fn is_at(host: &str, wanted: &str) -> bool {
    match wanted.strip_prefix('*') {
        Some(ending) if ending.starts_with('.') => host.len() > ending.len() && host.ends_with(ending),
        _ => host == wanted,
    }
}

/// Where words are looked for.
const SAID: [&str; 10] = ["agent", "method", "host", "path", "provider", "connection", "verdict", "rule", "refusal", "id"];

impl Happened {
    /// The beginning or the end of request `number`.
    #[cfg(test)]
    pub(crate) fn example(number: u64, ended: bool) -> Self {
        let id: Box<str> = format!("ID{number}").into();
        let (bucket, json) = (bucket(&id), "{}".to_owned());
        Self { seq: number, bucket, id, ended, json, words: Map::new() }
    }

    /// A request of which the log has no line yet, as `words` tell of it.
    pub(crate) fn waiting(id: &str, words: Map<String, Value>) -> Self {
        let json = Value::Object(words.clone()).to_string();
        Self { seq: 0, bucket: bucket(id), id: id.into(), ended: false, json, words }
    }

    fn text(&self, name: &str) -> &str {
        self.words.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn status(&self) -> u64 {
        self.words.get("status").and_then(Value::as_u64).unwrap_or_default()
    }

    fn says(&self, word: &str) -> bool {
        let notes = || self.words.get("notes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let contains = |text: &str| text.to_lowercase().contains(word);
        SAID.iter().any(|name| contains(self.text(name))) || notes().any(contains) || self.status().to_string() == *word
    }
}

/// Joins what both lines of a request say.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    begun: HashMap<Box<str>, Map<String, Value>, RandomState>,
    /// In the order in which they began; some may have ended.
    order: VecDeque<Box<str>>,
}

impl Joiner {
    /// What `line` tells; `None` where it is none of a request.
    pub(super) fn take(&mut self, line: &str) -> Option<Happened> {
        let seq = Trailer::read(line.as_bytes())?.link.seq;
        let mut words: Map<String, Value> = serde_json::from_str(line).ok()?;
        for chain in ["v", "src", "prev"] {
            words.shift_remove(chain);
        }
        let text = |name: &str| words.get(name).and_then(Value::as_str);
        let id: Box<str> = text("id")?.into();
        let ended = match text("event")? {
            "open" | "tunnel_open" => false,
            "close" | "tunnel_close" | "refuse" | "tunnel_refuse" => true,
            _ => return None,
        };
        let bucket = bucket(&id);
        if ended {
            if let Some(mut both) = self.begun.remove(&id) {
                both.insert("began".to_owned(), both.get("time").cloned().unwrap_or_default());
                both.extend(words);
                words = both;
            }
        } else {
            self.remember(id.clone(), words.clone());
        }
        let json = serde_json::to_string(&words).ok()?;
        Some(Happened { seq, id, ended, bucket, json, words })
    }

    fn remember(&mut self, id: Box<str>, words: Map<String, Value>) {
        self.order.push_back(id.clone());
        self.begun.insert(id, words);
        while self.begun.len() > BEGUN {
            let Some(oldest) = self.order.pop_front() else { break };
            self.begun.remove(&oldest);
        }
        if self.order.len() > 2 * BEGUN {
            self.order.retain(|id| self.begun.contains_key(id));
        }
    }
}

/// Whether a line is of a CONNECT that was opened, without reading it.
pub(super) fn is_opened(line: &str) -> bool {
    line.contains(r#""verdict":"intercept""#)
}

/// The number of a request, the same in every process.
pub(super) fn bucket(id: &str) -> u64 {
    FixedState::with_seed(0).hash_one(id)
}

/// The id that stands near the beginning of a line, and whether the line is the request's last; read without the rest of it.
pub(super) fn identity(line: &str) -> Option<(&str, bool)> {
    let rest = line.strip_prefix(r#"{"v":1,"event":""#)?;
    let (event, rest) = rest.split_once('"')?;
    let (id, _) = rest.strip_prefix(r#","id":""#)?.split_once('"')?;
    Some((id, !event.ends_with("open")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, event: &str, more: &str) -> String {
        let zeros = "0".repeat(64);
        format!(
            r#"{{"v":1,"event":"{event}","id":"ID{}","time":"2026-01-01T00:00:0{seq}Z"{more},"src":"a:1","seq":{seq},"prev":"{zeros}"}}"#,
            seq.div_ceil(2)
        )
    }

    #[test]
    fn the_last_line_tells_what_the_first_one_said() {
        let mut joiner = Joiner::default();
        let begun = joiner.take(&line(1, "open", r#","agent":"ci","rule":"r","host":"a.example""#)).expect("a request");
        let ended = joiner.take(&line(2, "close", r#","agent":"ci","status":204"#)).expect("a request");
        assert_eq!((begun.ended, ended.ended, begun.bucket), (false, true, ended.bucket));
        let said: Value = serde_json::from_str(&ended.json).expect("JSON");
        assert_eq!((&said["rule"], &said["status"], &said["event"]), (&"r".into(), &204.into(), &"close".into()));
        assert_eq!((&said["began"], &said["seq"]), (&"2026-01-01T00:00:01Z".into(), &2.into()));
        assert!(said.get("prev").is_none() && joiner.begun.is_empty());
        assert!(joiner.take(&line(3, "start", "")).is_none());
        assert!(joiner.take("{").is_none() && joiner.take("").is_none());
    }

    #[test]
    fn what_is_watched_is_told() {
        let mut joiner = Joiner::default();
        let more =
            r#","agent":"ci","host":"api.a.example","path":"/Caf\u00c9","verdict":"refuse","status":403,"notes":["no_rule"]"#;
        let one = joiner.take(&line(1, "refuse", more)).expect("a request");
        let some = |text: &str| Some(text.to_owned());
        let has = |watched: Watched| watched.has(&one);
        assert!(has(Watched::default()) && has(Watched { agent: some("ci"), min_status: Some(403), ..Watched::default() }));
        assert!(has(Watched { host: some("*.a.example"), text: vec!["café".into(), "no_rule".into()], ..Watched::default() }));
        let opened = joiner.take(&line(3, "tunnel_close", r#","verdict":"intercept""#)).expect("a CONNECT");
        let asked = Watched { verdict: some("intercept"), ..Watched::default() };
        assert!(
            !Watched::default().has(&opened) && asked.has(&opened) && is_opened(&line(3, "x", r#","verdict":"intercept""#))
        );
        for not in [
            Watched { agent: some("c"), ..Watched::default() },
            Watched { host: some("*.api.a.example"), ..Watched::default() },
            Watched { host: some("a.example"), ..Watched::default() },
            Watched { min_status: Some(404), ..Watched::default() },
            Watched { verdict: some("pass"), ..Watched::default() },
            Watched { text: vec!["403".into(), "zzz".into()], ..Watched::default() },
        ] {
            assert!(!not.has(&one), "{not:?}");
        }
    }

    #[test]
    fn i7_what_never_ends_is_forgotten() {
        let mut joiner = Joiner::default();
        for at in 0..3 * BEGUN as u64 {
            joiner.take(&line(2 * at + 1, "open", "")).expect("a request");
        }
        assert!(joiner.begun.len() <= BEGUN && joiner.order.len() <= 2 * BEGUN);
    }

    #[test]
    fn a_line_is_known_by_its_beginning() {
        assert_eq!(identity(&line(1, "open", "")), Some(("ID1", false)));
        assert_eq!(identity(&line(2, "tunnel_close", "")), Some(("ID1", true)));
        assert_eq!(identity(r#"{"v":1,"event":"start","time":"x"}"#), None);
    }
}
