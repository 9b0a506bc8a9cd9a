//! `Strangers`: refusals of callers that showed no agent. Whoever reaches the port can have them by the thousand, so only so many of
//! one address have a line of their own in a minute; the rest are counted, and told together (threat 118).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use dashmap::DashMap;

const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are told apart; all others are one.
const ADDRESSES: usize = 10_000;

/// How many refusals of each address there were in its minute.
#[derive(Debug)]
pub(super) struct Strangers {
    limit: u32,
    /// `None` = all addresses past [`ADDRESSES`].
    minutes: DashMap<Option<IpAddr>, Minute>,
}

#[derive(Debug)]
struct Minute {
    since: Instant,
    count: u32,
}

/// Refusals of one address that have no lines of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unwritten {
    /// `None` = several.
    pub(super) source: Option<IpAddr>,
    pub(super) count: u32,
    /// The time in which they came.
    pub(super) within: Duration,
}

impl Strangers {
    /// With `limit` lines for each address and minute.
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, minutes: DashMap::new() }
    }

    /// Counts a refusal at `now`; says whether it has a line of its own, and what the minute before it left unwritten.
    pub(super) fn count(&self, source: SocketAddr, now: Instant) -> (bool, Option<Unwritten>) {
        let place = Some(place(source.ip()));
        let known = self.minutes.contains_key(&place) || self.minutes.len() < ADDRESSES;
        let place = if known { place } else { None };
        let mut minute = self.minutes.entry(place).or_insert(Minute { since: now, count: 0 });
        let over = now.duration_since(minute.since) >= MINUTE;
        let left = if over { self.unwritten(place, &minute, now) } else { None };
        if over {
            *minute = Minute { since: now, count: 0 };
        }
        minute.count = minute.count.saturating_add(1);
        (minute.count <= self.limit, left)
    }

    /// Forgets the addresses whose minute is over at `now`, or all, and gives what each left unwritten.
    pub(super) fn take(&self, now: Instant, all: bool) -> Vec<Unwritten> {
        let mut unwritten = Vec::new();
        self.minutes.retain(|place, minute| {
            let over = all || now.duration_since(minute.since) >= MINUTE;
            unwritten.extend(self.unwritten(*place, minute, now).filter(|_| over));
            !over
        });
        unwritten
    }

    fn unwritten(&self, source: Option<IpAddr>, minute: &Minute, now: Instant) -> Option<Unwritten> {
        let count = minute.count.saturating_sub(self.limit);
        (count > 0).then(|| Unwritten { source, count, within: now.duration_since(minute.since) })
    }
}

/// Who has one address of an IPv6 network has them all (RFC 4291 §2.5.4).
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().expect("an address"), 1)
    }

    #[test]
    fn t118_refusals_past_the_limit_are_told_as_one_number() {
        let (strangers, begin) = (Strangers::new(3), Instant::now());
        let lines = (0..10).filter(|_| strangers.count(at("192.0.2.1"), begin).0).count();
        assert_eq!((lines, strangers.count(at("192.0.2.2"), begin)), (3, (true, None)), "each address by itself");
        assert_eq!(strangers.take(begin, false), [], "its minute is not over");
        let later = begin + MINUTE;
        let unwritten = Unwritten { source: Some("192.0.2.1".parse().expect("an address")), count: 7, within: MINUTE };
        assert_eq!(strangers.count(at("192.0.2.1"), later), (true, Some(unwritten)), "a new minute");
        assert_eq!(strangers.take(later, true), [], "told once");
    }

    #[test]
    fn t118_i7_addresses_past_the_bound_share_one_count() {
        let (strangers, begin) = (Strangers::new(1), Instant::now());
        for number in 0..u32::try_from(ADDRESSES).expect("a number") + 100 {
            strangers.count(SocketAddr::new(std::net::Ipv4Addr::from(number + 1).into(), 1), begin);
        }
        assert!(strangers.minutes.len() <= ADDRESSES + 1);
        let unwritten = strangers.take(begin, true);
        assert_eq!(unwritten, [Unwritten { source: None, count: 99, within: Duration::ZERO }]);
        let addresses = ["2001:db8::1", "2001:db8::2:1", "::ffff:192.0.2.1", "192.0.2.1"];
        let lines = addresses.map(|address| strangers.count(at(address), begin).0);
        assert_eq!(lines, [true, false, true, false], "by whatever address of its own it comes");
    }
}
