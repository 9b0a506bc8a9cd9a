//! What the rules count: requests by rate, by day and at a time, and bytes; each agent's by itself unless the rule says otherwise (I7).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dashmap::DashMap;

use crate::model::{Rate, Volume};
use crate::policy::{Limits, Per, Rule};

/// More of them are not kept: each is one rule and one agent.
const MAX_METERS: usize = 100_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A rule by its name or what it says, and the agent, or `None` where all share.
type Key = (Arc<str>, Option<Arc<str>>);

/// The meters of all rules and agents.
#[derive(Debug)]
pub(crate) struct Meters {
    all: DashMap<Key, Arc<Meter>>,
    /// In place of a rule where it is the agent's own rate: no rule is called so.
    own: Arc<str>,
}

impl Default for Meters {
    fn default() -> Self {
        Self { all: DashMap::new(), own: "".into() }
    }
}

/// What one rule counts of one agent.
#[derive(Debug, Default)]
struct Meter(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    running: u32,
    /// When the last request would have been due if they came evenly (GCRA's theoretical arrival time).
    due: Option<Instant>,
    /// Days since 1970, and the requests of this one.
    today: (u64, u32),
    /// Bytes that have not yet run off, as of then.
    level: Option<(u64, Instant)>,
}

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) system: SystemTime,
}

impl Now {
    /// This one.
    pub(crate) fn read() -> Self {
        Self { instant: Instant::now(), system: SystemTime::now() }
    }
}

/// A request that counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    meter: Arc<Meter>,
    bytes: Option<Volume>,
}

impl Meters {
    /// Counts a request of `agent` by `rule`, or says how long it has to wait.
    pub(crate) fn take(&self, rule: &Rule, agent: &Arc<str>, now: Now) -> Result<Pass, Duration> {
        let limits = rule.limits();
        let key = (Arc::clone(rule.counter()), (limits.per == Per::Agent).then(|| Arc::clone(agent)));
        let meter = self.meter(key, now).ok_or(Duration::from_secs(1))?;
        meter.state().take(&limits, now)?;
        Ok(Pass { meter, bytes: limits.bytes })
    }

    /// Counts a request of `agent` by its own `rate`, or says how long it has to wait.
    pub(crate) fn take_own(&self, rate: Rate, agent: &Arc<str>, now: Now) -> Result<(), Duration> {
        let meter = self.meter((Arc::clone(&self.own), Some(Arc::clone(agent))), now).ok_or(Duration::from_secs(1))?;
        let mut state = meter.state();
        state.due = Some(next_due(state.due, rate, None, now.instant)?);
        Ok(())
    }

    fn meter(&self, key: Key, now: Now) -> Option<Arc<Meter>> {
        if let Some(meter) = self.all.get(&key) {
            return Some(Arc::clone(&meter));
        }
        if self.all.len() >= MAX_METERS {
            self.sweep(now);
        }
        (self.all.len() < MAX_METERS).then(|| Arc::clone(&self.all.entry(key).or_default()))
    }

    /// Forgets those that say nothing more.
    pub(crate) fn sweep(&self, now: Now) {
        self.all.retain(|_key, meter| Arc::strong_count(meter) > 1 || meter.state().still_counts(now));
    }
}

impl Meter {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// All or nothing: what one limit refuses spends none of the others.
    fn take(&mut self, limits: &Limits, now: Now) -> Result<(), Duration> {
        if limits.concurrency.is_some_and(|most| self.running >= most) {
            return Err(Duration::from_secs(1));
        }
        let since = now.system.duration_since(UNIX_EPOCH).unwrap_or_default();
        let day = since.as_secs() / DAY.as_secs();
        let count = if self.today.0 == day { self.today.1 } else { 0 };
        if limits.per_day.is_some_and(|most| count >= most) {
            return Err(DAY.saturating_sub(Duration::from_secs(since.as_secs() % DAY.as_secs())));
        }
        if let Some(volume) = limits.bytes {
            let over = self.level(volume, now.instant).saturating_add(1).saturating_sub(volume.bytes());
            if over > 0 {
                return Err(running_off(over, volume));
            }
        }
        if let Some(rate) = limits.rate {
            self.due = Some(next_due(self.due, rate, limits.burst, now.instant)?);
        }
        self.today = (day, count.saturating_add(1));
        self.running += 1;
        Ok(())
    }

    fn level(&self, volume: Volume, now: Instant) -> u64 {
        let Some((level, then)) = self.level else { return 0 };
        let passed = now.saturating_duration_since(then);
        let gone = u128::from(volume.bytes()) * passed.as_nanos() / volume.span().as_nanos().max(1);
        level.saturating_sub(u64::try_from(gone).unwrap_or(u64::MAX))
    }

    /// Whether it decides otherwise than a new one.
    fn still_counts(&self, now: Now) -> bool {
        let day = now.system.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY.as_secs();
        let full = self.level.is_some_and(|(_, then)| now.instant.saturating_duration_since(then) < DAY);
        self.running > 0 || full || self.due.is_some_and(|due| due > now.instant) || (self.today.0 == day && self.today.1 > 0)
    }
}

/// When `over` bytes have run off.
fn running_off(over: u64, volume: Volume) -> Duration {
    let nanos = u128::from(over) * volume.span().as_nanos() / u128::from(volume.bytes().max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A token bucket of `burst` tokens (the whole count if it isn't said) as its one number, or how long until there is a token.
fn next_due(due: Option<Instant>, rate: Rate, burst: Option<u32>, now: Instant) -> Result<Instant, Duration> {
    let interval = rate.interval();
    let ahead = interval * burst.unwrap_or(rate.count()).saturating_sub(1);
    let due = due.map_or(now, |due| due.max(now));
    match due.saturating_duration_since(now).checked_sub(ahead) {
        Some(wait) if !wait.is_zero() => Err(wait),
        _ => Ok(due + interval),
    }
}

impl Pass {
    /// Counts `bytes` of the request or its answer.
    pub(crate) fn moved(&self, bytes: u64) {
        let Some(volume) = self.bytes else { return };
        let now = Instant::now();
        let mut state = self.meter.state();
        state.level = Some((state.level(volume, now).saturating_add(bytes), now));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.meter.state();
        state.running = state.running.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{gather, read};

    fn rule(keys: &str) -> Arc<Rule> {
        let text = format!("[[rule]]\nname = \"r\"\naction = \"limit\"\n{keys}\n");
        gather(vec![("p.toml".into(), read("p.toml", &text).expect("a rule"))]).expect("rules").remove(0)
    }

    fn now() -> Now {
        Now { instant: Instant::now(), system: UNIX_EPOCH + DAY * 20_000 }
    }

    fn after(now: Now, wait: Duration) -> Now {
        Now { instant: now.instant + wait, system: now.system + wait }
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn i7_a_bucket_gives_its_burst_and_then_its_rate() {
        let (meters, rule, start) = (Meters::default(), rule("rate = \"6/min\"\nburst = 3"), now());
        let agent: Arc<str> = "a".into();
        let take = |at: Now| meters.take(&rule, &agent, at).map(drop);
        assert_eq!([take(start), take(start), take(start)], [Ok(()); 3]);
        assert_eq!(take(start), Err(secs(10)));
        assert_eq!(take(after(start, secs(4))), Err(secs(6)));
        assert_eq!((take(after(start, secs(10))), take(after(start, secs(10)))), (Ok(()), Err(secs(10))));
        let later = after(start, secs(1000));
        assert_eq!([take(later), take(later), take(later), take(later)], [Ok(()), Ok(()), Ok(()), Err(secs(10))]);
    }

    #[test]
    fn i6_each_agent_has_its_own_unless_the_rule_says_otherwise() {
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        for (keys, shared) in [("per_day = 1", false), ("per_day = 1\nper = \"rule\"", true)] {
            let (meters, rule, at) = (Meters::default(), rule(keys), now());
            assert!(meters.take(&rule, &one, at).is_ok());
            assert_eq!(meters.take(&rule, &one, at).map(drop), Err(DAY));
            assert_eq!(meters.take(&rule, &two, at).is_err(), shared, "{keys}");
            assert!(meters.take(&rule, &one, after(at, DAY)).is_ok(), "the next day");
        }
    }

    #[test]
    fn i7_a_rule_without_a_name_counts_on_wherever_it_stands() {
        let rules = |text: &str| gather(vec![("p.toml".into(), read("p.toml", text).expect("rules"))]).expect("rules");
        let (limit, agent, at) = ("[[rule]]\naction = \"limit\"\nper_day = 1\n", Arc::from("a"), now());
        let meters = Meters::default();
        let take = |rule: &Arc<Rule>| meters.take(rule, &agent, at).is_ok();
        assert!(take(&rules(limit)[0]) && !take(&rules(limit)[0]));
        let moved = rules(&format!("# a comment\n[[rule]]\nhosts = \"a.test\"\naction = \"deny\"\n{limit}"));
        assert_ne!(moved[1].name(), rules(limit)[0].name());
        assert!(!take(&moved[1]), "what it says is the same");
        let two = rules(&format!("{limit}{limit}"));
        assert!(!take(&two[0]) && take(&two[1]), "two that say the same count by themselves");
        assert!(take(&rules(&limit.replace("= 1", "= 2"))[0]), "another one");
    }

    #[test]
    fn i7_an_agents_own_rate_is_its_own() {
        let (meters, start) = (Meters::default(), now());
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let take = |agent, at| meters.take_own("2/min".parse().expect("a rate"), agent, at);
        assert_eq!([take(&one, start), take(&one, start), take(&two, start)], [Ok(()); 3]);
        assert_eq!((take(&one, start), take(&two, start)), (Err(secs(30)), Ok(())));
        assert_eq!(take(&one, after(start, secs(30))), Ok(()));
    }

    #[test]
    fn requests_under_way_count_until_they_end() {
        let (meters, rule, agent) = (Meters::default(), rule("concurrency = 2"), Arc::from("a"));
        let first = meters.take(&rule, &agent, now());
        let second = meters.take(&rule, &agent, now());
        assert!(first.is_ok() && second.is_ok() && meters.take(&rule, &agent, now()).is_err());
        drop(first);
        assert!(meters.take(&rule, &agent, now()).is_ok());
    }

    #[test]
    fn bytes_are_counted_as_they_move_and_run_off() {
        let (meters, rule, agent) = (Meters::default(), rule("bytes = \"1000B/h\""), Arc::from("a"));
        let pass = meters.take(&rule, &agent, now()).expect("the first");
        pass.moved(900);
        assert!(meters.take(&rule, &agent, now()).is_ok(), "there is room yet");
        pass.moved(600);
        let wait = meters.take(&rule, &agent, now()).map(drop).expect_err("no room");
        assert!(secs(1700) < wait && wait < secs(1900), "{wait:?}");
        assert!(meters.take(&rule, &agent, after(now(), secs(1900))).is_ok());
    }

    #[test]
    fn what_one_limit_refuses_spends_none_of_the_others() {
        let (meters, rule, agent) = (Meters::default(), rule("concurrency = 1\nper_day = 2"), Arc::from("a"));
        let first = meters.take(&rule, &agent, now());
        assert!(first.is_ok());
        (0..10).for_each(|_| assert!(meters.take(&rule, &agent, now()).is_err()));
        drop(first);
        assert!(meters.take(&rule, &agent, now()).is_ok());
    }

    #[test]
    fn i7_what_says_nothing_more_is_forgotten() {
        let (meters, rule, start) = (Meters::default(), rule("rate = \"1/s\""), now());
        let pass = meters.take(&rule, &Arc::from("held"), start).expect("the first");
        drop(meters.take(&rule, &Arc::from("gone"), start));
        meters.sweep(start);
        assert_eq!(meters.all.len(), 2);
        meters.sweep(after(start, DAY));
        assert_eq!(meters.all.len(), 1, "one is under way");
        drop(pass);
        meters.sweep(after(start, DAY));
        assert!(meters.all.is_empty());
    }
}
