//! Answers a program that ends a token, or asks what one is good for, where the token is a placeholder: nothing leaves, and what is stored
//! stays as it is. A token that is the caller's own goes on as its route says.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

use super::body::ResponseBody;
use super::choose::{Inquiry, may_use, unreadable};
use super::content::ContentError;
use super::exchange::{Stepped, Stop};
use super::placeholders::Meaning;
use super::refusal::Refusal;
use super::replay::Inflow;
use super::token_response::token_reply;
use super::worker::Worker;
use crate::audit::{Entry, Verdict};
use crate::broker::Moment;
use crate::decide::{Answering, Route};
use crate::model::ConnectionId;
use crate::oauth::{AskedAbout, read_about};
use crate::provider::{AboutToken, Good, Matter, Provider};
use crate::vault;

/// Where neither the vault nor the provider's file says how long a token lives.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What a placeholder means, and who answers for it.
struct Meant {
    provider: Arc<Provider>,
    number: usize,
    connection: ConnectionId,
}

impl Worker {
    /// Stops with the answer where the token is a placeholder that this agent may show.
    pub(super) async fn answer_about_token(
        self: &Rc<Self>,
        (answering, route): (&[Answering], &Route),
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        entry: &mut Entry,
    ) -> Result<Option<Box<Stepped>>, Stop> {
        let Some((first, _)) = answering.first() else { return Ok(None) };
        let moment = self.proxy.broker.connections_of(&first.id).map_err(unreadable)?.moment;
        let open = self.is_open(route, &*moment);
        let whole = match self.take_short(incoming, inquiry, open).await {
            Ok(()) => true,
            // Without us it would pass, so it does.
            Err(Refusal::Content(ContentError::LongTokenRequest | ContentError::Late)) if open => false,
            Err(refusal) => return Err(refusal.into()),
        };
        let body = incoming.as_ref().map(Inflow::at_hand).unwrap_or_default();
        let asked = match whole {
            true => read_about(inquiry.arrived.target.path.query(), inquiry.headers, body),
            false => AskedAbout::default(),
        };
        let Some(meant) = self.meant_by(&asked, (answering, &*moment), inquiry)? else {
            if open {
                self.no_placeholder((answering, &*moment), inquiry, body)?;
            }
            return Ok(None);
        };
        let Some(about) = meant.provider.about_tokens.get(meant.number) else { return Ok(None) };
        let text = text(about, &meant, moment.entry(&meant.connection).map(|entry| &**entry), &asked);
        entry.provider(&meant.provider.id);
        entry.connection(&meant.connection);
        entry.verdict(Verdict::Answer);
        entry.note(about.matter.word());
        entry.status(about.status);
        entry.received(text.len() as u64);
        entry.open().await.map_err(Refusal::from)?;
        Err(Stop::Answered(Box::new(reply(about.status, text))))
    }

    /// The connection whose placeholder all tokens of the request are; where it names none, the one that it comes with.
    fn meant_by(
        &self,
        asked: &AskedAbout,
        (answering, moment): (&[Answering], &dyn Moment),
        inquiry: &Inquiry<'_>,
    ) -> Result<Option<Meant>, Refusal> {
        let shown = inquiry.headers.get(AUTHORIZATION).filter(|_| asked.tokens.is_empty());
        // A client's secret is no token.
        let shown = shown.map(|value| value.as_bytes()).filter(|value| !is_basic(value));
        let tokens: Vec<&[u8]> = asked.tokens.iter().map(|token| token.as_bytes()).chain(shown).collect();
        for (provider, number) in answering {
            let (ids, own) = (moment.connections(&provider.id), moment.own(&provider.id));
            let known = self.placeholders(inquiry.agent, &provider.id, (&ids, &own));
            let meanings: Option<Vec<_>> = tokens.iter().map(|token| known.find(token)).collect();
            let Some((first, rest)) = meanings.as_deref().and_then(<[_]>::split_first) else { continue };
            let Meaning { whose, connection } = first;
            if rest.iter().any(|other| other != first) {
                continue;
            }
            let foreign = || Refusal::Connection("of that placeholder");
            let meant = || Meant { provider: Arc::clone(provider), number: *number, connection: connection.clone() };
            let ends = provider.about_tokens.get(*number).is_some_and(|about| about.matter == Matter::Revocation);
            if let Some(own) = own.iter().find(|own| own.id == *connection) {
                return match self.own(inquiry.agent, own, provider) {
                    Ok(None) => Err(foreign()),
                    Ok(Some(_id)) => Ok(Some(meant())),
                    // One that waits for approval is of no use, but its program may throw it away.
                    Err(_pending) if ends => Ok(Some(meant())),
                    Err(pending) => Err(pending),
                };
            }
            let theirs = self.may_show(inquiry.agent, whose.as_ref()) && may_use(inquiry.agent, connection);
            return if theirs { Ok(Some(meant())) } else { Err(foreign()) };
        }
        Ok(None)
    }
}

fn is_basic(value: &[u8]) -> bool {
    value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
}

/// The body of the answer. A connection that is gone was good for nothing.
fn text(about: &AboutToken, meant: &Meant, entry: Option<&vault::Entry>, asked: &AskedAbout) -> String {
    let provider = &meant.provider;
    let fields = |name: &str| entry.and_then(|entry| entry.fields.field(name));
    let hosts = provider.hosts_of(entry.and_then(vault::Entry::sealed_hosts), &fields);
    let good = entry.map(|entry| Good { until: until(provider, entry), client_id: asked.client_id.as_deref() });
    about.body(&fields, &hosts, good.as_ref()).map(|body| body.to_string()).unwrap_or_default()
}

/// What is renewed is good for as long as a token that is handed out; else the service said how long.
fn until(provider: &Provider, entry: &vault::Entry) -> SystemTime {
    let now = SystemTime::now();
    let lifetime = provider.token_responses.first().map_or(LIFETIME, |response| response.lifetime);
    let renewed = provider.renewal(&|name| entry.fields.field(name)).is_some();
    let said = entry.expires_at.filter(|end| !renewed && *end > now);
    said.or_else(|| now.checked_add(lifetime)).unwrap_or(now)
}

fn reply(status: u16, text: String) -> Response<ResponseBody> {
    let bare = text.is_empty();
    let mut response = token_reply(status, text, "application/json");
    if bare {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}
