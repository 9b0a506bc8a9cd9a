//! `Recorder`: what one worker counts. Nobody else writes it; who reads it holds it for as long as a copy takes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::histogram::{Histogram, SIZES};
use super::series::{Key, Method, Names, Series};
use super::trace::Traces;
use crate::model::Map;

/// Which of the two things that the log names has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Way {
    Request,
    Tunnel,
}

/// A request or tunnel at its end.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) way: Way,
    pub(crate) method: Method,
    pub(crate) secure: bool,
    pub(crate) status: Option<u16>,
    pub(crate) verdict: &'static str,
    pub(crate) provider: &'a str,
    /// The kind of the refusal, if it was one.
    pub(crate) refusal: &'a str,
    /// Where a placeholder was seen that does not belong there.
    pub(crate) canary: &'a str,
    pub(crate) took: Duration,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) guard_hits: u32,
    /// The steps that the log notes.
    pub(crate) notes: &'a [&'static str],
}

/// One worker's numbers.
#[derive(Default)]
pub(crate) struct Recorder {
    requests: AtomicU64,
    tunnels: AtomicU64,
    idle: AtomicU64,
    table: Mutex<Table>,
    traces: Option<Arc<Traces>>,
}

/// Of what has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) names: Names,
    /// Requests of callers.
    pub(super) server: Series,
    /// Requests to services, each as often as it was sent.
    pub(super) client: Series,
    /// Bodies towards a provider's service, and from it.
    pub(super) bodies: Map<u16, [Histogram<8>; 2]>,
    pub(super) refusals: Map<(Way, u16), u64>,
    pub(super) notes: BTreeMap<&'static str, u64>,
    pub(super) guard_hits: u64,
    pub(super) canaries: Map<u16, u64>,
    pub(super) tunnels: BTreeMap<&'static str, Tunnels>,
}

/// Tunnels of one verdict that have ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tunnels {
    pub(super) count: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Recorder {
    /// One that has spans go by `traces` too.
    pub(super) fn tracing(traces: Option<Arc<Traces>>) -> Self {
        Self { traces, ..Self::default() }
    }

    /// Where spans go, if they go anywhere.
    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.traces.as_deref()
    }

    /// Something begins that the log will name.
    pub(crate) fn began(&self, way: Way) {
        self.active(way).fetch_add(1, Ordering::Relaxed);
    }

    /// It is over, whether it is told or not.
    pub(crate) fn over(&self, way: Way) {
        self.active(way).fetch_sub(1, Ordering::Relaxed);
    }

    /// How it ended.
    pub(crate) fn ended(&self, ended: &Ended<'_>) {
        self.table().ended(ended);
    }

    /// A request was sent once, and answered with `status` after `took`; `None`: it was not.
    pub(crate) fn sent(&self, (method, secure): (Method, bool), provider: &str, status: Option<u16>, took: Duration) {
        let mut table = self.table();
        let (provider, error) = (table.names.number(provider), table.names.number(""));
        let key = Key { method, secure, status: status.unwrap_or_default(), verdict: "", provider, error };
        table.client.count(key, took);
    }

    /// How many connections to services wait for a request.
    pub(crate) fn idle(&self, connections: usize) {
        self.idle.store(connections as u64, Ordering::Relaxed);
    }

    /// Requests and tunnels under way, and connections that wait.
    pub(super) fn gauges(&self) -> [u64; 3] {
        [&self.requests, &self.tunnels, &self.idle].map(|gauge| gauge.load(Ordering::Relaxed))
    }

    /// A copy of what has ended.
    pub(super) fn copy(&self) -> Table {
        self.table().clone()
    }

    fn active(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::Request => &self.requests,
            Way::Tunnel => &self.tunnels,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Table {
    fn ended(&mut self, ended: &Ended<'_>) {
        self.guard_hits += u64::from(ended.guard_hits);
        for note in ended.notes {
            *self.notes.entry(note).or_default() += 1;
        }
        if !ended.canary.is_empty() {
            let place = self.names.number(ended.canary);
            *self.canaries.entry(place).or_default() += 1;
        }
        if !ended.refusal.is_empty() {
            let kind = self.names.number(ended.refusal);
            *self.refusals.entry((ended.way, kind)).or_default() += 1;
        }
        match ended.way {
            Way::Tunnel => self.tunnel(ended),
            Way::Request => self.request(ended),
        }
    }

    fn tunnel(&mut self, ended: &Ended<'_>) {
        let tunnels = self.tunnels.entry(ended.verdict).or_default();
        tunnels.count += 1;
        tunnels.sent = tunnels.sent.saturating_add(ended.sent);
        tunnels.received = tunnels.received.saturating_add(ended.received);
    }

    fn request(&mut self, ended: &Ended<'_>) {
        let unanswered = ended.status.is_none();
        let cut = |note: &&&str| matches!(**note, "caller_left" | "broken_off") || unanswered && **note == "agent_revoked";
        let error = match ended.refusal {
            "" => ended.notes.iter().find(cut).copied().unwrap_or_default(),
            kind => kind,
        };
        let (provider, error) = (self.names.number(ended.provider), self.names.number(error));
        let Ended { method, secure, status, verdict, took, .. } = *ended;
        self.server.count(Key { method, secure, status: status.unwrap_or_default(), verdict, provider, error }, took);
        let [sent, received] = self.bodies.entry(provider).or_default();
        sent.add(ended.sent, &SIZES);
        received.add(ended.received, &SIZES);
    }
}

#[cfg(test)]
mod tests {
    use super::super::series::MAX_SERIES;
    use super::*;

    fn ended(status: u16) -> Ended<'static> {
        Ended {
            way: Way::Request,
            method: Method::Get,
            secure: true,
            status: Some(status),
            verdict: "inject",
            provider: "github",
            refusal: "",
            canary: "",
            took: Duration::from_millis(3),
            sent: 0,
            received: 5_000,
            guard_hits: 1,
            notes: &["renewed"],
        }
    }

    #[test]
    fn i7_a_service_that_answers_with_every_status_makes_a_bounded_number_of_series() {
        let recorder = Recorder::default();
        for provider in ["a", "b", "c", "d", "e", "f"] {
            for status in 100..=999 {
                recorder.ended(&Ended { provider, ..ended(status) });
                recorder.sent((Method::Get, true), provider, Some(status), Duration::ZERO);
            }
        }
        let table = recorder.copy();
        assert!((MAX_SERIES..MAX_SERIES + 10).contains(&table.server.iter().len()), "{}", table.server.iter().len());
        assert!(table.client.iter().len() < MAX_SERIES + 10);
        assert_eq!(table.server.iter().map(|(_, histogram)| histogram.count).sum::<u64>(), 5_400);
    }

    #[test]
    fn what_ends_is_counted_once_and_what_is_under_way_until_then() {
        let recorder = Recorder::default();
        recorder.began(Way::Request);
        recorder.began(Way::Tunnel);
        assert_eq!(recorder.gauges(), [1, 1, 0]);
        recorder.over(Way::Request);
        recorder.ended(&ended(200));
        recorder.ended(&Ended { refusal: "policy", verdict: "refuse", ..ended(403) });
        recorder.ended(&Ended { way: Way::Tunnel, verdict: "tunnel", sent: 7, ..ended(200) });
        let table = recorder.copy();
        assert_eq!(recorder.gauges(), [0, 1, 0]);
        assert_eq!((table.server.iter().len(), table.guard_hits, table.notes["renewed"]), (2, 3, 3));
        assert_eq!(table.tunnels["tunnel"].sent, 7);
        assert_eq!(table.refusals.values().sum::<u64>(), 1);
    }
}
