//! Keys of the gateway: who may ask for what. Kept as hashes in `gateway-keys.toml`.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::agent::{Token, hash, hex, unhex};
use crate::model::{AgentName, ConnectionId, IdError, ProviderId, UserName};
use crate::wording::Mistake;

/// More keys than anybody gives out.
const KEYS: usize = 10_000;

/// Why the file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not TOML, or a key that does not belong there.
    #[error(transparent)]
    Syntax(#[from] Mistake),
    /// A name in it is not one.
    #[error("a name in it is not valid")]
    Name(#[from] IdError),
    /// A hash is not 64 hexadecimal digits.
    #[error("the key_sha256 of {0} is not 64 hexadecimal digits")]
    Hash(AgentName),
    /// Two keys share a name.
    #[error("it names {0} twice")]
    Twice(AgentName),
    /// More than there can be.
    #[error("it holds more than {KEYS} keys")]
    TooMany,
    /// Only an app's key can be bound to a person, and an administrator's to nothing.
    #[error("{0} is bound to a user, which only a key of kind app can be, or to providers, which no key of kind admin can be")]
    Bound(AgentName),
    /// It could not be written as TOML.
    #[error("it cannot be written as TOML")]
    Write(#[from] toml::ser::Error),
}

/// What a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Everything but credentials.
    Admin,
    /// A proxy elsewhere: it may fetch credentials.
    Node,
    /// It may start and watch connections, and gets placeholders.
    App,
}

impl Kind {
    /// `admin`, `node` or `app`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Node => "node",
            Self::App => "app",
        }
    }
}

/// One key as the file keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: AgentName,
    /// What it is good for.
    pub kind: Kind,
    /// SHA-256 of it.
    pub key_sha256: [u8; 32],
    /// Whose connections alone it sees.
    pub user: Option<UserName>,
    /// Providers it may use; `None` = all.
    pub providers: Option<Vec<ProviderId>>,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// When it was made.
    pub created: Option<SystemTime>,
}

impl Key {
    /// Whether it may use `provider`.
    pub(crate) fn may_use(&self, provider: &ProviderId) -> bool {
        self.providers.as_ref().is_none_or(|names| names.contains(provider))
    }

    /// Whether it may ask for `user`'s connections, in whichever way the person is called.
    pub(crate) fn acts_for(&self, user: Option<&UserName>) -> bool {
        self.user.is_none() || UserName::same(self.user.as_ref(), user)
    }

    /// Whether it may see `connection`: one bound to a person sees that person's and those of nobody.
    pub(crate) fn sees(&self, connection: &ConnectionId) -> bool {
        self.may_use(connection.provider()) && connection.is_open_to(self.user.as_ref())
    }

    /// Whether its time is up.
    pub fn expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }
}

/// All keys of one moment; swapped whole when the file changes.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<Arc<Key>>);

impl Keys {
    /// Those of the file.
    pub(crate) fn new(rows: Vec<Key>) -> Self {
        Self(rows.into_iter().map(Arc::new).collect())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a key with this hash is one of them, still good or not.
    pub(crate) fn know(&self, shown: &[u8; 32]) -> bool {
        self.0.iter().any(|known| shown.ct_eq(&known.key_sha256).into())
    }

    /// Whether `key` is one of them as it was.
    pub(super) fn has(&self, key: &Key, now: SystemTime) -> bool {
        !key.expired(now) && self.0.iter().any(|known| **known == *key)
    }

    /// Whether `name` is that of an administrator's.
    pub(super) fn administers(&self, name: &str, now: SystemTime) -> bool {
        self.0.iter().any(|key| key.kind == Kind::Admin && key.name.as_str() == name && !key.expired(now))
    }

    /// The key that `text` is. All hashes are compared, each whole: how long it takes doesn't tell how near a guess came.
    pub(super) fn find(&self, text: &str, now: SystemTime) -> Option<Arc<Key>> {
        let shown = hash(text);
        let mut place = u32::MAX;
        for (number, key) in (0..).zip(&self.0) {
            place.conditional_assign(&number, shown.ct_eq(&key.key_sha256));
        }
        self.0.get(usize::try_from(place).ok()?).filter(|key| !key.expired(now)).cloned()
    }
}

/// The key of this machine's command line, drawn at each start: who can read the home folder may administer.
pub(crate) struct OwnKey([u8; 32]);

impl OwnKey {
    /// Takes the hash of `token`, which is written down beside the address.
    pub(crate) fn of(token: &Token) -> Self {
        Self(token.hash())
    }

    pub(super) fn is(&self, text: &str) -> bool {
        hash(text).ct_eq(&self.0).into()
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OwnKey(..)")
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    key: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    kind: Kind,
    key_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
}

/// Reads the text of such a file.
///
/// # Errors
/// As [`Error`] says; nothing is skipped.
pub(crate) fn read(text: &str) -> Result<Vec<Key>, Error> {
    let document: Document = toml::from_str(text).map_err(|cause| Mistake::new(text, &cause))?;
    let keys: Vec<Key> = document.key.into_iter().map(from_row).collect::<Result<_, _>>()?;
    if keys.len() > KEYS {
        return Err(Error::TooMany);
    }
    for (index, key) in keys.iter().enumerate() {
        if keys.iter().skip(index + 1).any(|other| other.name == key.name) {
            return Err(Error::Twice(key.name.clone()));
        }
        if key.kind != Kind::App && key.user.is_some() || key.kind == Kind::Admin && key.providers.is_some() {
            return Err(Error::Bound(key.name.clone()));
        }
    }
    Ok(keys)
}

/// Writes the text of such a file.
///
/// # Errors
/// If TOML cannot hold a value.
pub(crate) fn write(keys: &[Key]) -> Result<String, Error> {
    Ok(toml::to_string_pretty(&Document { key: keys.iter().map(to_row).collect() })?)
}

fn from_row(row: Row) -> Result<Key, Error> {
    let name: AgentName = row.name.parse()?;
    let key_sha256 = unhex(&row.key_sha256).ok_or_else(|| Error::Hash(name.clone()))?;
    let providers = row.providers.map(|names| names.iter().map(|name| name.parse()).collect::<Result<_, _>>()).transpose()?;
    Ok(Key {
        kind: row.kind,
        key_sha256,
        user: row.user.map(|user| user.parse()).transpose()?,
        providers,
        expires: row.expires.map(SystemTime::from),
        created: row.created.map(SystemTime::from),
        name,
    })
}

fn to_row(key: &Key) -> Row {
    let time = |time: Option<SystemTime>| time.and_then(|time| Timestamp::try_from(time).ok());
    Row {
        name: key.name.to_string(),
        kind: key.kind,
        key_sha256: hex(&key.key_sha256),
        user: key.user.as_ref().map(ToString::to_string),
        providers: key.providers.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        expires: time(key.expires),
        created: time(key.created),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(name: &str, token: &Token) -> Key {
        Key {
            name: name.parse().expect("a name"),
            kind: Kind::App,
            key_sha256: token.hash(),
            user: Some("alice".parse().expect("a name")),
            providers: Some(vec!["github".parse().expect("a name")]),
            expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            created: None,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let token = Token::key().expect("random numbers");
        let bare =
            Key { kind: Kind::Node, user: None, providers: None, expires: None, ..key("edge", &Token::key().expect("random")) };
        let keys = [key("crew", &token), bare];
        let text = write(&keys).expect("text");
        assert!(!text.contains(token.text().expose()), "{text}");
        assert_eq!(read(&text).expect("keys"), keys);
    }

    #[test]
    fn a_mistake_is_an_error() {
        let row = format!("[[key]]\nname = \"a\"\nkind = \"app\"\nkey_sha256 = \"{}\"\n", "0".repeat(64));
        assert_eq!(read(&row).expect("a key").len(), 1);
        assert!(matches!(read(&row.repeat(2)), Err(Error::Twice(_))));
        assert!(matches!(read(&row.replace("\"a\"", "\"a b\"")), Err(Error::Name(_))));
        assert!(matches!(read(&row.replace('0', "x")), Err(Error::Hash(_))));
        for text in [row.replace("app", "owner"), format!("{row}typo = 1\n"), row.replace("kind", "kin")] {
            assert!(matches!(read(&text), Err(Error::Syntax(_))), "{text}");
        }
        let of_providers = |kind: &str| format!("{}providers = [\"github\"]\n", row.replace("app", kind));
        assert!(read(&of_providers("node")).is_ok() && matches!(read(&of_providers("admin")), Err(Error::Bound(_))));
        for kind in ["node", "admin"] {
            let bound = format!("{}user = \"alice\"\n", row.replace("app", kind));
            assert!(matches!(read(&bound), Err(Error::Bound(_))), "{bound}");
        }
        let many: String = (0..=KEYS).map(|number| row.replace("\"a\"", &format!("\"a{number}\""))).collect();
        assert!(matches!(read(&many), Err(Error::TooMany)));
    }

    #[test]
    fn i6_a_bound_key_sees_its_persons_connections_and_those_of_nobody() {
        let key = key("crew", &Token::key().expect("random numbers"));
        let sees = |text: &str| key.sees(&text.parse().expect("a handle"));
        assert!(sees("github:alice") && sees("github"));
        assert!(!sees("github:bob") && !sees("slack:alice") && !sees("slack"));
        let acts = |text: Option<&str>| key.acts_for(text.map(|text| text.parse().expect("a name")).as_ref());
        assert!(acts(Some("alice")) && !acts(Some("bob")) && !acts(None));
        // By number, on either side.
        let number = "alice".parse::<UserName>().expect("a name");
        let by_number = Key { user: Some(number.uuid().parse().expect("a name")), ..key.clone() };
        assert!(acts(Some(&number.uuid())) && by_number.acts_for(Some(&number)));
        assert!(!by_number.acts_for(Some(&"bob".parse().expect("a name"))) && !by_number.acts_for(None));
    }

    #[test]
    fn a_key_is_found_by_its_text_until_it_expires() {
        let (one, other) = (Token::key().expect("random"), Token::key().expect("random"));
        let keys = Keys::new(vec![key("a", &one), key("b", &other)]);
        let name = |text: &str, secs| {
            let found = keys.find(text, SystemTime::UNIX_EPOCH + Duration::from_secs(secs));
            found.map(|key| key.name.to_string())
        };
        assert_eq!(name(one.text().expose(), 1_799_999_999).as_deref(), Some("a"));
        assert_eq!(name(other.text().expose(), 0).as_deref(), Some("b"));
        assert_eq!(name(other.text().expose(), 1_800_000_000), None);
        assert_eq!(name("", 0), None);
        assert!(Keys::default().find(one.text().expose(), SystemTime::UNIX_EPOCH).is_none());
    }
}
