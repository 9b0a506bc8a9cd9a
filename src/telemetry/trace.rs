//! Traces: W3C Trace Context on the wire, and spans on their way to a collector.
//!
//! <https://www.w3.org/TR/trace-context/>. A request whose caller is in no trace begins one here, but its service is told of none: nothing goes
//! on a request that its caller didn't send.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{Notify, mpsc};

/// §3.2.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// §3.3.
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Spans that wait for the collector; more are dropped and counted.
const QUEUE: usize = 4_096;
/// The one flag that is known (§3.2.2.5).
const SAMPLED: u8 = 1;

/// The way of spans out of the workers.
pub(crate) struct Traces {
    queue: mpsc::Sender<Vec<u8>>,
    /// Of 2^32 traces that begin here, how many are told.
    sample: u64,
    state: AtomicU64,
    pub(super) dropped: AtomicU64,
    exported: AtomicU64,
    failed: AtomicU64,
    ending: AtomicBool,
    end: Notify,
    ended: Notify,
}

/// The span that a request is here.
#[derive(Debug)]
pub(crate) struct Span {
    trace: u128,
    id: u64,
    parent: Option<u64>,
    flags: u8,
    started: SystemTime,
    /// The caller said something of a trace, well-formed or not.
    said: bool,
    /// What it said was a trace's.
    known: bool,
}

impl Traces {
    /// Nothing waits yet. `sample` is between 0 and 1, `seed` random.
    pub(crate) fn new(sample: f64, seed: u64) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (queue, spans) = mpsc::channel(QUEUE);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 2^32")]
        let sample = (sample.clamp(0.0, 1.0) * f64::from(u32::MAX)).ceil() as u64;
        let traces = Self {
            queue,
            sample,
            state: AtomicU64::new(seed),
            dropped: AtomicU64::new(0),
            exported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            end: Notify::new(),
            ended: Notify::new(),
        };
        (traces, spans)
    }

    /// The span of a request that came with `headers`; `None` where its trace is not told of, as the caller says, or chance where it says
    /// nothing.
    pub(crate) fn begin(&self, headers: &HeaderMap) -> Option<Box<Span>> {
        let mut said = headers.get_all(TRACEPARENT).iter();
        let first = said.next();
        // §4.3: what is there twice, or malformed, is none, and another trace begins.
        let known = if said.next().is_none() { first.and_then(|value| parse(value.as_bytes())) } else { None };
        let (trace, parent, flags) = match known {
            Some((_, _, flags)) if flags & SAMPLED == 0 => return None,
            Some((trace, parent, flags)) => (trace, Some(parent), flags),
            None if self.draw() >> 32 >= self.sample => return None,
            None => ((u128::from(self.draw()) << 64) | u128::from(self.draw()), None, SAMPLED),
        };
        let (said, known) = (first.is_some(), known.is_some());
        Some(Box::new(Span { trace, id: self.draw().max(1), parent, flags, started: SystemTime::now(), said, known }))
    }

    /// Takes a span that has ended; never waits.
    pub(crate) fn take(&self, span: Vec<u8>) {
        if self.queue.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So many were taken by the collector.
    pub(crate) fn exported(&self, count: usize) {
        self.exported.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// So many were not.
    pub(crate) fn failed(&self, count: usize) {
        self.failed.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Exported, given up, and dropped for want of room.
    pub(super) fn counts(&self) -> [u64; 3] {
        [&self.exported, &self.failed, &self.dropped].map(|count| count.load(Ordering::Relaxed))
    }

    /// Asks for what waits to be sent now, and for no more; returns when that is done.
    pub(crate) async fn finish(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.end.notify_one();
        self.ended.notified().await;
    }

    /// Returns when it is to end.
    pub(crate) async fn ending(&self) {
        while !self.is_ending() {
            self.end.notified().await;
        }
    }

    /// Whether it is to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Nothing more is sent.
    pub(crate) fn over(&self) {
        self.ended.notify_one();
    }

    /// SplitMix64: ids are to differ, not to be secret.
    fn draw(&self) -> u64 {
        let mut mixed = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Span {
    /// Makes it the parent of what the service does, where the caller is in a trace; a malformed trace goes on as the one that began here.
    pub(crate) fn put_on(&self, headers: &mut HeaderMap) {
        if !self.said {
            return;
        }
        let text = format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.id, self.flags & SAMPLED);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(TRACEPARENT, value);
        }
        if !self.known {
            headers.remove(TRACESTATE);
        }
    }

    /// The beginning of its JSON (OTLP's encoding): ids, kind, times. `name` is a word of ours.
    pub(crate) fn write(&self, out: &mut Vec<u8>, name: &str, end: SystemTime) {
        let nanos = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let parent = self.parent.map(|parent| format!(r#""parentSpanId":"{parent:016x}","#)).unwrap_or_default();
        let text = format!(
            r#"{{"traceId":"{:032x}","spanId":"{:016x}",{parent}"flags":{},"name":"{name}","kind":2,"startTimeUnixNano":"{}","endTimeUnixNano":"{}""#,
            self.trace,
            self.id,
            self.flags & SAMPLED,
            nanos(self.started),
            nanos(end.max(self.started)),
        );
        out.extend_from_slice(text.as_bytes());
    }
}

/// §3.2.2: version, trace, parent, flags. A version from the future is read as this one, with more behind it.
fn parse(value: &[u8]) -> Option<(u128, u64, u8)> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let (head, more) = (text.get(..55)?, text.get(55..)?);
    let mut parts = head.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sizes = [version.len(), trace.len(), parent.len(), flags.len()] == [2, 32, 16, 2] && parts.next().is_none();
    let digits = |text: &str| text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if !sizes || ![version, trace, parent, flags].into_iter().all(digits) || version == "ff" {
        return None;
    }
    if !more.is_empty() && (version == "00" || !more.starts_with('-')) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
    Some((trace, parent, u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn with(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACESTATE, HeaderValue::from_static("a=1"));
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn only_what_the_standard_has_is_a_trace() {
        assert_eq!(parse(PARENT.as_bytes()), Some((0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, 1)));
        assert!(parse(PARENT.replacen("00-", "cc-", 1).as_bytes()).is_some());
        assert!(parse(format!("{}-what", PARENT.replacen("00-", "cc-", 1)).as_bytes()).is_some());
        for wrong in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT.replacen("00-", "ff-", 1),
            &format!("{PARENT}-what"),
            &format!("{}.what", PARENT.replacen("00-", "cc-", 1)),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_callers_trace_goes_on_with_our_span_and_another_begins_where_it_is_malformed() {
        let (traces, _spans) = Traces::new(1.0, 7);
        let mut headers = with(&[PARENT]);
        traces.begin(&headers).expect("a span").put_on(&mut headers);
        let said = headers[TRACEPARENT].to_str().expect("text").to_owned();
        assert!(said.starts_with(&PARENT[..36]) && said.ends_with("-01") && said != PARENT, "{said}");
        assert!(headers.contains_key(TRACESTATE));
        for wrong in [&["nonsense"][..], &[PARENT, PARENT]] {
            let mut headers = with(wrong);
            traces.begin(&headers).expect("a span").put_on(&mut headers);
            let said = headers[TRACEPARENT].to_str().expect("text").to_owned();
            assert!(parse(said.as_bytes()).is_some() && !said.starts_with(&PARENT[..36]), "{said}");
            assert!(!headers.contains_key(TRACESTATE) && headers.get_all(TRACEPARENT).iter().count() == 1);
        }
        let mut headers = HeaderMap::new();
        traces.begin(&headers).expect("a span").put_on(&mut headers);
        assert!(headers.is_empty(), "a service hears of no trace that its caller is not in");
    }

    #[test]
    fn who_is_not_sampled_is_left_as_it_is_and_chance_decides_for_those_who_say_nothing() {
        let (traces, _spans) = Traces::new(0.25, 7);
        assert!(traces.begin(&with(&[&PARENT.replace("-01", "-00")])).is_none());
        assert!(traces.begin(&with(&[PARENT])).is_some());
        let told = (0..10_000).filter(|_| traces.begin(&HeaderMap::new()).is_some()).count();
        assert!((2_300..2_700).contains(&told), "{told}");
        let (none, _spans) = Traces::new(0.0, 7);
        assert!((0..1_000).all(|_| none.begin(&HeaderMap::new()).is_none()));
    }

    #[test]
    fn i7_what_has_no_room_is_dropped_and_counted() {
        let (traces, spans) = Traces::new(1.0, 7);
        (0..QUEUE + 5).for_each(|_| traces.take(Vec::new()));
        assert_eq!(traces.counts(), [0, 0, 5]);
        drop(spans);
        traces.take(Vec::new());
        assert_eq!(traces.counts(), [0, 0, 6]);
    }
}
