//! Names of providers, connections, agents and users, each a type of its own.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is not a name.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {text:?} is not valid: {rule}")]
pub struct IdError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr, $fold:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let folded: String = ($fold)(text);
                if ($check)(folded.as_str()) {
                    Ok(Self(folded.into()))
                } else {
                    Err(IdError { kind: $kind, text: text.chars().take(80).collect(), rule: $rule })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A service Nexus knows, such as `github` or `google_sheets`. `-` and `_` are the same letter, as is case.
    ProviderId,
    "provider name",
    |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
    |text: &str| text.to_ascii_lowercase().replace('-', "_"),
    "1 to 64 letters, digits, - or _"
);

name_type!(
    /// The identity a caller shows the proxy. Only letters that no client percent-encodes (RFC 3986 §2.3 unreserved).
    AgentName,
    "agent name",
    |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(unreserved),
    |text: &str| text.to_owned(),
    "1 to 64 letters, digits or - . _ ~"
);

name_type!(
    /// A person for whom a connection was made, such as `alice` or `alice@example.com`.
    UserName,
    "user name",
    |text: &str| (1..=128).contains(&text.len()) && text.bytes().all(|b| unreserved(b) || b == b'@' || b == b'+'),
    |text: &str| text.to_owned(),
    "1 to 128 letters, digits or - . _ ~ @ +"
);

name_type!(
    /// A handle that the gateway gave out for a connection: a UUID (RFC 9562 §4), in lower case.
    GatewayId,
    "connection id",
    is_uuid,
    |text: &str| text.to_ascii_lowercase(),
    "a UUID, as 123e4567-e89b-42d3-a456-426614174000"
);

impl AgentName {
    /// The name of an agent that one command makes for itself: `run-PID-12345678`.
    ///
    /// # Errors
    /// Where `command` is no part of a name.
    pub fn of_command(command: &str, number: u32) -> Result<Self, IdError> {
        format!("{command}-{}-{number:08x}", std::process::id()).parse()
    }

    /// Whether it is one of those, which never comes again.
    pub fn is_of_command(&self) -> bool {
        let rest = ["run-", "test-"].iter().find_map(|command| self.0.strip_prefix(command));
        rest.and_then(|rest| rest.split_once('-')).is_some_and(|(process, number)| {
            !process.is_empty()
                && process.bytes().all(|b| b.is_ascii_digit())
                && number.len() == 8
                && number.bytes().all(|b| b.is_ascii_hexdigit())
        })
    }
}

impl GatewayId {
    /// A new one, of 122 random bits (RFC 9562 §5.4).
    ///
    /// # Errors
    /// When the machine has no random numbers.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(uuid(u128::from_be_bytes(bytes), 4).into()))
    }
}

impl UserName {
    /// The number by which some programs know the same person: `uuid5(NAMESPACE_DNS, name)` (RFC 9562 §5.5), in lower case.
    pub fn uuid(&self) -> String {
        use sha1::Digest as _;
        /// RFC 9562 §6.6.
        const NAMESPACE_DNS: u128 = 0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8;
        let hash = sha1::Sha1::new().chain_update(NAMESPACE_DNS.to_be_bytes()).chain_update(self.as_str()).finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash).for_each(|(byte, of)| *byte = of);
        uuid(u128::from_be_bytes(bytes), 5)
    }
}

/// `bits` as a UUID of that version (RFC 9562 §4).
fn uuid(bits: u128, version: u128) -> String {
    let versioned = bits & !(0xf << 76) | (version << 76);
    let number = format!("{:032x}", versioned & !(0b11 << 62) | (0b10 << 62));
    let part = |range| number.get(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

fn is_uuid(text: &str) -> bool {
    let hyphen = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

impl UserName {
    /// Whether both names mean one person, whom either may call by number.
    pub fn is(&self, other: &Self) -> bool {
        let by_number =
            |number: &Self, name: &Self| number.looks_like_a_number() && number.0.eq_ignore_ascii_case(&name.uuid());
        self == other || by_number(self, other) || by_number(other, self)
    }

    /// As [`UserName::is`], where nobody is only nobody.
    pub fn same(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => one.is(other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// RFC 9562 §4: five groups of hexadecimal digits. Spares the other names a hash.
    pub(crate) fn looks_like_a_number(&self) -> bool {
        is_uuid(&self.0)
    }
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The handle of a connection: `github`, or `github:alice` for one of several users.
///
/// Copies are cheap; the text alone is what is compared and hashed.
#[derive(Clone, Debug)]
pub struct ConnectionId {
    text: Arc<str>,
    provider: ProviderId,
    user: Option<UserName>,
}

impl ConnectionId {
    /// The connection of `provider` for `user`, or the default one.
    pub fn new(provider: ProviderId, user: Option<UserName>) -> Self {
        let text = match &user {
            Some(user) => format!("{provider}:{user}"),
            None => provider.to_string(),
        };
        Self { text: text.into(), provider, user }
    }

    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The provider it belongs to.
    pub fn provider(&self) -> &ProviderId {
        &self.provider
    }

    /// The user it was made for; `None` is the default connection.
    pub fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    /// Whether a caller that acts for `user` may use it, where a request names it: its user's and the default ones; a caller that acts
    /// for nobody has all.
    pub fn is_open_to(&self, user: Option<&UserName>) -> bool {
        user.is_none() || self.user.is_none() || UserName::same(self.user(), user)
    }

    /// Of the connections of one provider, the one used for `user` where a request names none: the user's; the default one for nobody. Who
    /// acts for Alice must not act as somebody else because she has none.
    pub fn preferred<'a>(existing: &'a [Self], user: Option<&UserName>) -> Option<&'a Self> {
        // Nearly always they are in order, and there may be tens of thousands.
        let near = existing.binary_search_by(|connection| connection.user().cmp(&user)).ok();
        if let Some(found) = near.and_then(|near| existing.get(near)) {
            return Some(found);
        }
        let exact = existing.iter().find(|connection| connection.user() == user);
        exact.or_else(|| existing.iter().find(|connection| UserName::same(connection.user(), user)))
    }

    /// Of `existing`, the one that this handle means, its person by name or by number.
    pub fn found_in<'a>(&self, existing: &'a [Self]) -> Option<&'a Self> {
        if let Some(found) = existing.binary_search(self).ok().and_then(|near| existing.get(near)) {
            return Some(found);
        }
        let means = |other: &&Self| other.provider == self.provider && UserName::same(other.user(), self.user());
        existing.iter().find(|other| *other == self).or_else(|| existing.iter().find(means))
    }
}

impl PartialEq for ConnectionId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ConnectionId {}

impl Hash for ConnectionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Ord for ConnectionId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for ConnectionId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for ConnectionId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (provider, user) = match text.split_once(':') {
            Some((provider, user)) => (provider, Some(user.parse()?)),
            None => (text, None),
        };
        Ok(Self::new(provider.parse()?, user))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_names_fold_case_and_dashes() {
        let id: ProviderId = "Google-Sheets".parse().expect("a name");
        assert_eq!(id.as_str(), "google_sheets");
    }

    #[test]
    fn a_persons_number_is_that_of_python_and_of_the_standard() {
        // RFC 9562 appendix A.4; both as Python has them: uuid.uuid5(uuid.NAMESPACE_DNS, name).
        for (name, number) in
            [("www.example.com", "2ed6657d-e927-568b-95e1-2665a8aea6a2"), ("alice", "c2ef90b9-02bc-5d53-93cd-92652b6e1b41")]
        {
            assert_eq!(name.parse::<UserName>().expect("a name").uuid(), number);
        }
    }

    #[test]
    fn a_gateways_handle_is_a_uuid() {
        let id = GatewayId::random().expect("random");
        assert_eq!(id.as_str().parse::<GatewayId>().expect("a handle"), id);
        assert_eq!((&id.as_str()[14..15], "89ab".contains(&id.as_str()[19..20])), ("4", true));
        for text in ["", "c2ef90b902bc5d5393cd92652b6e1b41", "c2ef90b9-02bc-5d53-93cd-92652b6e1b4g", "github"] {
            assert!(text.parse::<GatewayId>().is_err(), "{text}");
        }
    }

    #[test]
    fn provider_names_refuse_paths_and_emptiness() {
        for text in ["", "a/b", "..", "a b", "é", "a:b"] {
            assert!(text.parse::<ProviderId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_connection_is_a_provider_and_perhaps_a_user() {
        let id: ConnectionId = "GitHub:alice@example.com".parse().expect("a handle");
        assert_eq!(id.as_str(), "github:alice@example.com");
        assert_eq!(id.user().map(UserName::as_str), Some("alice@example.com"));
        assert!("github:".parse::<ConnectionId>().is_err());
    }

    #[test]
    fn a_person_is_the_same_by_name_and_by_number() {
        let user = |name: &str| name.parse::<UserName>().expect("a user");
        let (alice, number) = (user("alice"), user("c2ef90b9-02bc-5d53-93cd-92652b6e1b41"));
        assert!(alice.is(&number) && number.is(&alice) && user("C2EF90B9-02BC-5D53-93CD-92652B6E1B41").is(&alice));
        for other in ["bob", "c2ef90b9-02bc-5d53-93cd-92652b6e1b42", "c2ef90b902bc5d5393cd92652b6e1b41"] {
            assert!(!user(other).is(&alice) && !alice.is(&user(other)), "{other}");
        }
        let ids: Vec<ConnectionId> = ["github:bob", "github:alice"].map(|text| text.parse().expect("a handle")).to_vec();
        let found = |text: &str| text.parse::<ConnectionId>().expect("a handle").found_in(&ids).map(ConnectionId::as_str);
        assert_eq!(found(&format!("github:{number}")), Some("github:alice"));
        assert_eq!((found("github"), found("gitlab:alice"), found("github:eve")), (None, None, None));
        assert_eq!(ConnectionId::preferred(&ids, Some(&number)).map(ConnectionId::as_str), Some("github:alice"));
    }

    #[test]
    fn a_connection_is_found_in_any_order() {
        let ids = |names: &[&str]| names.iter().map(|name| name.parse().expect("a handle")).collect::<Vec<ConnectionId>>();
        let alice: UserName = "alice".parse().expect("a name");
        let number: UserName = alice.uuid().parse().expect("a name");
        let by_number = format!("github:{number}");
        for names in [
            vec!["github", "github:alice", "github:bob", "github:carol"],
            vec!["github:carol", "github:alice", "github", "github:bob"],
            vec!["github:zoe", &by_number, "github"],
        ] {
            let existing = ids(&names);
            let found = ConnectionId::preferred(&existing, Some(&alice)).expect("alice's");
            assert!(UserName::same(found.user(), Some(&alice)), "{names:?}");
            assert_eq!(ConnectionId::preferred(&existing, None).expect("nobody's").as_str(), "github", "{names:?}");
            assert_eq!(ConnectionId::preferred(&existing, Some(&"eve".parse().expect("a name"))), None);
            let meant: ConnectionId = "github:alice".parse().expect("a handle");
            assert_eq!(meant.found_in(&existing), Some(found), "{names:?}");
            assert_eq!("github:eve".parse::<ConnectionId>().expect("a handle").found_in(&existing), None);
        }
    }

    #[test]
    fn i6_a_caller_for_a_user_has_that_users_connection_and_others_only_where_named() {
        let ids: Vec<ConnectionId> =
            ["github", "github:alice", "github:bob"].iter().map(|text| text.parse().expect("a handle")).collect();
        let user = |name: &str| name.parse::<UserName>().expect("a user");
        let preferred = |user: Option<&UserName>| ConnectionId::preferred(&ids, user).map(ConnectionId::as_str);
        assert_eq!(
            (preferred(None), preferred(Some(&user("bob"))), preferred(Some(&user("eve")))),
            (Some("github"), Some("github:bob"), None)
        );
        let open: Vec<bool> = ids.iter().map(|id| id.is_open_to(Some(&user("bob")))).collect();
        assert_eq!(open, [true, false, true], "where it is named");
        assert_eq!(ConnectionId::preferred(&ids[1..], None), None);
    }
}
