//! `Question`: one request that a rule wants a person's word about.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::fields::Fields;
use super::grant::Passing;
use crate::agent::Agent;
use crate::model::{ConnectionId, Methods, Target};
use crate::policy::Rule;

/// Who wants what, and which rule asks. What people see of it holds no value of a query and no credential.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) agent: Arc<Agent>,
    pub(crate) rule: Arc<Rule>,
    pub(crate) target: Target,
    /// The path as the audit log has it.
    pub(crate) path: String,
    /// What the service is called.
    pub(crate) provider: Option<String>,
    /// What it would go with.
    pub(crate) connection: Option<ConnectionId>,
    /// What its body puts in the method's place.
    pub(crate) form: Methods,
    /// The same of its query as well.
    pub(crate) in_place: Methods,
    pub(crate) fields: Fields,
    pub(crate) body: Body,
}

impl Question {
    /// The request, as grants are held against it.
    pub(super) fn passing(&self) -> Passing<'_> {
        let Self { agent, rule, target, connection, form, .. } = self;
        Passing { agent, rule, target, connection: connection.as_ref(), form: *form }
    }

    /// In one line.
    pub(super) fn title(&self) -> String {
        let user = self.agent.user.as_ref().map(|user| format!(" (for {user})")).unwrap_or_default();
        let service = self.provider.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let Target { method, authority, scheme, .. } = &self.target;
        let others = self.methods_beside().join(", ");
        let beside = if others.is_empty() { others } else { format!(" (read as {others} where a parameter counts)") };
        format!("{}{user}: {method}{beside} {}{}{service}", self.agent.name, authority.as_written(*scheme), self.path)
    }

    /// The methods that it asks for beside the line's, where services read one in a parameter or the body.
    pub(super) fn methods_beside(&self) -> Vec<&'static str> {
        self.in_place.beside(self.target.method.as_str())
    }
}

/// What is known of a request's body while it waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ApprovalBody)]
pub(crate) struct Body {
    /// `Content-Type`, as the request states it.
    pub(crate) content_type: Option<String>,
    /// In bytes; null where it is not known yet.
    pub(crate) size: Option<u64>,
    /// Of all of it, in hexadecimal; null where not all of it has come.
    pub(crate) sha256: Option<String>,
    /// Its beginning, without what could be a credential; at most 2 KiB.
    pub(crate) preview: Option<String>,
    /// The preview is a form's fields, one a line, and not the text that was sent.
    pub(crate) decoded: bool,
    /// There is more than the preview shows.
    pub(crate) cut: bool,
    /// Why there is no preview.
    pub(crate) note: Option<&'static str>,
}

/// A request by all that must be the same when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print([u8; 32]);

impl Print {
    /// Of its target and these parts, such as fields that change what the body means. Each is told with its length, so that none runs into
    /// the next.
    pub(crate) fn of(target: &Target, parts: &[&[u8]]) -> Self {
        let Target { scheme, authority, method, path } = target;
        let place = [method.as_str(), scheme.as_str(), &authority.to_string(), path.as_str()];
        let mut hash = Sha256::new();
        for part in place.iter().map(|part| part.as_bytes()).chain(parts.iter().copied()) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The same with its body.
    pub(crate) fn with(self, body: &[u8; 32]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(body).finalize().into())
    }
}
