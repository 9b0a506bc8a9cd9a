//! What the rules ask of a request that they don't refuse outright: a look at its body, and that it counts.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, HeaderValue, Method, request};
use smallvec::SmallVec;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::approval::{BEGINNING, Pending};
use super::choose::Inquiry;
use super::content::{ContentError, Gathered, gather, gather_while, held};
use super::door::{Arrived, strip_routing_hints};
use super::exchange::Stop;
use super::hours::Hours;
use super::load::Counted;
use super::meter::{Now, Pass};
use super::refusal::Refusal;
use super::replay::Inflow;
use super::worker::Worker;
use crate::agent::{Agent, Lease};
use crate::audit::Entry;
use crate::decide::{Asking, Decision, Reason, Route};
use crate::model::Methods;
use crate::policy::{Content, Ruling, Seen, does};

/// What a request takes until it ends.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) _counted: Option<Counted>,
    passes: SmallVec<[Pass; 1]>,
    /// The rules, by all that they say, to which a person has said yes.
    pub(super) approved: Vec<[u8; 32]>,
    /// Until when the rules let on what it leads to, where they speak of times.
    pub(super) hours: Option<Hours>,
}

impl Taken {
    /// One request of an agent.
    pub(super) fn counted(counted: Option<Counted>) -> Self {
        Self { _counted: counted, ..Self::default() }
    }

    /// Counts `bytes` of the request or its answer.
    pub(super) fn moved(&self, bytes: u64) {
        for pass in &self.passes {
            pass.moved(bytes);
        }
    }
}

/// A request's body as far as it is known, for the rules.
fn content<'r>(headers: &'r HeaderMap, incoming: Option<&'r Inflow>) -> Content<'r> {
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let first = kinds.next().map(HeaderValue::as_bytes);
    // Of two fields nobody knows which one counts.
    let (kind, twice) = if kinds.next().is_some() { (None, true) } else { (first, false) };
    let ambiguous = twice || kind.is_some_and(|kind| kind.contains(&b','));
    let seen = match incoming {
        Some(Inflow::Whole(_)) if headers.contains_key(CONTENT_ENCODING) => Seen::Coded,
        Some(Inflow::Whole(body)) => Seen::Whole(body),
        // More than is looked at.
        Some(Inflow::Begun(first, _)) => Seen::Partly(first),
        Some(Inflow::Stream(_)) | None => Seen::Nothing,
    };
    Content { kind, ambiguous, length: incoming.and_then(Inflow::length), seen }
}

/// What the body puts in the method's place, for what a person is asked and has said: of what nobody has read, anything.
pub(super) fn in_place(method: &Method, headers: &HeaderMap, incoming: Option<&Inflow>) -> Methods {
    let content = content(headers, incoming);
    if content.may_name_method_unread(method.as_str()) { Methods::ANY } else { content.methods(method.as_str()) }
}

/// Whether what the body puts in the method's place would count: for a rule, for what an answer may hold, for what a person has let on.
fn would_count(Decision { route, ruling, by_body, .. }: &Decision, parts: &request::Parts) -> bool {
    // Who waits for a 100 sends it once the request may go on: a person is asked without it.
    let asked = !ruling.approvals.is_empty() && !parts.headers.contains_key(EXPECT);
    (ruling.by_method || *by_body || asked) && !matches!(route, Route::Refuse(_))
}

/// Whether the body may name a method, and is still to come.
fn is_unread(arrived: &Arrived, parts: &request::Parts, incoming: Option<&Inflow>) -> bool {
    let method = arrived.target.method.as_str();
    matches!(incoming, Some(Inflow::Stream(_))) && content(&parts.headers, incoming).may_name_method_unread(method)
}

/// Counts a request of a lease that may go on as one of its calls.
fn take_call(agent: &Agent) -> Result<(), Refusal> {
    if agent.lease().is_none_or(Lease::take_call) { Ok(()) } else { Err(Refusal::LeaseSpent) }
}

impl Worker {
    /// Step 3: where a request leads, once what the rules ask for is done and the one that decided is written down.
    pub(super) async fn rule(
        &self,
        (arrived, agent): (&Arrived, &Arc<Agent>),
        (parts, incoming, upgrade): (&mut request::Parts, &mut Option<Inflow>, bool),
        (taken, entry): (&mut Taken, &mut Entry),
    ) -> Result<Route, Stop> {
        let mut decision = self.decide((arrived, agent), (parts, incoming.as_ref(), upgrade), entry.began());
        if would_count(&decision, parts) && is_unread(arrived, parts, incoming.as_ref()) {
            // Nearly no request is one, and that state is large.
            let needed = decision.ruling.by_method || decision.by_body;
            Box::pin(self.read_form(agent, (parts, incoming), needed)).await?;
            decision = self.decide((arrived, agent), (parts, incoming.as_ref(), upgrade), SystemTime::now());
        }
        let Decision { route, ruling, owner, .. } = decision;
        // What ends here is its provider's as well as what goes on.
        owner.iter().for_each(|provider| entry.provider(&provider.id));
        ruling.deciding().into_iter().for_each(|rule| entry.rule(rule.name()));
        ruling.reports.iter().for_each(|rule| entry.report(rule.name()));
        if ruling.denied.is_some() || matches!(route, Route::Refuse(_)) {
            self.check_refused((arrived, agent), &parts.headers, entry);
        }
        if let Some(rule) = &ruling.denied {
            return Err(Refusal::Rule(Arc::clone(rule)).into());
        }
        match route {
            Route::Refuse(reason @ Reason::Unruled) => return Err(Refusal::Policy(reason).into()),
            Route::Refuse(_) => return Ok(route),
            _ => {}
        }
        if ruling.timed {
            taken.hours = Some(self.hours((arrived, agent), (parts, incoming.as_ref(), upgrade)));
        }
        self.take_passes(&ruling, agent, taken, entry)?;
        if !ruling.looks.is_empty() {
            // Nearly no request is looked into, and that state is large.
            Box::pin(self.look(&ruling, agent, (parts, incoming), entry)).await?;
        }
        if ruling.approvals.is_empty() {
            return take_call(agent).map(|()| route).map_err(Stop::from);
        }
        let inquiry = Inquiry { arrived, agent, headers: &parts.headers };
        ruling.approvals.iter().filter(|rule| rule.reports()).for_each(|rule| entry.would_hold(rule.name()));
        let pending = Pending { inquiry: &inquiry, incoming, upgrade, taken, entry };
        let route = Box::pin(self.when_approved(route, ruling, pending)).await?;
        if matches!(route, Route::Refuse(_)) { Ok(route) } else { take_call(agent).map(|()| route).map_err(Stop::from) }
    }

    fn decide(
        &self,
        (arrived, agent): (&Arrived, &Arc<Agent>),
        (parts, incoming, upgrade): (&mut request::Parts, Option<&Inflow>, bool),
        now: SystemTime,
    ) -> Decision {
        let rules = self.proxy.rules.load();
        let content = content(&parts.headers, incoming);
        let asking = Asking { target: &arrived.target, agent, content, upgrade, now };
        let decision = rules.decide(&asking);
        if rules.policy().looks_at_requests() {
            strip_routing_hints(&mut parts.headers);
        }
        decision
    }

    #[cold]
    fn hours(
        &self,
        (arrived, agent): (&Arrived, &Arc<Agent>),
        (parts, incoming, upgrade): (&request::Parts, Option<&Inflow>, bool),
    ) -> Hours {
        let content = content(&parts.headers, incoming);
        let asking = Asking { target: &arrived.target, agent, content, upgrade, now: SystemTime::now() };
        Hours::of_request(&self.proxy, agent, &asking)
    }

    /// Reads a body that may name a method, which stays at hand; of one that is too large, the beginning, and of one that is too slow as well
    /// where it is not `needed`.
    async fn read_form(
        &self,
        agent: &Agent,
        (parts, incoming): (&mut request::Parts, &mut Option<Inflow>),
        needed: bool,
    ) -> Result<(), Refusal> {
        let settings = &self.proxy.settings;
        let mut inflow = incoming.take().ok_or(Refusal::Draining)?;
        let mut room = self.room(&agent.label);
        let mut read = Zeroizing::new(Vec::new());
        let about = content(&parts.headers, None);
        let enough = |first: &[u8]| about.says_nothing(first);
        let gathering = gather_while(&mut read, &mut inflow, (settings.content, &enough), &mut room);
        let patience = if needed { settings.idle_timeout } else { BEGINNING };
        let gathered = timeout(patience, gathering).await.unwrap_or_else(|_elapsed| Err(ContentError::Late.into()));
        let body = held(read, room);
        *incoming = Some(match gathered {
            Ok(Gathered::Enough) => inflow.with_first(body),
            Ok(Gathered::All) => {
                if !body.is_empty() {
                    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
                }
                Inflow::Whole(body)
            }
            Err(Refusal::Content(ContentError::TooLarge) | Refusal::Limit(_)) => inflow.with_first(body),
            Err(Refusal::Content(ContentError::Late)) if !needed => inflow.with_first(body),
            Err(broken) => return Err(broken),
        });
        Ok(())
    }

    /// The same for a request that has waited meanwhile: it counts already, and what had to be seen of it was.
    pub(super) async fn rule_again(&self, mut pending: Pending<'_>) -> Result<Route, Stop> {
        let decision = self.decide_again(&mut pending)?;
        if decision.ruling.approvals.is_empty() {
            Ok(decision.route)
        } else {
            self.when_approved(decision.route, decision.ruling, pending).await
        }
    }

    pub(super) fn decide_again(&self, pending: &mut Pending<'_>) -> Result<Decision, Refusal> {
        let Inquiry { arrived, agent, headers } = pending.inquiry;
        let (target, content) = (&arrived.target, content(headers, pending.incoming.as_ref()));
        let asking = Asking { target, agent, content, upgrade: pending.upgrade, now: SystemTime::now() };
        let decision = self.proxy.rules.load().decide(&asking);
        let ruling = &decision.ruling;
        ruling.deciding().into_iter().for_each(|rule| pending.entry.rule(rule.name()));
        if let Some(rule) = &ruling.denied {
            return Err(Refusal::Rule(Arc::clone(rule)));
        }
        match &decision.route {
            Route::Refuse(reason @ Reason::Unruled) => Err(Refusal::Policy(*reason)),
            _ => Ok(decision),
        }
    }

    fn take_passes(&self, ruling: &Ruling, agent: &Agent, taken: &mut Taken, entry: &mut Entry) -> Result<(), Refusal> {
        for rule in &ruling.limits {
            let now = Now::read();
            match self.proxy.meters.take(rule, &agent.label, now) {
                Ok(pass) => taken.passes.push(pass),
                Err(_wait) if rule.reports() => entry.report(rule.name()),
                Err(wait) => {
                    return Err(Refusal::Metered { rule: Arc::clone(rule), wait });
                }
            }
        }
        self.take_rate(agent)?;
        // Nobody is asked about a request that has no call left.
        if agent.lease().is_none_or(|lease| lease.calls_left() != Some(0)) { Ok(()) } else { Err(Refusal::LeaseSpent) }
    }

    fn take_rate(&self, agent: &Agent) -> Result<(), Refusal> {
        let Some(rate) = agent.rate() else { return Ok(()) };
        self.proxy.meters.take_own(rate, &agent.label, Now::read()).map_err(|wait| Refusal::Rate { wait })
    }

    /// Counts a tunnel by the agent's own rate and, of a lease, as one of its calls.
    pub(super) fn take_own(&self, agent: &Agent) -> Result<(), Refusal> {
        self.take_rate(agent)?;
        take_call(agent)
    }

    /// Reads the whole body, which stays at hand, and asks what it does.
    async fn look(
        &self,
        ruling: &Ruling,
        agent: &Agent,
        (parts, incoming): (&mut request::Parts, &mut Option<Inflow>),
        entry: &mut Entry,
    ) -> Result<(), Refusal> {
        let settings = &self.proxy.settings;
        let mut room = self.room(&agent.label);
        let gathering = gather(incoming.as_mut().ok_or(Refusal::Draining)?, settings.content, &mut room);
        let body = timeout(settings.idle_timeout, gathering).await.map_err(|_elapsed| ContentError::Late)??;
        let body = held(body, room);
        let plain = !parts.headers.contains_key(CONTENT_ENCODING);
        let about = content(&parts.headers, None);
        let kind = about.kind.filter(|_| plain && !about.ambiguous);
        let does = does(kind, parts.uri.query(), &body);
        if !body.is_empty() {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        *incoming = Some(Inflow::Whole(body));
        for rule in &ruling.looks {
            let inside = rule.lets_on(does);
            if !inside && rule.reports() {
                entry.report(rule.name());
            } else if !inside {
                return Err(Refusal::Rule(Arc::clone(rule)));
            }
        }
        Ok(())
    }
}
