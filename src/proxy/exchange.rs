//! THE REQUEST PATH: identify, decide, authorize, record, forward, renew, observe.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALT_SVC, AUTHORIZATION, CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::activity::Busy;
use super::approval::Pending;
use super::authenticate::{note_agent, note_source};
use super::body::{Peeked, ResponseBody};
use super::choose::Inquiry;
use super::coded;
use super::content;
use super::door::{Arrived, Door, is_own_name};
use super::fields::clean_injected;
use super::forward::Sending;
use super::internal;
use super::judge::Judged;
use super::load::Counted;
use super::log_in::ended;
use super::observe::{Observation, strip_hop_by_hop};
use super::outbound::{Outbound, check_method, outbound};
use super::refusal::Refusal;
use super::renew::is_final;
use super::replay::{Inflow, Replay, RequestBody, read_away};
use super::ruled::Taken;
use super::tongue::Tongue;
use super::upgrade::{self, Relay};
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::{Entry, Kind, Verdict};
use crate::broker::Permit;
use crate::decide::{Occupants, Route};
use crate::guard::Decoder;
use crate::model::ConnectionId;
use crate::provider::Provider;
use crate::upstream::Sent;

/// What an exchange ended with.
pub(super) enum Answer {
    /// A response.
    Response(Response<ResponseBody>),
    /// 101: the caller's stream becomes one end of the relay once this head is out.
    Switched(Response<ResponseBody>, Box<Relay>),
}

/// A request as it came. On the heap, so that no step carries it along.
pub(super) struct Asked {
    parts: request::Parts,
    incoming: Option<Inflow>,
}

impl Asked {
    /// Takes `request` apart.
    pub(super) fn new(request: Request<Incoming>) -> Box<Self> {
        let (parts, incoming) = request.into_parts();
        Box::new(Self { parts, incoming: Some(Inflow::Stream(incoming)) })
    }

    /// A request whose body is at hand.
    pub(super) fn whole(parts: request::Parts, body: Bytes) -> Box<Self> {
        Box::new(Self { parts, incoming: Some(Inflow::Whole(body)) })
    }

    /// Whether the method is HEAD.
    pub(super) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }
}

/// What `decide` and `authorize` made of a request.
pub(super) enum Way {
    /// Forwarded as it is, hop-by-hop fields aside.
    Plain,
    /// A host of providers, nothing injected: their slots are stripped.
    Stripped(Arc<Occupants>),
    /// With a live credential, in place of whatever stood in the slots of this host's providers.
    Permitted(Permit, Arc<Occupants>),
    /// A provider's host without a credential: what the caller sent goes on, and a 401 is told for what it is. With the connection that
    /// the request named.
    Unregistered(Arc<Provider>, Option<ConnectionId>),
}

impl Way {
    /// What it goes with.
    pub(super) fn permit(&self) -> Option<&Permit> {
        match self {
            Self::Permitted(permit, _) => Some(permit),
            Self::Plain | Self::Stripped(_) | Self::Unregistered(..) => None,
        }
    }

    /// The service has not refused what the request of `sent_at` went with, which is returned beside the answer.
    fn has_worked(self, sent: Box<Sent<RequestBody>>, sent_at: Instant) -> (Judged, Option<Permit>) {
        let permit = match self {
            Self::Permitted(permit, _) => {
                permit.answered(sent.response.status(), sent_at);
                Some(permit)
            }
            Self::Plain | Self::Stripped(_) | Self::Unregistered(..) => None,
        };
        (Judged::unjudged(sent), permit)
    }

    /// The providers whose slots are stripped from the request: all of the host's, not only the one that it is for.
    pub(super) fn stripped(&self) -> Option<&Arc<Occupants>> {
        match self {
            Self::Plain | Self::Unregistered(..) => None,
            Self::Stripped(occupants) | Self::Permitted(_, occupants) => Some(occupants),
        }
    }
}

impl Worker {
    /// Answers one request. Never fails: an error becomes a response, and either way the record is closed.
    pub(super) async fn exchange(self: &Rc<Self>, door: &Door, asked: &mut Asked, busy: Busy) -> Answer {
        door.used();
        let mut entry = self.spool.begin(Kind::Request);
        entry.ends_with(busy.ended_for());
        note_source(&mut entry, door.origin());
        entry.http(asked.parts.version);
        entry.begin_span(&asked.parts.headers);
        // An HTTP/1.1 caller can't be told to stop sending.
        let linger = asked.parts.version != http::Version::HTTP_2;
        let tongue = Tongue::of(&asked.parts.headers);
        // On the heap: an idle stream has no room for it.
        let stepped = Box::pin(self.steps(door, asked, &mut entry, linger)).await;
        if linger && let Some(unread) = asked.incoming.take() {
            read_away(unread);
        }
        let mut refusal = match stepped {
            Ok(stepped) => match self.decoder(&stepped.sent, stepped.permit.as_ref(), &stepped.agent) {
                Ok(None) => return self.answer((stepped, None), entry, busy, linger),
                Ok(decoder) => {
                    return match self.answer((stepped, decoder), entry, busy, linger) {
                        Answer::Response(response) => Answer::Response(Box::pin(coded::begun(response, tongue)).await),
                        switched @ Answer::Switched(..) => switched,
                    };
                }
                Err(refusal) => {
                    ended(&mut entry, &stepped.sent, (&stepped.replay, linger));
                    refusal
                }
            },
            Err(Stop::Page(response)) => match Box::pin(show(&mut entry, *response)).await {
                Ok(response) => return Answer::Response(response),
                Err(refusal) => refusal,
            },
            Err(Stop::Answered(response)) => return Answer::Response(*response),
            Err(Stop::Refusal(refusal)) => refusal,
        };
        if let Refusal::AuthRequired(missing) = &mut refusal {
            self.note_need(missing, &entry);
        }
        Answer::Response(refused(&refusal, entry, tongue))
    }

    /// Steps 2 to 7. What it returns is ready to be observed.
    async fn steps(self: &Rc<Self>, door: &Door, asked: &mut Asked, entry: &mut Entry, linger: bool) -> Result<Stepped, Stop> {
        let Asked { parts, incoming } = asked;
        door.note(entry, parts);
        let (upgrade, extended) = (upgrade::asked(parts), parts.method == Method::CONNECT);
        let arrived = door.identify(self, parts)?; // 2 identify
        note_arrival(entry, door, &arrived);
        check_method(parts)?;
        let mut taken = Taken::counted(self.count(&arrived)?);
        self.own_page(&arrived, parts, entry)?;
        let agent = arrived.agent.clone().ok_or(Refusal::UnknownAgent)?;
        self.proxy.check_frozen(&agent)?;
        let route = self.rule((&arrived, &agent), (parts, incoming, upgrade), (&mut taken, entry)).await?; // 3 decide
        let inquiry = Inquiry { arrived: &arrived, agent: &agent, headers: &parts.headers };
        let way = match self.find_way((route, upgrade), &inquiry, incoming, (entry, linger, &mut taken)).await? {
            Found::Way(way) => way,
            Found::Stepped(stepped) => return Ok(Stepped { taken, ..*stepped }),
        };
        let stripped = way.stripped().map(Arc::clone);
        let mut outbound = self.outbound((arrived, parts), &way, (&agent, upgrade), entry)?;
        let opened = entry.open().await.map_err(Refusal::from)?; // 5 record
        let incoming = self.look_inside(incoming, &mut outbound, stripped.as_deref(), way.permit()).await?;
        let watch = self.check_body(&incoming, (&outbound, &way), &agent, entry)?;
        let replay = Rc::new(Replay::keep(incoming, self.proxy.settings.replay_memory, stripped).watched(watch));
        let sending = Sending::new(&outbound, &agent, &replay, &opened);
        let sent_at = Instant::now();
        // 6 forward
        let forwarded = match self.forward(&sending, way.permit()).await {
            Ok(sent) if is_final(&sent, &way) => Ok(way.has_worked(sent, sent_at)),
            // It is rare, and its state is large.
            Ok(sent) => Box::pin(self.judge_and_renew(&sending, way, (sent, sent_at), entry)).await, // 7 renew
            Err(error) => Err(error.into()),
        };
        sending.resent.take().into_iter().for_each(|why| entry.note(why));
        let (Judged { sent, peeked, .. }, permit) = forwarded.map_err(|refusal| {
            replay.finish(linger);
            replay.note_in(entry);
            replay.fault().map_or(refusal, Refusal::from)
        })?;
        replay.stands();
        let switch = switch(&outbound, &sent, (upgrade, extended))?;
        Ok(Stepped { sent, peeked, permit, replay, taken, switch, agent })
    }

    /// The request as it leaves, with nothing in it that may not.
    fn outbound(
        &self,
        (arrived, parts): (Arrived, &mut request::Parts),
        way: &Way,
        (agent, upgrade): (&Arc<Agent>, bool),
        entry: &mut Entry,
    ) -> Result<Outbound, Refusal> {
        let plan = content::plan(way.permit(), &arrived.target, &parts.headers)?;
        let occupants = way.stripped().map(|occupants| &**occupants);
        self.check_slots(occupants, &Inquiry { arrived: &arrived, agent, headers: &parts.headers }, entry)?;
        let mut outbound = outbound(arrived, parts, occupants, (agent, upgrade, plan))?;
        self.look_out(agent, way.permit(), &mut outbound);
        // What the caller signed stays as it is, unless it is signed anew.
        if way.permit().is_some() || !signs_trace(&outbound.headers) {
            entry.trace(&mut outbound.headers);
        }
        self.check_head(&outbound, way, agent, entry)?;
        Ok(outbound)
    }

    /// Step 4; 3 and 4 over again where the request has waited for a person.
    async fn find_way(
        self: &Rc<Self>,
        (mut route, upgrade): (Route, bool),
        inquiry: &Inquiry<'_>,
        incoming: &mut Option<Inflow>,
        (entry, linger, taken): (&mut Entry, bool, &mut Taken),
    ) -> Result<Found, Stop> {
        let mut holding = None;
        loop {
            if let Some(telling) = self.at_token_endpoint(&route, inquiry, incoming, (entry, linger))
                && let Some(stepped) = telling.await?
            {
                return Ok(Found::Stepped(stepped));
            }
            match self.authorize(route, inquiry, entry).await {
                Err(Refusal::AuthRequired(missing)) => Box::pin(self.hold(missing, inquiry, entry, &mut holding)).await?,
                way => return Ok(Found::Way(way?)), // 4 authorize
            }
            route = Box::pin(self.rule_again(Pending { inquiry, incoming, upgrade, taken, entry })).await?;
        }
    }

    /// Step 8: the response that the caller gets, followed to its end.
    fn answer(
        self: &Rc<Self>,
        (stepped, decoder): (Stepped, Option<Box<Decoder>>),
        mut entry: Entry,
        busy: Busy,
        linger: bool,
    ) -> Answer {
        let Stepped { sent, peeked, permit, replay, taken, switch, agent } = stepped;
        entry.dialled(sent.address);
        entry.upstream_http(if sent.http2 { http::Version::HTTP_2 } else { http::Version::HTTP_11 });
        let (mut parts, incoming) = sent.response.into_parts();
        entry.status(parts.status.as_u16());
        strip_hop_by_hop(&mut parts.headers);
        // Another way to the service would be a way around the proxy.
        parts.headers.remove(ALT_SVC);
        // RFC 9110 §8.6: a 204 has none, and an HTTP/2 caller would wait for what it promises.
        if parts.status == StatusCode::NO_CONTENT {
            parts.headers.remove(CONTENT_LENGTH);
        }
        if decoder.is_some() {
            coded::describe_decoded(&mut parts.headers);
        }
        if let Some(permit) = &permit {
            let stand_in = || self.proxy.stand_in(&agent, permit);
            entry.guard_hits(clean_injected(&mut parts.headers, permit, &stand_in));
        }
        // A reason phrase could carry anything; the caller gets the standard one.
        parts.extensions.clear();
        parts.version = http::Version::HTTP_11;
        if let Some(switch) = switch {
            let guard = permit.and_then(|permit| self.guard_switched(&agent, permit, &switch.fields, &mut parts.headers));
            parts.headers.extend(switch.fields);
            let relay = Relay { lease: sent.lease, entry, agent, taken, guard, _busy: busy };
            return Answer::Switched(Response::from_parts(parts, ResponseBody::empty()), Box::new(relay));
        }
        busy.moved();
        let guarded = self.guard(agent, (permit.as_ref(), decoder), &mut parts.headers, &mut entry);
        let observation = Observation { entry: Some(entry), replay, permit, guarded, linger, taken, busy };
        let body = ResponseBody::observed(
            (peeked, incoming),
            sent.lease,
            observation,
            self.proxy.settings.idle_timeout,
            sent.bodiless,
        );
        Answer::Response(Response::from_parts(parts, body))
    }

    /// Stops with a page where it is ours. That there is none of the name is an answer as well: no service was asked for.
    fn own_page(&self, arrived: &Arrived, parts: &request::Parts, entry: &Entry) -> Result<(), Stop> {
        if !is_own_name(&arrived.target.authority.host) {
            return Ok(());
        }
        let page = match internal::page(self, arrived) {
            Err(none @ (Refusal::NoSuchPage | Refusal::Method(_))) => {
                none.response_in(Tongue::of(&parts.headers), entry.id().as_str())
            }
            page => page?,
        };
        Err(Stop::Page(Box::new(page)))
    }

    fn count(&self, arrived: &Arrived) -> Result<Option<Counted>, Refusal> {
        let Some(load) = &arrived.load else { return Ok(None) };
        load.request(self.proxy.settings.agent_requests).map(Some).ok_or(Refusal::Limit("requests of this agent at once"))
    }
}

/// Whether the caller's own signature covers the trace that it is in.
fn signs_trace(headers: &HeaderMap) -> bool {
    let names = |value: &HeaderValue| memchr::memmem::find(value.as_bytes(), b"traceparent").is_some();
    headers.contains_key("traceparent") && headers.get_all(AUTHORIZATION).iter().any(names)
}

/// The answer of a request that is refused, which is its end.
fn refused(refusal: &Refusal, mut entry: Entry, tongue: Tongue) -> Response<ResponseBody> {
    refusal.record_in(&mut entry);
    entry.ends_well();
    refusal.response_in(tongue, entry.id().as_str())
}

/// Nothing leaves, but who reads our own pages is worth a line too.
async fn show(entry: &mut Entry, response: Response<ResponseBody>) -> Result<Response<ResponseBody>, Refusal> {
    entry.verdict(Verdict::Answer);
    entry.status(response.status().as_u16());
    entry.open().await?;
    Ok(response)
}

/// What [`Worker::steps`] hands to the answer.
pub(super) struct Stepped {
    sent: Box<Sent<RequestBody>>,
    peeked: Peeked,
    permit: Option<Permit>,
    replay: Rc<Replay>,
    taken: Taken,
    switch: Option<Box<Switch>>,
    /// Who asked.
    agent: Arc<Agent>,
}

impl Stepped {
    /// The service's answer to a request without a credential of ours.
    pub(super) fn plain(sent: Box<Sent<RequestBody>>, peeked: Peeked, replay: Rc<Replay>, agent: &Arc<Agent>) -> Box<Self> {
        let agent = Arc::clone(agent);
        Box::new(Self { sent, peeked, permit: None, replay, taken: Taken::default(), switch: None, agent })
    }

    /// The service's answer to a request with the credential of `permit`.
    pub(super) fn injected(
        (sent, peeked): (Box<Sent<RequestBody>>, Peeked),
        permit: Permit,
        replay: Rc<Replay>,
        agent: &Arc<Agent>,
    ) -> Box<Self> {
        Box::new(Self { permit: Some(permit), ..*Self::plain(sent, peeked, replay, agent) })
    }
}

/// What a change of protocols needs: what the caller is told of it.
struct Switch {
    fields: [(HeaderName, HeaderValue); 2],
}

/// What the caller is told where the service changes the protocol; nothing where it does not.
fn switch(
    outbound: &Outbound,
    sent: &Sent<RequestBody>,
    (upgrade, extended): (bool, bool),
) -> Result<Option<Box<Switch>>, Refusal> {
    let response = &sent.response;
    if extended && response.status().is_success() {
        // It would tell the caller that its WebSocket stands (RFC 8441 §5); without a 101 it does not.
        return Err(Refusal::NotSwitched);
    }
    if !upgrade || response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    let Some(offer) = outbound.headers.get(UPGRADE) else { return Ok(None) };
    let fields = upgrade::keep_fields(offer, response.headers()).ok_or(Refusal::NotSwitched)?;
    Ok(Some(Box::new(Switch { fields })))
}

/// What step 4 leads to.
enum Found {
    /// The request goes out so.
    Way(Way),
    /// Where credentials are given, it went out already.
    Stepped(Box<Stepped>),
}

/// Why the steps ended early.
pub(super) enum Stop {
    /// Refused.
    Refusal(Refusal),
    /// One of our own pages.
    Page(Box<Response<ResponseBody>>),
    /// Answered by us, and on record already.
    Answered(Box<Response<ResponseBody>>),
}

impl<E: Into<Refusal>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Refusal(error.into())
    }
}

fn note_arrival(entry: &mut Entry, door: &Door, arrived: &Arrived) {
    if matches!(door, Door::Inside(_)) {
        return;
    }
    entry.door(arrived.entrance);
    entry.target(&arrived.target);
    if let Some(agent) = &arrived.agent {
        note_agent(entry, agent);
    }
}
