//! Placeholders where they don't belong: what says that a program, or who speaks through it, moves what it was lent.
//!
//! A placeholder is worthless, so nothing is lost when one leaves. But whoever sends it elsewhere would have sent the credential.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};

use super::choose::{Inquiry, find_in, find_in_slots};
use super::door::Arrived;
use super::exchange::Way;
use super::outbound::Outbound;
use super::placeholders::Meaning;
use super::refusal::Refusal;
use super::refused::Refused;
use super::replay::Inflow;
use super::worker::Worker;
use crate::agent::{Agent, Frozen, Runs, is_for, tails};
use crate::attention::Alarm;
use crate::audit::{Entry, Id};
use crate::decide::{Occupants, OnCanary};
use crate::model::{Authority, Target};
use crate::provider::Slot;

/// Bytes of a body that are looked through; what a program writes out, it writes at the beginning.
const WINDOW: usize = 1024 * 1024;

/// Where one was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A label of the host's name, which name servers are asked for.
    Host,
    Path,
    Query,
    Header,
    /// Where this service takes a credential: one of another agent, or for another service.
    Slot,
    Body,
}

impl Place {
    /// Its stable word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Slot => "slot",
            Self::Body => "body",
        }
    }
}

/// One that was seen.
#[derive(Debug)]
pub(super) struct Sighting {
    place: Place,
    /// Whose it is and what for; `None` where agent or connection is no more.
    owner: Option<Meaning>,
    refused: bool,
}

/// In whose request.
struct Scene<'a> {
    agent: &'a Arc<Agent>,
    host: String,
    id: Id,
}

impl Sighting {
    /// Puts it into the record.
    pub(super) fn note_in(&self, entry: &mut Entry) {
        let owner = self.owner.as_ref();
        entry.canary(self.place.word(), owner.and_then(|owner| owner.whose.as_ref()), owner.map(|owner| &owner.connection));
    }

    /// # Errors
    /// The refusal, where the operator wants one.
    fn judged(self) -> Result<(), Refusal> {
        if self.refused { Err(Refusal::Canary(self.place)) } else { Ok(()) }
    }
}

/// Looks at what may be the end of a placeholder.
type See = Box<dyn FnMut(&[u8]) -> Option<Sighting>>;

/// A body that is looked through as it moves.
pub(super) struct BodyWatch {
    runs: Runs,
    left: usize,
    see: See,
    seen: Option<Sighting>,
}

impl BodyWatch {
    /// Looks through the next piece; true = it must not go on.
    pub(super) fn feed(&mut self, piece: &[u8]) -> bool {
        if self.seen.is_some() || self.left == 0 {
            return false;
        }
        let piece = piece.get(..self.left).unwrap_or(piece);
        self.left -= piece.len();
        let Self { runs, see, seen, .. } = self;
        runs.feed(piece, |tail| {
            if seen.is_none() {
                *seen = see(tail);
            }
        });
        seen.as_ref().is_some_and(|sighting| sighting.refused)
    }

    /// What was seen.
    pub(super) fn seen(&self) -> Option<&Sighting> {
        self.seen.as_ref()
    }
}

impl Worker {
    /// Looks at what of the head would leave, and at what was taken out of the slots.
    ///
    /// # Errors
    /// The refusal, where a placeholder is in a wrong place and the operator wants one.
    pub(super) fn check_slots(
        &self,
        occupants: Option<&Occupants>,
        inquiry: &Inquiry<'_>,
        entry: &mut Entry,
    ) -> Result<(), Refusal> {
        let Some(occupants) = occupants else { return Ok(()) };
        let find = |value: &[u8]| self.foreign(value, occupants);
        match find_in_slots(&find, occupants, inquiry) {
            Some(tail) => self.sighted(Place::Slot, &tail, (inquiry.arrived, inquiry.agent), entry),
            None => Ok(()),
        }
    }

    /// A placeholder in `value` that is for none of the providers of the place, nor for one whose tokens come from the same endpoint.
    fn foreign(&self, value: &[u8], occupants: &Occupants) -> Option<Vec<u8>> {
        let theirs = |tail: &[u8]| occupants.providers.iter().any(|provider| is_for(tail, &provider.id));
        let tail = tails(value).find(|tail| !theirs(tail) && self.proxy.made(tail))?;
        let rules = self.proxy.rules.load();
        let mut kin = occupants.providers.iter().flat_map(|provider| rules.kin(provider));
        (!kin.any(|provider| is_for(tail, &provider.id))).then(|| tail.to_vec())
    }

    /// Looks at the head that would leave, which has nothing in its slots any more.
    ///
    /// # Errors
    /// As [`Worker::check_slots`].
    pub(super) fn check_head(
        &self,
        outbound: &Outbound,
        way: &Way,
        agent: &Arc<Agent>,
        entry: &mut Entry,
    ) -> Result<(), Refusal> {
        let occupants = way.stripped();
        // A credential in the path is put over what stands there when it goes out.
        let in_path = occupants.filter(|occupants| occupants.slots.iter().any(|slot| matches!(slot, Slot::Path(_))));
        let target = &outbound.target;
        // Where nothing is registered, and nothing stripped, what stands in a field is the service's own affair.
        let own_fields = matches!(way, Way::Plain) && self.proxy.rules.load().knows(&target.authority.host);
        let headers = if own_fields { None } else { Some(&outbound.headers) };
        let Some((place, tail)) = self.find_in_head(target, headers) else { return Ok(()) };
        if place == Place::Path && in_path.is_some_and(|occupants| self.foreign(&tail, occupants).is_none()) {
            return Ok(());
        }
        self.seen(place, &tail, &scene(target, agent, entry), entry)
    }

    /// Looks at a request that is refused anyhow, to a host that is no service's: a try is worth an alarm too.
    #[cold]
    pub(super) fn check_refused(&self, (arrived, agent): (&Arrived, &Arc<Agent>), headers: &HeaderMap, entry: &mut Entry) {
        let target = &arrived.target;
        if !self.proxy.rules.load().knows(&target.authority.host)
            && let Some((place, tail)) = self.find_in_head(target, Some(headers))
        {
            // It is refused already.
            drop(self.seen(place, &tail, &scene(target, agent, entry), entry));
        }
    }

    /// Another agent's placeholder stood in a slot, which is why the request is refused.
    #[cold]
    pub(super) fn sight_foreign(&self, occupants: &Occupants, inquiry: &Inquiry<'_>, entry: &mut Entry) {
        let find = |value: &[u8]| tails(value).find(|tail| self.proxy.made(tail)).map(<[u8]>::to_vec);
        if let Some(tail) = find_in_slots(&find, occupants, inquiry) {
            drop(self.sighted(Place::Slot, &tail, (inquiry.arrived, inquiry.agent), entry));
        }
    }

    /// Why nothing goes through a CONNECT to `authority`, whatever the rules say of it: its agent is frozen, or the name holds what it must not.
    pub(super) fn stops(&self, authority: &Authority, agent: &Arc<Agent>, entry: &mut Entry) -> Option<Refused> {
        if self.proxy.agents.is_frozen(&agent.name) {
            return Some(Refused::Frozen);
        }
        let tail = self.proxy.placeholder_in(authority.host.name()?.as_bytes())?;
        let scene = Scene { agent, host: authority.host.to_string(), id: entry.id() };
        self.seen(Place::Host, tail, &scene, entry).is_err().then_some(Refused::Canary(Place::Host))
    }

    /// Whether a request with a placeholder in a wrong place goes nowhere.
    pub(super) fn would_refuse(&self) -> bool {
        self.proxy.rules.load().settings().on_canary != OnCanary::Alarm
    }

    /// Looks through the part of a body that is at hand, and gives what will look through the rest.
    ///
    /// # Errors
    /// As [`Worker::check_slots`].
    pub(super) fn check_body(
        self: &Rc<Self>,
        incoming: &Inflow,
        (outbound, way): (&Outbound, &Way),
        agent: &Arc<Agent>,
        entry: &mut Entry,
    ) -> Result<Option<Box<BodyWatch>>, Refusal> {
        let first = incoming.at_hand();
        if first.is_empty() && incoming.is_whole() {
            return Ok(None);
        }
        let in_body = |slot: &Slot| matches!(slot, Slot::Json(_) | Slot::Form(_));
        // Its slots are not emptied, and what stands in them is nobody else's affair.
        let own = match way {
            Way::Unregistered(provider, _) => provider.slots.iter().any(in_body),
            Way::Plain => self.proxy.rules.load().knows(&outbound.target.authority.host),
            Way::Stripped(_) | Way::Permitted(..) => false,
        };
        if own {
            return Ok(None);
        }
        if incoming.is_whole() {
            let first = first.get(..WINDOW).unwrap_or(first);
            let Some(tail) = self.proxy.placeholder_in(first) else { return Ok(None) };
            return self.seen(Place::Body, tail, &scene(&outbound.target, agent, entry), entry).map(|()| None);
        }
        let (worker, agent, host, id) =
            (Rc::clone(self), Arc::clone(agent), outbound.target.authority.host.to_string(), entry.id());
        let see = move |tail: &[u8]| {
            let scene = Scene { agent: &agent, host: host.clone(), id };
            worker.proxy.made(tail).then(|| worker.tell(Place::Body, tail, &scene))
        };
        let mut watch = Box::new(BodyWatch { runs: Runs::default(), left: WINDOW, see: Box::new(see), seen: None });
        if watch.feed(first) {
            watch.seen().into_iter().for_each(|sighting| sighting.note_in(entry));
            return Err(Refusal::Canary(Place::Body));
        }
        Ok(Some(watch))
    }

    fn find_in_head(&self, target: &Target, headers: Option<&HeaderMap>) -> Option<(Place, Vec<u8>)> {
        let find = |place: Place, value: &[u8]| self.proxy.placeholder_in(value).map(|tail| (place, tail.to_vec()));
        let host = || find(Place::Host, target.authority.host.name()?.as_bytes());
        let query = || find(Place::Query, target.path.query()?.as_bytes());
        let field = |value: &HeaderValue| find_in(&|value| find(Place::Header, value), value.as_bytes());
        let fields = || headers?.values().find_map(field);
        // The path comes last: where it holds a credential, what stands there may be in its place.
        host().or_else(query).or_else(fields).or_else(|| find(Place::Path, target.path.path().as_bytes()))
    }

    fn sighted(
        &self,
        place: Place,
        tail: &[u8],
        (arrived, agent): (&Arrived, &Arc<Agent>),
        entry: &mut Entry,
    ) -> Result<(), Refusal> {
        self.seen(place, tail, &scene(&arrived.target, agent, entry), entry)
    }

    #[cold]
    fn seen(&self, place: Place, tail: &[u8], scene: &Scene<'_>, entry: &mut Entry) -> Result<(), Refusal> {
        let sighting = self.tell(place, tail, scene);
        sighting.note_in(entry);
        sighting.judged()
    }

    /// Tells everybody who is to be told, and freezes the agent where that is wanted.
    #[cold]
    fn tell(&self, place: Place, tail: &[u8], scene: &Scene<'_>) -> Sighting {
        let Scene { agent, host, id } = scene;
        let action = self.proxy.rules.load().settings().on_canary;
        let owner = self.owner_of(tail, agent);
        let whose = owner.as_ref().and_then(|owner| owner.whose.as_ref()).map(ToString::to_string);
        let connection = owner.as_ref().map(|owner| owner.connection.to_string());
        tracing::warn!(
            agent = %agent.name, host, place = place.word(), owner = whose.as_deref(), connection = connection.as_deref(),
            request_id = id.as_str(), action = action.word(), "a placeholder was seen where it does not belong"
        );
        if action == OnCanary::Freeze {
            let why = format!("its request {} had a placeholder in a wrong place ({})", id.as_str(), place.word());
            self.proxy.agents.freeze(Frozen { agent: agent.name.clone(), since: SystemTime::now(), why });
        }
        let alarm = Alarm {
            place: place.word(),
            agent: agent.name.to_string(),
            owner: whose,
            connection,
            host: host.clone(),
            request_id: id.as_str().to_owned(),
            action: action.word(),
        };
        self.proxy.attention.alarm(&alarm, SystemTime::now());
        Sighting { place, owner, refused: action != OnCanary::Alarm }
    }

    /// Whose placeholder ends so, of all that there are now.
    fn owner_of(&self, tail: &[u8], agent: &Agent) -> Option<Meaning> {
        let rules = self.proxy.rules.load();
        rules.providers().iter().find_map(|provider| {
            let listed = self.proxy.broker.connections_of(&provider.id).ok()?;
            if listed.ids.is_empty() && listed.own.is_empty() {
                return None;
            }
            self.placeholders(agent, &provider.id, (&listed.ids, &listed.own)).find_folded(tail).cloned()
        })
    }
}

impl super::worker::Proxy {
    /// A placeholder in `text`.
    fn placeholder_in<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        tails(text).find(|tail| self.made(tail))
    }

    /// Whether a placeholder of ours ends so, an agent's or an app's.
    fn made(&self, tail: &[u8]) -> bool {
        self.placeholders.made(tail) || self.apps.made(tail)
    }
}

fn scene<'a>(target: &Target, agent: &'a Arc<Agent>, entry: &Entry) -> Scene<'a> {
    Scene { agent, host: target.authority.host.to_string(), id: entry.id() }
}
