//! The format of `agents.toml` and `passing.toml`: identities of callers, tokens as hashes.

use std::collections::HashSet;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::token::{Token, hex, unhex};
use crate::model::{AgentName, AmountError, HostTerm, IdError, ProviderId, Rate, UserName};
use crate::wording::Mistake;

/// Why the file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, or a key that does not belong there.
    #[error(transparent)]
    Syntax(#[from] Mistake),
    /// A name in it is not one.
    #[error("a name in it is not valid")]
    Name(#[from] IdError),
    /// A token hash is not 64 hexadecimal digits.
    #[error("the token_sha256 of {0} is not 64 hexadecimal digits")]
    Hash(AgentName),
    /// A host is not one.
    #[error("{0:?} is not a host such as `api.example.com`, nor `*.example.com` for all below it")]
    Host(String),
    /// A rate is not one.
    #[error("the rate of {agent} is not one")]
    Rate {
        /// Whose.
        agent: AgentName,
        /// What is wrong.
        #[source]
        cause: AmountError,
    },
    /// Two agents share a name.
    #[error("it names {0} twice")]
    Twice(AgentName),
    /// It could not be written as TOML.
    #[error("it cannot be written as TOML")]
    Write(#[from] toml::ser::Error),
}

/// One agent as the file keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: AgentName,
    /// SHA-256 of its token.
    pub token_sha256: [u8; 32],
    /// Whose connections it uses.
    pub user: Option<UserName>,
    /// Providers it may use; `None` = all.
    pub providers: Option<Vec<ProviderId>>,
    /// Hosts it may reach; `None` = all.
    pub hosts: Option<Vec<HostTerm>>,
    /// How many requests it may make; `None` = as many as it likes.
    pub rate: Option<Rate>,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// When it was added.
    pub created: Option<SystemTime>,
    /// Made for one `nexus run`: it does not count as "agents are defined".
    pub ephemeral: bool,
}

/// Of a list, in a line of the log.
const TOLD: usize = 20;

impl Registered {
    /// Whether both have one token.
    pub(crate) fn has_token_of(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        other.token_sha256.ct_eq(&self.token_sha256).into()
    }

    /// What it may do, for the log.
    pub(crate) fn limits_in_words(&self) -> String {
        fn list<T: ToString>(all: Option<&Vec<T>>) -> String {
            let Some(all) = all else { return "all".to_owned() };
            let some: Vec<String> = all.iter().take(TOLD).map(ToString::to_string).collect();
            let more = if all.len() > TOLD { ",…" } else { "" };
            format!("{}{more}", some.join(","))
        }
        let user = self.user.as_ref().map_or("-", |user| user.as_str());
        let rate = self.rate.map_or_else(|| "any".to_owned(), String::from);
        let expires = self.expires.and_then(|end| Timestamp::try_from(end).ok());
        let expires = expires.map_or_else(|| "never".to_owned(), |end| end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let (providers, hosts) = (list(self.providers.as_ref()), list(self.hosts.as_ref()));
        format!("user={user} providers={providers} hosts={hosts} rate={rate} expires={expires}")
    }

    /// An agent that shows `token` and that nothing is set for: it acts for nobody in particular, and neither its providers and hosts nor
    /// its time are limited.
    pub fn unlimited(name: AgentName, token: &Token) -> Self {
        Self {
            name,
            token_sha256: token.hash(),
            user: None,
            providers: None,
            hosts: None,
            rate: None,
            expires: None,
            created: None,
            ephemeral: false,
        }
    }

    /// Whether `text` is its token.
    pub fn has_token(&self, text: &str) -> bool {
        use subtle::ConstantTimeEq as _;
        super::token::hash(text).ct_eq(&self.token_sha256).into()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    agent: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    token_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ephemeral: bool,
}

/// Reads the text of such a file.
///
/// # Errors
/// As [`Error`] says; nothing is skipped.
pub fn read(text: &str) -> Result<Vec<Registered>, Error> {
    let document: Document = toml::from_str(text).map_err(|cause| Mistake::new(text, &cause))?;
    let agents: Vec<Registered> = document.agent.into_iter().map(from_row).collect::<Result<_, _>>()?;
    let mut names = HashSet::new();
    match agents.iter().find(|agent| !names.insert(&agent.name)) {
        Some(twice) => Err(Error::Twice(twice.name.clone())),
        None => Ok(agents),
    }
}

/// Writes the text of such a file.
///
/// # Errors
/// If TOML cannot hold a value.
pub fn write(agents: &[Registered]) -> Result<String, Error> {
    let document = Document { agent: agents.iter().map(to_row).collect() };
    Ok(toml::to_string_pretty(&document)?)
}

fn from_row(row: Row) -> Result<Registered, Error> {
    let name: AgentName = row.name.parse()?;
    let token_sha256 = unhex(&row.token_sha256).ok_or_else(|| Error::Hash(name.clone()))?;
    let providers = row.providers.map(|names| names.iter().map(|name| name.parse()).collect::<Result<_, _>>()).transpose()?;
    let host = |text: &String| text.parse::<HostTerm>().map_err(|_bad| Error::Host(text.clone()));
    let rate = |text: String| text.parse().map_err(|cause| Error::Rate { agent: name.clone(), cause });
    Ok(Registered {
        token_sha256,
        user: row.user.map(|user| user.parse()).transpose()?,
        providers,
        hosts: row.hosts.map(|hosts| hosts.iter().map(host).collect::<Result<_, _>>()).transpose()?,
        rate: row.rate.map(rate).transpose()?,
        expires: row.expires.map(SystemTime::from),
        created: row.created.map(SystemTime::from),
        ephemeral: row.ephemeral,
        name,
    })
}

fn to_row(agent: &Registered) -> Row {
    let time = |time: Option<SystemTime>| time.and_then(|time| Timestamp::try_from(time).ok());
    Row {
        name: agent.name.to_string(),
        token_sha256: hex(&agent.token_sha256),
        user: agent.user.as_ref().map(ToString::to_string),
        providers: agent.providers.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        hosts: agent.hosts.as_ref().map(|hosts| hosts.iter().map(ToString::to_string).collect()),
        rate: agent.rate.map(String::from),
        expires: time(agent.expires),
        created: time(agent.created),
        ephemeral: agent.ephemeral,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let agent = Registered {
            name: "ci".parse().expect("name"),
            token_sha256: [9; 32],
            user: Some("alice".parse().expect("user")),
            providers: Some(vec!["github".parse().expect("provider")]),
            hosts: Some(["api.github.com", "*.example.com"].map(|text| text.parse().expect("a host")).to_vec()),
            rate: Some("60/min".parse().expect("a rate")),
            expires: Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000)),
            created: None,
            ephemeral: false,
        };
        let text = write(std::slice::from_ref(&agent)).expect("text");
        assert_eq!(read(&text).expect("agents"), [agent]);
    }

    #[test]
    fn a_mistake_is_an_error_and_names_its_place() {
        let error = read("[[agent]]\nname = \"a\"\ntoken_sha256 = \"00\"\ntypo = 1\n").expect_err("unknown key");
        assert!(error.to_string().starts_with("line 4, column 1: unknown key `typo`"), "{error}");
        let hash = format!("token_sha256 = \"{}\"\n", "0".repeat(64));
        for (text, words) in [
            ("agent = 3".to_owned(), "line 1, column 9: found the number `3`, expected a list [ … ]"),
            ("[agent]\nname = \"a\"".to_owned(), "found a table, expected a list [ … ]"),
            ("agent = [3]".to_owned(), "found the number `3`, expected a table [ … ] of its own"),
            (format!("[[agent]]\nname = 3\n{hash}"), "line 2, column 8: found the number `3`, expected a text in quotes"),
            (format!("[[agent]]\nname = [\"a\"]\n{hash}"), "found a list, expected a text in quotes"),
            (format!("[[agent]]\nname = \"a\"\nproviders = \"x\"\n{hash}"), "found the text \"…\", expected a list [ … ]"),
            (format!("[[agent]]\n{hash}"), "missing key `name`"),
            (format!("[[agent]]\nname = \"a\"\nexpires = \"soon\"\n{hash}"), "line 3, column 11"),
        ] {
            let said = read(&text).expect_err(&text).to_string();
            assert!(said.contains(words), "{said}");
        }
        let row = format!("[[agent]]\nname = \"a\"\ntoken_sha256 = \"{}\"\n", "0".repeat(64));
        assert!(matches!(read(&row.repeat(2)), Err(Error::Twice(_))));
        assert!(matches!(read("[[agent]]\nname = \"a\"\ntoken_sha256 = \"00\"\n"), Err(Error::Hash(_))));
        assert!(matches!(read(&format!("{row}rate = \"60\"\n")), Err(Error::Rate { .. })));
        assert!(matches!(read(&format!("{row}hosts = [\"a.*.test\"]\n")), Err(Error::Host(_))));
    }
}
