//! What the request path answers by itself, for those who ask before they send: the same checks, with nothing dialled or resolved.

use super::door::is_own_name;
use super::outbound::refused_method;
use super::refusal::Refusal;
use crate::model::{Authority, Target};
use crate::upstream;

/// An answer of our own.
#[derive(Debug)]
pub(crate) enum Foreseen {
    /// A page of ours.
    OwnPage,
    /// A refusal, in the words that the caller would be told.
    Refused(String),
}

/// Whether the CONNECT or request leads to our own pages, which no rule is asked about.
pub(crate) fn is_own(authority: &Authority) -> bool {
    is_own_name(&authority.host)
}

/// What is answered to a request whose target is read, before any rule is asked.
pub(crate) fn before_rules(target: &Target) -> Option<Foreseen> {
    if let Some(why) = refused_method(&target.method) {
        return Some(Foreseen::Refused(Refusal::Method(why).detail()));
    }
    is_own(&target.authority).then_some(Foreseen::OwnPage)
}

/// What is answered where `authority` would be dialled, as far as that is known without asking for a name's address.
pub(crate) fn before_dialling(policy: &upstream::Policy<'_>, authority: &Authority) -> Option<Foreseen> {
    let error = policy.permit(authority).err()?;
    Some(Foreseen::Refused(Refusal::Upstream(error).detail()))
}
