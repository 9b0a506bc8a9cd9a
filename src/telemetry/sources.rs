//! `Telemetry`: all recorders, and whoever else has numbers, told in one text.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::exposition::{Exposition, Kind};
use super::histogram::{DURATIONS, Histogram, SIZES};
use super::recorder::{Recorder, Table, Tunnels, Way};
use super::series::Labels;
use super::trace::Traces;

/// Tells numbers that are kept elsewhere.
pub(crate) type Source = Box<dyn Fn(&mut Exposition) + Send + Sync>;

/// Everything that is counted in this process.
#[derive(Default)]
pub(crate) struct Telemetry {
    recorders: Mutex<Vec<Arc<Recorder>>>,
    sources: Mutex<Vec<Source>>,
    traces: OnceLock<Arc<Traces>>,
}

/// What all workers have counted, in words and in order.
#[derive(Default)]
struct Sum {
    gauges: [u64; 3],
    server: BTreeMap<Labels, Histogram<14>>,
    client: BTreeMap<Labels, Histogram<14>>,
    bodies: BTreeMap<String, [Histogram<8>; 2]>,
    refusals: BTreeMap<(String, Way), u64>,
    notes: BTreeMap<&'static str, u64>,
    guard_hits: u64,
    canaries: BTreeMap<String, u64>,
    tunnels: BTreeMap<&'static str, Tunnels>,
}

/// Notes of the log that say that a request was sent once more.
const AGAIN: [&str; 6] = ["replayed", "challenged", "stale_connection", "goaway", "refused_stream", "expectation_failed"];

impl Telemetry {
    /// A recorder for one worker. It counts for as long as the process lives.
    pub(crate) fn recorder(&self) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder::tracing(self.traces.get().map(Arc::clone)));
        self.recorders.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&recorder));
        recorder
    }

    /// Spans go by `traces` from now on; only the first counts.
    pub(crate) fn trace(&self, traces: Arc<Traces>) {
        self.traces.get_or_init(|| traces);
    }

    /// Sends the spans that still wait, where any are sent.
    pub(crate) async fn finish(&self) {
        if let Some(traces) = self.traces.get() {
            traces.finish().await;
        }
    }

    /// One more that has numbers. Its families are its alone.
    pub(crate) fn add_source(&self, source: Source) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Tells all of it.
    pub(crate) fn tell(&self, out: &mut Exposition) {
        let recorders = self.recorders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut sum = Sum::default();
        recorders.iter().for_each(|recorder| sum.take(recorder.gauges(), &recorder.copy()));
        sum.tell(out);
        if let Some(traces) = self.traces.get() {
            out.family("nexus_spans", Kind::Counter, "Spans by what became of them.");
            for (outcome, count) in ["exported", "failed", "dropped"].into_iter().zip(traces.counts()) {
                out.sample(&[("outcome", outcome)], count);
            }
        }
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|source| source(out));
    }
}

impl Sum {
    fn take(&mut self, gauges: [u64; 3], table: &Table) {
        self.gauges.iter_mut().zip(gauges).for_each(|(sum, more)| *sum += more);
        for (all, some) in [(&mut self.server, &table.server), (&mut self.client, &table.client)] {
            some.iter().for_each(|(key, histogram)| all.entry(key.labels(&table.names)).or_default().merge(histogram));
        }
        for (provider, [sent, received]) in &table.bodies {
            let bodies = self.bodies.entry(table.names.word(*provider).to_owned()).or_default();
            bodies.iter_mut().zip([sent, received]).for_each(|(all, some)| all.merge(some));
        }
        for ((way, kind), count) in &table.refusals {
            *self.refusals.entry((table.names.word(*kind).to_owned(), *way)).or_default() += count;
        }
        table.notes.iter().for_each(|(note, count)| *self.notes.entry(note).or_default() += count);
        self.guard_hits += table.guard_hits;
        for (place, count) in &table.canaries {
            *self.canaries.entry(table.names.word(*place).to_owned()).or_default() += count;
        }
        for (verdict, some) in &table.tunnels {
            let all = self.tunnels.entry(verdict).or_default();
            all.count += some.count;
            all.sent = all.sent.saturating_add(some.sent);
            all.received = all.received.saturating_add(some.received);
        }
    }

    fn tell(&self, out: &mut Exposition) {
        let [requests, tunnels, idle] = self.gauges;
        let gauges = [
            ("http_server_active_requests", "Requests of callers that have not ended.", requests),
            ("nexus_tunnels_active", "CONNECTs that have not ended: bytes both ways, or a handshake.", tunnels),
            ("nexus_upstream_connections_idle", "Connections to services that wait for a request, as last looked at.", idle),
        ];
        for (name, help, value) in gauges {
            out.family(name, Kind::Gauge, help);
            out.sample(&[], value);
        }
        self.tell_requests(out);
        self.tell_bodies(out);
        self.tell_steps(out);
        self.tell_tunnels(out);
    }

    fn tell_requests(&self, out: &mut Exposition) {
        out.family("http_server_request_duration_seconds", Kind::Histogram, "Requests of callers, from head to end of answer.");
        for (labels, histogram) in &self.server {
            out.histogram(&labels.pairs(), (histogram, &DURATIONS), 1_000_000);
        }
        out.family("http_client_request_duration_seconds", Kind::Histogram, "Requests to services, until the answer's head.");
        for (labels, histogram) in &self.client {
            out.histogram(&labels.pairs(), (histogram, &DURATIONS), 1_000_000);
        }
    }

    fn tell_bodies(&self, out: &mut Exposition) {
        let families = [
            ("http_server_request_body_size_bytes", "Bytes of callers' bodies."),
            ("http_server_response_body_size_bytes", "Bytes of the answers' bodies."),
        ];
        for (at, (name, help)) in families.into_iter().enumerate() {
            out.family(name, Kind::Histogram, help);
            for (provider, bodies) in &self.bodies {
                let labels = [("nexus_provider", provider.as_str())];
                let labels = if provider.is_empty() { &labels[..0] } else { &labels[..] };
                bodies.get(at).into_iter().for_each(|histogram| out.histogram(labels, (histogram, &SIZES), 1));
            }
        }
    }

    fn tell_steps(&self, out: &mut Exposition) {
        out.family("nexus_refusals", Kind::Counter, "What Nexus did not let go on, by the kind of its refusal.");
        for ((kind, way), count) in &self.refusals {
            let on = if *way == Way::Tunnel { "tunnel" } else { "request" };
            out.sample(&[("kind", kind), ("on", on)], *count);
        }
        out.family("nexus_sent_again", Kind::Counter, "Requests that were sent once more, by why.");
        for why in AGAIN {
            out.sample(&[("why", why)], self.notes.get(why).copied().unwrap_or_default());
        }
        out.family("nexus_steps", Kind::Counter, "Steps of requests that the audit log notes.");
        for (note, count) in &self.notes {
            out.sample(&[("note", note)], *count);
        }
        out.family("nexus_guard_hits", Kind::Counter, "Secrets that were kept from the caller in answers.");
        out.sample(&[], self.guard_hits);
        out.family("nexus_canaries", Kind::Counter, "Requests and tunnels with a placeholder where it does not belong.");
        for (place, count) in &self.canaries {
            out.sample(&[("place", place)], *count);
        }
    }

    fn tell_tunnels(&self, out: &mut Exposition) {
        out.family("nexus_tunnels", Kind::Counter, "CONNECTs that have ended, by verdict.");
        for (verdict, tunnels) in &self.tunnels {
            out.sample(&[("verdict", verdict)], tunnels.count);
        }
        out.family("nexus_tunnel_bytes", Kind::Counter, "Bytes in tunnels that have ended and were not opened.");
        let (mut sent, mut received) = (0_u64, 0_u64);
        for tunnels in self.tunnels.values() {
            (sent, received) = (sent.saturating_add(tunnels.sent), received.saturating_add(tunnels.received));
        }
        out.sample(&[("direction", "sent")], sent);
        out.sample(&[("direction", "received")], received);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Ended, Method, Style};
    use super::*;

    fn ended(provider: &str) -> Ended<'_> {
        Ended {
            way: Way::Request,
            method: Method::Post,
            secure: true,
            status: Some(502),
            verdict: "inject",
            provider,
            refusal: "",
            canary: "",
            took: Duration::from_millis(9),
            sent: 3,
            received: 0,
            guard_hits: 0,
            notes: &["replayed"],
        }
    }

    #[test]
    fn workers_are_summed_and_labels_are_words() {
        let telemetry = Telemetry::default();
        telemetry.add_source(Box::new(|out| {
            out.family("more", Kind::Gauge, "More.");
            out.sample(&[], 1);
        }));
        for (number, recorder) in [telemetry.recorder(), telemetry.recorder()].into_iter().enumerate() {
            // Each has seen them in an order of its own.
            let providers = if number == 0 { ["github", "slack"] } else { ["slack", "github"] };
            for provider in providers {
                recorder.sent((Method::Post, true), provider, Some(502), Duration::from_millis(7));
                recorder.ended(&ended(provider));
            }
        }
        let mut out = Exposition::new(Style::Prometheus);
        telemetry.tell(&mut out);
        let text = out.finish();
        let labels = "http_request_method=\"POST\",http_response_status_code=\"502\",url_scheme=\"https\",error_type=\"502\"";
        for line in [
            format!(
                "http_server_request_duration_seconds_sum{{{labels},nexus_provider=\"slack\",nexus_verdict=\"inject\"}} 0.018"
            ),
            format!("http_client_request_duration_seconds_count{{{labels},nexus_provider=\"github\"}} 2"),
            "http_server_request_body_size_bytes_sum{nexus_provider=\"github\"} 6".to_owned(),
            "nexus_sent_again_total{why=\"replayed\"} 4".to_owned(),
            "more 1".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
