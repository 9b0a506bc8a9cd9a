//! `Crowd`: the connections that there are, and which of them gives way where another wants a place.
//!
//! One that is between two requests, or has not sent its first, is idle: it leaves when its place is wanted. So nobody keeps others out by
//! holding connections, and one address fills no more than its share. Processes of the gateway's own user on its machine are an address of
//! their own, with places that nobody else takes.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;

/// Places for the gateway's own user beyond those of all.
const OWN: usize = 8;

/// Who shares places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// Processes of our own user on this machine.
    Own,
    /// An address; of IPv6 a network of 64 bits, since that is what one household gets.
    Address(IpAddr),
}

impl Group {
    /// Whoever comes from `address`.
    pub(super) fn of(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            // All of 127.0.0.0/8 is this machine.
            address if address.is_loopback() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            address => address,
        })
    }
}

/// The connections that there are.
pub(super) struct Crowd {
    most: usize,
    share: usize,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    /// Rises with everything that happens, so that a smaller number is an earlier time.
    clock: u64,
    all: HashMap<u64, Member>,
    /// Those that wait for a request, by when they began to.
    idle: BTreeMap<u64, u64>,
    groups: HashMap<Group, usize>,
}

struct Member {
    group: Group,
    /// Its key among those that are idle; `None` while a request is under way.
    idle: Option<u64>,
    wanted: Arc<Notify>,
}

/// A connection's place; given back when it is dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    number: u64,
    wanted: Arc<Notify>,
}

/// A request is under way; dropped when its answer has been taken over.
pub(super) struct Busy {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Crowd {
    /// `most` places, of which one address has at most `share`.
    pub(super) fn new(most: usize, share: usize) -> Arc<Self> {
        Arc::new(Self { most, share: share.min(most), members: Mutex::default() })
    }

    /// A place for one of `group`, if need be that of one that is idle: of its own group where that has its share, else of the largest.
    pub(super) fn enter(self: &Arc<Self>, group: Group) -> Option<Place> {
        let mut members = self.members();
        let of_group = members.groups.get(&group).copied().unwrap_or_default();
        let most = self.most + if group == Group::Own { OWN } else { 0 };
        if of_group >= self.share {
            members.evict(group).then_some(())?;
        } else if members.all.len() >= self.most {
            let evicted = members.evict_largest();
            (evicted || members.all.len() < most).then_some(())?;
        }
        let number = members.tick();
        let wanted = Arc::new(Notify::new());
        members.all.insert(number, Member { group, idle: None, wanted: Arc::clone(&wanted) });
        *members.groups.entry(group).or_default() += 1;
        members.rest(number);
        Some(Place { crowd: Arc::clone(self), number, wanted })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Members {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// It waits for a request from now on.
    fn rest(&mut self, number: u64) {
        let now = self.tick();
        if let Some(member) = self.all.get_mut(&number) {
            member.idle = Some(now);
            self.idle.insert(now, number);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Member> {
        let member = self.all.remove(&number)?;
        if let Some(since) = member.idle {
            self.idle.remove(&since);
        }
        if let Some(count) = self.groups.get_mut(&member.group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(&member.group);
            }
        }
        Some(member)
    }

    /// Has the one of `group` that is idle for longest leave.
    fn evict(&mut self, group: Group) -> bool {
        let of_group = |number: &&u64| self.all.get(number).is_some_and(|member| member.group == group);
        let Some(number) = self.idle.values().find(of_group).copied() else { return false };
        self.remove(number).inspect(|member| member.wanted.notify_one()).is_some()
    }

    /// Has an idle one leave of the group that has most places, of those that have an idle one.
    fn evict_largest(&mut self) -> bool {
        let groups = self.idle.values().filter_map(|number| self.all.get(number).map(|member| member.group));
        let largest = groups.max_by_key(|group| self.groups.get(group).copied().unwrap_or_default());
        largest.is_some_and(|group| self.evict(group))
    }
}

impl Place {
    /// Until another wants it: then it is theirs already.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A request is under way from now on; `None` where the place is another's already.
    pub(super) fn busy(&self) -> Option<Busy> {
        let mut members = self.crowd.members();
        if let Some(since) = members.all.get_mut(&self.number)?.idle.take() {
            members.idle.remove(&since);
        }
        Some(Busy { crowd: Arc::clone(&self.crowd), number: self.number })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.crowd.members().remove(self.number));
    }
}

impl Busy {
    /// `body`, with whose end this ends.
    pub(super) fn until_told(self, body: Body) -> Body {
        Body::new(Telling { body, _busy: self })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.crowd.members().rest(self.number);
    }
}

/// A body under way.
struct Telling {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Telling {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Group {
        Group::of(text.parse().expect("an address"))
    }

    fn is_wanted(place: &Place) -> bool {
        !place.crowd.members().all.contains_key(&place.number)
    }

    #[test]
    fn i7_an_address_has_its_share_and_its_longest_idle_one_gives_way() {
        let crowd = Crowd::new(10, 2);
        let (one, two) = (crowd.enter(address("192.0.2.1")).expect("a place"), crowd.enter(address("192.0.2.1")).expect("one"));
        drop(one.busy());
        let three = crowd.enter(address("192.0.2.1")).expect("a place");
        assert!(is_wanted(&two) && !is_wanted(&one) && !is_wanted(&three), "it was idle for longest");
        assert!(two.busy().is_none(), "its place is another's");
        let _all = (one.busy(), three.busy());
        assert!(crowd.enter(address("192.0.2.1")).is_none() && crowd.enter(address("192.0.2.2")).is_some());
    }

    #[test]
    fn i7_where_all_is_full_the_largest_gives_way_and_what_is_under_way_stays() {
        let crowd = Crowd::new(3, 2);
        let (quiet, flood) = (crowd.enter(address("192.0.2.1")).expect("one"), address("192.0.2.9"));
        let many = [crowd.enter(flood).expect("one"), crowd.enter(flood).expect("one")];
        let other = crowd.enter(address("192.0.2.2")).expect("a place");
        assert!(is_wanted(&many[0]) && !is_wanted(&quiet) && !is_wanted(&other));
        let _under_way = (quiet.busy(), many[1].busy(), other.busy());
        assert!(crowd.enter(address("192.0.2.3")).is_none(), "nobody is idle");
        drop(quiet);
        assert!(crowd.enter(address("192.0.2.3")).is_some(), "a place is given back");
    }

    #[test]
    fn i7_our_own_user_gets_in_whatever_others_do() {
        let crowd = Crowd::new(2, 1);
        let others = ["192.0.2.1", "127.0.0.1"].map(|text| crowd.enter(address(text)).expect("a place"));
        let _under_way = others.each_ref().map(Place::busy);
        assert!(crowd.enter(address("127.0.0.2")).is_none(), "all of loopback is one machine");
        let own = crowd.enter(Group::Own).expect("a place of our own");
        assert!(!is_wanted(&own));
        let next = crowd.enter(Group::Own).expect("in the place of its own idle one");
        assert!(is_wanted(&own) && !is_wanted(&next));
    }

    #[test]
    fn one_household_is_one_address() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
