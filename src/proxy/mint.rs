//! A request that makes a new credential: it goes on with the stored one, and what it makes stays here as a new connection of that agent,
//! which waits for a person's approval; the program gets a placeholder.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::body::Peeked;
use super::choose::Inquiry;
use super::content::{self, owned};
use super::door::strip_routing_hints;
use super::exchange::{Stepped, Stop, Way};
use super::forward::Sending;
use super::judge::Judged;
use super::log_in::{ended, is_encoded};
use super::outbound::of_log_in;
use super::refusal::{Blame, Refusal};
use super::replay::{Inflow, Replay};
use super::worker::Worker;
use crate::audit::Entry;
use crate::broker::{NotCaptured, Permit};
use crate::decide::{Minting, Reason, Route};
use crate::model::{AgentName, ConnectionId, Credential};
use crate::oauth::{NewKey, OddKey, Place, read_new_key};
use crate::provider::{Mint, Provider};
use crate::vault::{self, AuthType, Captured, PendingBound};

/// Why no credential was made, or its answer is not for the caller.
#[derive(Debug, thiserror::Error)]
pub(super) enum MintError {
    #[error("{0} connections of this agent wait for approval, which is as many as may")]
    TooMany(usize),
    #[error("the answer, which has a new credential, was kept back: {0}")]
    Kept(#[source] OddKey),
    #[error("the answer, which has a new credential, was kept back: it is {0}")]
    Unread(&'static str),
    #[error("the new credential could not be stored, so it was dropped")]
    NotStored(#[source] NotCaptured),
}

impl MintError {
    /// The stable word of the refusal.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::TooMany(_) => "limit",
            Self::Kept(_) | Self::Unread(_) => "upstream",
            Self::NotStored(_) => "vault",
        }
    }

    /// RFC 9110 §15.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Kept(_) | Self::Unread(_) => StatusCode::BAD_GATEWAY,
            Self::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For the record.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::TooMany(_) => "too_many_pending",
            Self::Kept(_) | Self::Unread(_) => "not_captured",
            Self::NotStored(_) => "not_stored",
        }
    }

    /// Who has to act.
    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::TooMany(_) => Blame::Downstream,
            Self::Kept(_) | Self::Unread(_) => Blame::Upstream,
            Self::NotStored(_) => Blame::Nexus,
        }
    }

    /// What to do now.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::TooMany(_) => {
                "Ask the operator to look at `nexus list`, and to approve (`nexus approve`) or remove (`nexus remove`) what waits there; then ask for the credential again."
            }
            Self::Kept(_) | Self::Unread(_) => {
                "The service may have made the credential, and nobody has it: ask the operator to end it at the service, and to make and register another (`nexus register`)."
            }
            Self::NotStored(_) => {
                "The service has made the credential, and nobody has it: the operator should end it there, look at `nexus list` and the log of Nexus, and run `nexus status`."
            }
        }
        .to_owned()
    }
}

/// What was sent, and what came back.
struct Made {
    judged: Judged,
    permit: Permit,
    replay: Rc<Replay>,
}

impl Worker {
    /// Sends the request with the stored credential, and takes what the service made out of its answer, which is on disk by then. An answer
    /// that is no success goes on as it came.
    pub(super) async fn mint(
        self: &Rc<Self>,
        minting: &Minting,
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        (entry, linger): (&mut Entry, bool),
    ) -> Result<Option<Box<Stepped>>, Stop> {
        let Some(mint) = minting.mint() else { return Err(Refusal::Policy(Reason::Mint).into()) };
        let owner = self.owner(inquiry.agent);
        let _capturing = self.may_capture(&minting.named.provider, &owner, |taken| MintError::TooMany(taken).into())?;
        let made = self.send_mint(minting, inquiry, incoming, (entry, linger)).await?;
        let Made { judged: Judged { mut sent, peeked, .. }, permit, replay } = made;
        if !sent.response.status().is_success() {
            return Ok(Some(Stepped::injected((sent, peeked), permit, replay, inquiry.agent)));
        }
        let heard = self.hear_after(peeked, &mut sent, &inquiry.agent.label).await;
        let headers = sent.response.headers();
        let read = match heard.whole {
            _ if is_encoded(headers) => Err(MintError::Unread("compressed")),
            Err(why) => Err(MintError::Unread(why)),
            Ok(()) => read_new_key(headers.get(CONTENT_TYPE), &heard.body, &places(mint, "")).map_err(MintError::Kept),
        };
        let kept = match read {
            Ok(None) => {
                // What its fields say is nobody's to know for certain.
                sent.response.headers_mut().clear();
                return Ok(Some(Stepped::injected((sent, Peeked::new()), permit, replay, inquiry.agent)));
            }
            Ok(Some(key)) => self.keep_key((mint, key), &permit, inquiry, owner).await,
            Err(error) => Err(error.into()),
        };
        let text = match kept {
            Ok((id, text)) => {
                entry.made(&id);
                text
            }
            Err(refusal) => {
                ended(entry, &sent, (&replay, linger));
                return Err(refusal.into());
            }
        };
        entry.note("captured");
        describe(sent.response.headers_mut());
        let peeked = Peeked::from_iter([Ok(Frame::data(owned(text)))]);
        Ok(Some(Stepped::injected((sent, peeked), permit, replay, inquiry.agent)))
    }

    /// Steps 4 to 7, with the answer asked for as it is read best. A caller's own credential makes nothing here.
    async fn send_mint(
        self: &Rc<Self>,
        minting: &Minting,
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        (entry, linger): (&mut Entry, bool),
    ) -> Result<Made, Refusal> {
        let mint = || Refusal::Policy(Reason::Mint);
        let way = self.authorize(Route::Inject(minting.named.clone()), inquiry, entry).await?;
        let Way::Permitted(permit, occupants) = way else { return Err(mint()) };
        let mut outbound = of_log_in(inquiry.arrived, inquiry.headers, inquiry.agent, Some(&occupants))?;
        strip_routing_hints(&mut outbound.headers);
        outbound.plan = content::plan(Some(&permit), &inquiry.arrived.target, inquiry.headers)?;
        let opened = entry.open().await?;
        let body = self.look_inside(incoming, &mut outbound, Some(&occupants), Some(&permit)).await?;
        let replay = Rc::new(Replay::keep(body, self.proxy.settings.replay_memory, Some(Arc::clone(&occupants))));
        let sending = Sending::new(&outbound, inquiry.agent, &replay, &opened);
        let sent_at = Instant::now();
        let made = match self.forward(&sending, Some(&permit)).await {
            Ok(sent) => {
                let way = Way::Permitted(permit, occupants);
                self.judge_and_renew(&sending, way, (sent, sent_at), entry).await
            }
            Err(error) => Err(error.into()),
        };
        sending.resent.take().into_iter().for_each(|why| entry.note(why));
        let (judged, permit) = made.map_err(|refusal| {
            replay.finish(linger);
            replay.fault().map_or(refusal, Refusal::from)
        })?;
        replay.stands();
        Ok(Made { judged, permit: permit.ok_or_else(mint)?, replay })
    }

    /// Writes the connection, and makes what the caller gets.
    async fn keep_key(
        &self,
        (mint, key): (&Mint, NewKey),
        permit: &Permit,
        inquiry: &Inquiry<'_>,
        owner: AgentName,
    ) -> Result<(ConnectionId, Zeroizing<Vec<u8>>), Refusal> {
        if !self.proxy.still_known(inquiry.agent) {
            return Err(Refusal::UnknownAgent);
        }
        let provider = permit.provider();
        let shows: Vec<&[Box<str>]> = mint.shows.iter().map(crate::provider::Pointer::names).collect();
        let used: Vec<_> = permit.secrets().collect();
        let now = SystemTime::now();
        let answer = |id: &ConnectionId| {
            let tail = self.proxy.placeholders.tail_since(&owner, id, Some(now));
            key.answer(&places(mint, &tail), (&shows, &tail), &used).map_err(MintError::Kept)
        };
        // Made beforehand: nothing is stored whose answer can't be given.
        answer(&ConnectionId::new(provider.id.clone(), None))?;
        let until = now.checked_add(self.proxy.settings.log_in_wait);
        let (user, made_with) = (inquiry.agent.user.clone(), Some(permit.connection().clone()));
        let whose = Captured { agent: owner.clone(), user, until, since: Some(now), made_with };
        let bound = PendingBound(self.proxy.settings.pending_log_ins);
        let id = self.proxy.broker.capture(connection(provider, &key, permit, whose), bound).await.map_err(not_stored)?;
        tracing::info!(connection = %id, made_with = %permit.connection(), "a credential that a program made waits for approval");
        let text = Zeroizing::new(answer(&id)?.into_bytes());
        Ok((id, text))
    }
}

/// What is said of the caller's answer: what the service said of its own is nobody's to know for certain.
fn describe(headers: &mut HeaderMap) {
    headers.clear();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Where the fields stand, and what the caller gets in their place.
fn places<'m>(mint: &'m Mint, tail: &str) -> Vec<Place<'m>> {
    let place = |field: &'m crate::provider::Minted| Place {
        field: &field.name,
        names: field.member.names(),
        stand_in: field.prefix.as_ref().map(|prefix| format!("{prefix}{tail}")),
    };
    mint.fields.iter().map(place).collect()
}

/// What is stored: what the service made, and of the connection that it was made with what is no secret, for the hosts that the provider's
/// file gives them now.
fn connection(provider: &Provider, key: &NewKey, permit: &Permit, whose: Captured) -> vault::Entry {
    let mut fields = Credential::default();
    let open = provider.fields.iter().filter(|field| !field.secret && !field.file).map(|field| field.name.as_str());
    for name in open.chain(["username"]) {
        permit.field(name).into_iter().for_each(|value| fields.set(name, value.duplicate()));
    }
    for (name, value) in &key.fields {
        fields.set(name, value.duplicate());
    }
    provider.derive_fields(&mut fields);
    let has = |name: &str| fields.field(name).is_some();
    let auth_type = match () {
        () if has("access_token") => AuthType::OAuth2,
        () if has("password") => AuthType::BasicAuth,
        () => AuthType::ApiKey,
    };
    let mut entry = vault::Entry::new(provider.id.clone(), auth_type, fields);
    let is_spent = provider.spends("client_secret");
    let hosts = provider.bound_hosts(&|name| entry.placed_field(name, is_spent)).unwrap_or_default();
    let token_urls = provider.token_urls(&|name| entry.fields.field(name));
    entry.seal(hosts);
    entry.token_urls = token_urls;
    entry.captured = Some(whose);
    entry
}

fn not_stored(error: NotCaptured) -> MintError {
    // Also where others took the places that were left: the service has made it all the same.
    tracing::error!(error = &error as &dyn std::error::Error, "a new credential could not be stored");
    MintError::NotStored(error)
}
