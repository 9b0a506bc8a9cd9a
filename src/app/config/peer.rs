//! `[[proxy.peer]]` and `proxy.unix_mode`: who may come by a Unix socket, and as whom.

use serde::{Deserialize, Serialize};

use crate::model::AgentName;

/// The mode of a file, as `chmod` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

impl Default for Mode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl Mode {
    /// Its bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl TryFrom<String> for Mode {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        let wrong = "expected \"0600\", \"0660\" or \"0666\"";
        let bits = u32::from_str_radix(&text, 8).map_err(|_no_number| wrong)?;
        if matches!(bits, 0o600 | 0o660 | 0o666) { Ok(Self(bits)) } else { Err(wrong) }
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}

/// One `[[proxy.peer]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRow {
    /// Its user's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its control group (version 2), or how that begins: `/system.slice/ci.service`, `/user.slice/*`. Linux only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// The agent that it is.
    #[serde(with = "name")]
    pub agent: AgentName,
}

/// `proxy.client_auth`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// A caller may show a certificate, or a token alone.
    #[default]
    Optional,
    /// Every caller of a port must.
    Required,
}

/// One `[[proxy.client_certificate]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRow {
    /// An alternative name: a URI, a host or an e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub san: Option<String>,
    /// The common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cn: Option<String>,
    /// The agent that it is.
    #[serde(with = "name")]
    pub agent: AgentName,
}

mod name {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::model::AgentName;

    pub(super) fn serialize<S: Serializer>(name: &AgentName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AgentName, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
