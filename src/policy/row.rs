//! `Row`: one `[[rule]]` as it is written.

use std::time::SystemTime;

use bytesize::ByteSize;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize};

use super::terms::{AgentTerm, ContentTerm, MethodTerm, ProviderTerm, one_or_more};
use super::window::Window;
use crate::model::{Glob, HostTerm, Parts, Preset, Rate, UserName, Volume, Wait};

/// One `[[rule]]`: what is left out speaks of everything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Row {
    /// What records and refusals call it; without one it is its file and line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Of which agents.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentTerm>,
    /// Of agents that act for these persons.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    /// To which services of the catalogue, at the hosts and paths that their files name.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub provider: Vec<ProviderTerm>,
    /// To which hosts.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostTerm>,
    /// To which ports.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// By which methods.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<MethodTerm>,
    /// To which paths.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Glob>,
    /// What the named parts of the paths may be.
    #[serde(skip_serializing_if = "Parts::is_empty")]
    pub parts: Parts,
    /// With a body of which type.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub content_types: Vec<ContentTerm>,
    /// With a body of more bytes than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larger_than: Option<ByteSize>,
    /// With a body of fewer bytes than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smaller_than: Option<ByteSize>,
    /// At which time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Window>,
    /// What of the provider is allowed, by its file; all else of it is denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// What becomes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Requests in a span of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many of them may come at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Requests under way at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Bytes in a span of time, both ways together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Volume>,
    /// Requests in a day of UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
    /// What is counted together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
    /// How long a request waits for a person's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Wait>,
    /// What such a request does, for the person who is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// When the rule ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
    /// Whether it is enforced, or only told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What callers that are refused are told besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Sentence>,
    /// Where it stands.
    #[serde(skip)]
    pub(super) line: Line,
}

/// A line, from 1. It is no part of what a rule means, so it is not shown with it.
#[derive(Clone, Copy, Default)]
pub(super) struct Line(pub(super) usize);

impl PartialEq for Line {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("_")
    }
}

/// What becomes of a request that a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It goes on.
    Allow,
    /// It is refused.
    Deny,
    /// It goes on while there are not too many of them.
    Limit,
    /// It waits until a person lets it go on.
    Approve,
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            "limit" => Ok(Self::Limit),
            "approve" => Ok(Self::Approve),
            _ => Err(serde::de::Error::custom("expected one of `allow`, `deny`, `limit`, `approve`")),
        }
    }
}

/// What a limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each agent has the whole limit.
    #[default]
    Agent,
    /// All agents share it.
    Rule,
}

/// Whether a rule is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It decides.
    #[default]
    Enforce,
    /// It is noted in the log whom it would have refused, and the next rule decides.
    Report,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $most:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = &'static str;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                let printable = text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\'));
                if printable && text.trim() == text && (1..=$most).contains(&text.len()) { Ok(Self(text)) } else { Err($rule) }
            }
        }

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text_type!(
    /// What a rule is called.
    Name, 64, "a name is 1 to 64 visible letters of ASCII and spaces between them, without quotes and backslashes"
);
text_type!(
    /// A word to the person who is asked.
    Summary, 300, "a summary is one line of 1 to 300 letters of ASCII, without quotes and backslashes"
);
text_type!(
    /// A word to callers.
    Sentence, 300, "a reason is one line of 1 to 300 letters of ASCII, without quotes and backslashes"
);

/// A person for whom an agent acts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct User(pub(super) UserName);

impl TryFrom<String> for User {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|_no_name| "expected the name of a person, as `nexus agent add --user` takes it")
    }
}

impl From<User> for String {
    fn from(user: User) -> Self {
        user.0.to_string()
    }
}

/// A moment: `2027-01-01T00:00:00Z`, or the beginning of a day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Moment(Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(written) => written.to_string(),
            _ => String::new(),
        };
        let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
        let moment = text.parse().ok().or_else(|| day().map(|day| day.timestamp()));
        let wrong = "expected a moment such as 2027-01-01T00:00:00Z, or a day such as 2027-01-01";
        moment.map(Self).ok_or_else(|| serde::de::Error::custom(wrong))
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.0.to_string()
    }
}

impl Moment {
    pub(super) fn time(self) -> SystemTime {
        self.0.into()
    }

    pub(super) fn is_past(self, now: SystemTime) -> bool {
        Timestamp::try_from(now).map_or(true, |now| now >= self.0)
    }
}

impl Row {
    /// All that it says, as TOML, each key in a line of its own; a list of one word is that word.
    pub(crate) fn text(&self) -> String {
        // A row holds nothing that JSON can't, and there its keys stay in their order.
        let Ok(serde_json::Value::Object(keys)) = serde_json::to_value(self) else { return String::new() };
        let mut text = "[[rule]]\n".to_owned();
        for (key, value) in keys {
            let value = match value {
                serde_json::Value::Array(mut words) if words.len() == 1 => words.remove(0),
                value => value,
            };
            if let Ok(value) = toml::Value::try_from(value) {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        text
    }

    /// What of its keys doesn't go together.
    pub(super) fn check(&self) -> Result<(), String> {
        let limits = [self.rate.is_some(), self.concurrency.is_some(), self.bytes.is_some(), self.per_day.is_some()];
        let limited = limits.contains(&true);
        let wrong = |why: &str| Err(why.to_owned());
        match (self.action, self.preset) {
            (None, None) => return wrong("a rule needs an `action`: `allow`, `deny`, `limit` or `approve`"),
            (Some(Action::Approve), Some(_)) => {
                return wrong("a `preset` says itself what is denied: let a rule before it say what is to be approved");
            }
            (Some(Action::Deny), Some(_)) => return wrong("a `preset` says itself what is denied: leave `action` out"),
            (Some(Action::Limit), _) if !limited => {
                return wrong("`limit` needs `rate`, `concurrency`, `bytes` or `per_day`");
            }
            (Some(Action::Limit), _) => {}
            _ if limited || self.burst.is_some() || self.per.is_some() => {
                return wrong("`rate`, `burst`, `concurrency`, `bytes`, `per_day` and `per` go with action = `limit`");
            }
            _ => {}
        }
        if self.action != Some(Action::Approve) && (self.timeout.is_some() || self.summary.is_some()) {
            return wrong("`timeout` and `summary` go with action = `approve`");
        }
        if self.preset.is_some() && self.provider.contains(&ProviderTerm::Any) {
            return wrong("a `preset` is of providers that are named, not of `*`");
        }
        if self.preset.is_some() && !self.provider.iter().any(|term| matches!(term, ProviderTerm::One(_))) {
            return wrong("a `preset` is a provider's: name it with `provider`");
        }
        self.check_request().and_then(|()| self.check_numbers())
    }

    fn check_request(&self) -> Result<(), String> {
        if self.preset.is_some() && !(self.methods.is_empty() && self.paths.is_empty()) {
            return Err(
                "a `preset` says itself which methods and paths: leave `methods` and `paths` out, or write another rule".into(),
            );
        }
        for name in self.parts.keys() {
            if self.paths.is_empty() || !self.paths.iter().all(|path| path.names().any(|own| own == name)) {
                return Err(format!("`parts` narrows {{{name}}}, which not every one of `paths` has"));
            }
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), String> {
        if self.ports.contains(&0) {
            return Err("0 is not a port".into());
        }
        if self.burst.is_some() && self.rate.is_none() {
            return Err("`burst` goes with `rate`".into());
        }
        if [self.burst, self.concurrency, self.per_day].iter().flatten().any(|count| !(1..=1_000_000).contains(count)) {
            return Err("`burst`, `concurrency` and `per_day` are from 1 to 1000000; to refuse all, `deny`".into());
        }
        if let (Some(more), Some(fewer)) = (self.larger_than, self.smaller_than)
            && fewer.as_u64() <= more.as_u64().saturating_add(1)
        {
            return Err("no body is both `larger_than` and `smaller_than` these".into());
        }
        Ok(())
    }
}
