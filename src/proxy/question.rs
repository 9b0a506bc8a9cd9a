//! What a person is shown of a request, and by what it is known when it is sent again.

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName};

use super::choose::{Inquiry, hide_secrets};
use super::door::NEXUS_CONNECTION;
use super::replay::Inflow;
use super::worker::Worker;
use crate::approval::{Body, Fields, Passing, Print, Question};
use crate::audit::Entry;
use crate::decide::{Named, Occupants, Route};
use crate::model::{ConnectionId, Methods};
use crate::provider::Slot;

/// What a request would go with, so far as that is known before its turn.
#[derive(Debug, Default)]
pub(super) struct Aim {
    named: Option<Named>,
    pub(super) connection: Option<ConnectionId>,
}

impl Worker {
    /// The provider whose credential `route` leads to, and the connection. It is chosen again when the request goes on.
    pub(super) fn aim(&self, route: &Route, inquiry: &Inquiry<'_>) -> Aim {
        let named = match route {
            Route::Inject(named) => self.with_connection(named.clone(), inquiry).unwrap_or_else(|_refused| named.clone()),
            Route::Mint(minting) => minting.named.clone(),
            Route::Pass | Route::Strip(_) | Route::TokenEndpoint(_) | Route::Refuse(_) => return Aim::default(),
        };
        let connection = self.would_use(&named, inquiry);
        Aim { named: Some(named), connection }
    }
}

/// What the head says of the body.
pub(super) fn stated(headers: &HeaderMap, incoming: Option<&Inflow>) -> Body {
    let kind = headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let kind = kind.map(|kind| kind.chars().filter(|letter| matches!(letter, ' '..='~')).take(100).collect());
    Body { content_type: kind, size: incoming.and_then(Inflow::length), ..Body::default() }
}

/// What is shown of the header: not what is taken off, and nothing that is told elsewhere or says nothing.
fn fields(headers: &HeaderMap, occupants: Option<&Occupants>) -> Fields {
    let is_slot = |name: &HeaderName| {
        let mut slots = occupants.into_iter().flat_map(|occupants| &occupants.slots);
        slots.any(|slot| matches!(slot, Slot::Header(slot) if slot == name))
    };
    let told = |name: &HeaderName| {
        VOLATILE.contains(name) || SAYS_NOTHING.contains(&name.as_str()) || *name == CONTENT_TYPE || *name == NEXUS_CONNECTION
    };
    let shown = headers.iter().filter(|(name, _)| !told(name) && !is_slot(name));
    Fields::of(shown.map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// What every client sends, whatever it wants.
const SAYS_NOTHING: [&str; 5] = ["accept", "accept-encoding", "accept-language", "cache-control", "pragma"];

/// Fields that say nothing of what a request does, or what its target and body say already.
const VOLATILE: [HeaderName; 16] = [
    CONNECTION,
    CONTENT_LENGTH,
    DATE,
    EXPECT,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    USER_AGENT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// All of a request but its body, by which it is known when it is sent again. Any other field may choose an account, an action or a target.
pub(super) fn print(passing: &Passing<'_>, headers: &HeaderMap) -> Print {
    let mut fields: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| !VOLATILE.contains(name))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    // Values of one name stay in their order.
    fields.sort_by_key(|(name, _)| *name);
    let parts: Vec<&[u8]> = fields.iter().flat_map(|(name, value)| [name.as_bytes(), value]).collect();
    Print::of(passing.target, &parts)
}

pub(super) fn question(
    passing: &Passing<'_>,
    (route, aim): (&Route, &Aim),
    headers: &HeaderMap,
    (body, entry): (Body, &mut Entry),
) -> Question {
    let Passing { agent, rule, target, connection, form } = passing;
    let named = aim.named.as_ref();
    named.into_iter().for_each(|named| hide_secrets(named, target, entry));
    let occupants = match route {
        Route::Strip(occupants) => Some(occupants),
        _ => named.map(|named| &named.occupants),
    };
    Question {
        agent: Arc::clone(agent),
        rule: Arc::clone(rule),
        target: (*target).clone(),
        path: entry.shown_path(),
        provider: named.map(|named| named.provider.title.clone()),
        connection: connection.cloned(),
        form: *form,
        in_place: target.path.query().map(Methods::of_query).unwrap_or_default().and(*form),
        fields: fields(headers, occupants.map(|occupants| &**occupants)),
        body,
    }
}
