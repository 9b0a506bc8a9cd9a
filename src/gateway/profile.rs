//! `Given`: an app or a credential as a program sends it, and what it says of a service that nobody knew.

use std::time::SystemTime;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::begin::told;
use super::problem::Problem;
use crate::broker::try_out;
use crate::model::{Credential, Secret};
use crate::provider::Provider;
use crate::registration::Form;
use crate::vault::Entry;

/// An app or a credential of a service.
#[derive(Deserialize, ToSchema)]
pub(super) struct Registration {
    /// What is registered.
    pub(super) profile: Given,
}

/// An app or a credential. Where a service's addresses are is its provider file's to say; those of a profile count only for a service that
/// no file knows, and only from who may add one.
#[derive(Deserialize, ToSchema)]
pub(super) struct Given {
    /// The service.
    pub(super) name: String,
    /// `oauth2` says that it is an app, which has a `client_id`; the others are `api_key`, `header`, `query_param` and `basic_auth`.
    #[serde(default)]
    pub(super) auth_type: Option<String>,
    /// Of the OAuth app.
    #[serde(default)]
    client_id: Option<String>,
    /// Of the OAuth app.
    #[serde(default)]
    client_secret: Option<String>,
    /// A key.
    #[serde(default)]
    api_key: Option<String>,
    /// A user's name.
    #[serde(default)]
    username: Option<String>,
    /// The user's password.
    #[serde(default)]
    password: Option<String>,
    /// What people are asked for where a program names nothing.
    #[serde(default)]
    pub(super) scopes: Vec<String>,
    /// Of an unknown service: where a person consents.
    #[serde(default)]
    pub(super) auth_url: Option<String>,
    /// Of an unknown service: where tokens are obtained.
    #[serde(default)]
    pub(super) token_url: Option<String>,
    /// Of an unknown service: where its API is; its credentials go to that host.
    #[serde(default)]
    pub(super) api_base_url: Option<String>,
    /// Of an unknown service: hosts that its credentials go to.
    #[serde(default)]
    pub(super) hosts: Option<Vec<String>>,
    /// Of an unknown service: a harmless address of its API, where an account is looked at.
    #[serde(default)]
    pub(super) user_info_endpoint: Option<String>,
    /// Of an unknown service: where a key goes: `header_name` and `value_prefix`, or `param_name`; `credential_field`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) auth_config: Option<Map<String, Value>>,
    /// Of an unknown service: `credential_schema`, which says what is typed; members above that stand here; for `oauth2` all else is a
    /// parameter of the authorization request.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(super) params: Option<Map<String, Value>>,
}

/// What was registered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Registered {
    /// The service.
    pub(super) id: String,
    /// The same.
    pub(super) provider_id: String,
    /// Whether it took the place of another.
    pub(super) replaced: bool,
    /// Whether nobody knew the service before, and its provider file was written.
    pub(super) added: bool,
}

impl Given {
    /// Whether it is an OAuth app.
    pub(super) fn is_app(&self) -> bool {
        let credential = self.api_key.is_some() || self.username.is_some();
        self.client_id.is_some() || (self.auth_type.as_deref() == Some("oauth2") && !credential)
    }

    /// What people are asked for, where it can be registered so.
    ///
    /// # Errors
    /// 422 for an app without its name at the service, 400 for scopes that are none.
    pub(super) fn checked_scopes(&self) -> Result<Vec<String>, Problem> {
        if self.is_app() && self.client_id.as_deref().is_none_or(str::is_empty) {
            let message = "the member profile.client_id is missing: an OAuth app is registered with it";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "credential", message));
        }
        scopes(&self.scopes)
    }

    /// Whether it holds no credential: the client never sends one that was typed into it.
    pub(super) fn is_empty(&self) -> bool {
        self.all().iter().all(|(_, value)| value.is_none_or(str::is_empty))
    }

    /// The entry that it makes as a credential of `provider`.
    ///
    /// # Errors
    /// 422 where it makes none.
    pub(super) fn entry(&self, provider: &Provider, scopes: &[String], now: SystemTime) -> Result<Entry, Problem> {
        let mut fields = Credential::default();
        for (name, value) in self.all() {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                fields.set(name, Secret::new(value.to_owned()));
            }
        }
        let entry = Form { provider, fields, expires_at: None, app: true }.entry(try_out, now);
        let mut entry = entry.map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "credential", told(&error)))?;
        entry.want_scopes(scopes);
        Ok(entry)
    }

    fn all(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("client_id", self.client_id.as_deref()),
            ("client_secret", self.client_secret.as_deref()),
            ("api_key", self.api_key.as_deref()),
            ("username", self.username.as_deref()),
            ("password", self.password.as_deref()),
        ]
    }
}

/// Scopes as RFC 6749 §3.3 has them, each once; `["a b"]` names two.
fn scopes(given: &[String]) -> Result<Vec<String>, Problem> {
    let sound = |scope: &str| scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    let mut all: Vec<String> = Vec::new();
    for scope in given.iter().flat_map(|scope| scope.split(' ')).filter(|scope| !scope.is_empty()) {
        if !sound(scope) || scope.len() > 256 || all.len() >= 100 {
            let message = "scopes takes at most 100 names of printable letters without blanks, quotes or backslashes (RFC 6749 section 3.3)";
            return Err(Problem::malformed(message));
        }
        if !all.iter().any(|known| known == scope) {
            all.push(scope.to_owned());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_named_by_its_client_id() {
        let said = |profile: serde_json::Value| {
            let given: Given = serde_json::from_value(profile).expect("a profile");
            (given.is_app(), given.checked_scopes().map(drop).map_err(|problem| problem.code().to_owned()))
        };
        let refused = || Err("credential".to_owned());
        assert_eq!(said(serde_json::json!({ "name": "x", "auth_type": "oauth2" })), (true, refused()));
        assert_eq!(said(serde_json::json!({ "name": "x", "auth_type": "oauth2", "client_secret": "s" })), (true, refused()));
        assert_eq!(said(serde_json::json!({ "name": "x", "auth_type": "oauth2", "client_id": "i" })), (true, Ok(())));
        assert_eq!(said(serde_json::json!({ "name": "x", "auth_type": "api_key" })), (false, Ok(())));
        assert_eq!(said(serde_json::json!({ "name": "x", "api_key": "k" })), (false, Ok(())));
    }
}
