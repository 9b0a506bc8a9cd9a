//! From where to where every number may go: none makes everything fail, and no time is so long that a clock can't hold its end.

use std::ops::RangeInclusive;

use bytesize::ByteSize;

use super::{Approvals, Attention, Audit, Ca, Config, Error, Gateway, Limits, Renewal, Replay, Upstream};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const KIB: u64 = 1024;
const GIB: u64 = KIB * KIB * KIB;
/// More of anything than one machine serves.
const MANY: u64 = 1_000_000;

/// A number of the file and what it may be.
struct Bound {
    key: &'static str,
    value: u64,
    range: RangeInclusive<u64>,
    is_size: bool,
}

impl Bound {
    fn sentence(&self) -> String {
        let show = |bytes: &u64| if self.is_size { size_text(*bytes) } else { bytes.to_string() };
        format!("must be from {} to {}", show(self.range.start()), show(self.range.end()))
    }
}

/// As a size is written in the file.
fn size_text(bytes: u64) -> String {
    let units = [(GIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB")];
    let whole = units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// A count or a time.
fn number(key: &'static str, value: impl TryInto<u64>, range: RangeInclusive<u64>) -> Bound {
    Bound { key, value: value.try_into().unwrap_or(u64::MAX), range, is_size: false }
}

fn size(key: &'static str, value: ByteSize, range: RangeInclusive<u64>) -> Bound {
    Bound { key, value: value.as_u64(), range, is_size: true }
}

/// Refuses the first number that is out of its range.
pub(super) fn check(config: &Config) -> Result<(), Error> {
    let all = [number("proxy.workers", config.proxy.workers, 0..=256)]
        .into_iter()
        .chain(upstream(&config.upstream))
        .chain(replay(&config.replay))
        .chain(renewal(&config.renewal))
        .chain(limits(&config.limits))
        .chain(audit(&config.audit))
        .chain(ca(&config.ca))
        .chain(gateway(&config.gateway))
        .chain(attention(&config.attention))
        .chain(approvals(&config.approvals));
    match all.into_iter().find(|bound| !bound.range.contains(&bound.value)) {
        Some(bound) => Err(Error::Value { key: bound.key, why: bound.sentence() }),
        None => Ok(()),
    }
}

fn upstream(upstream: &Upstream) -> [Bound; 6] {
    [
        number("upstream.connect_timeout_secs", upstream.connect_timeout_secs, 1..=HOUR),
        number("upstream.handshake_timeout_secs", upstream.handshake_timeout_secs, 1..=HOUR),
        number("upstream.head_timeout_secs", upstream.head_timeout_secs, 1..=DAY),
        number("upstream.idle_timeout_secs", upstream.idle_timeout_secs, 1..=WEEK),
        number("upstream.pool_idle_timeout_secs", upstream.pool_idle_timeout_secs, 0..=DAY),
        number("upstream.pool_idle_per_host", upstream.pool_idle_per_host, 0..=MANY),
    ]
}

fn replay(replay: &Replay) -> [Bound; 2] {
    [
        size("replay.memory", replay.memory, 0..=GIB),
        number("replay.expect_timeout_millis", replay.expect_timeout_millis, 0..=HOUR * 1000),
    ]
}

fn renewal(renewal: &Renewal) -> [Bound; 13] {
    [
        number("renewal.ahead_secs", renewal.ahead_secs, 0..=DAY),
        number("renewal.timeout_secs", renewal.timeout_secs, 1..=HOUR),
        number("renewal.ahead_wait_secs", renewal.ahead_wait_secs, 0..=HOUR),
        number("renewal.wait_secs", renewal.wait_secs, 1..=HOUR),
        number("renewal.lock_wait_secs", renewal.lock_wait_secs, 1..=HOUR),
        number("renewal.waiters", renewal.waiters, 1..=MANY),
        number("renewal.trial_secs", renewal.trial_secs, 0..=DAY),
        number("renewal.trial_limit_secs", renewal.trial_limit_secs, 0..=WEEK),
        number("renewal.burst", renewal.burst, 1..=1000),
        number("renewal.refill_secs", renewal.refill_secs, 1..=DAY),
        number("renewal.pause_secs", renewal.pause_secs, 1..=DAY),
        number("renewal.pause_limit_secs", renewal.pause_limit_secs, 1..=WEEK),
        number("renewal.connections", renewal.connections, 1..=MANY),
    ]
}

fn limits(limits: &Limits) -> [Bound; 22] {
    let head = limits.head_size.as_u64();
    [
        number("limits.connections", limits.connections, 1..=MANY),
        number("limits.agent_connections", limits.agent_connections, 1..=MANY),
        number("limits.agent_requests", limits.agent_requests, 1..=MANY),
        number("limits.agent_lookups", limits.agent_lookups, 1..=10_000),
        number("limits.unknown_names_per_minute", limits.unknown_names_per_minute, 1..=MANY),
        number("limits.pending_log_ins", limits.pending_log_ins, 0..=1000),
        number("limits.pending_log_in_hours", limits.pending_log_in_hours, 1..=8760),
        number("limits.leases", limits.leases, 0..=MANY),
        number("limits.agent_leases", limits.agent_leases, 0..=MANY),
        number("limits.lease_secs", limits.lease_secs, 1..=30 * DAY),
        number("limits.http2_streams", limits.http2_streams, 1..=10_000),
        number("limits.head_timeout_secs", limits.head_timeout_secs, 1..=HOUR),
        number("limits.handshake_timeout_secs", limits.handshake_timeout_secs, 1..=HOUR),
        number("limits.keep_alive_secs", limits.keep_alive_secs, 1..=DAY),
        number("limits.upload_grace_secs", limits.upload_grace_secs, 0..=DAY),
        size("limits.upload_rate", limits.upload_rate, 0..=GIB),
        size("limits.content", limits.content, KIB..=GIB),
        number("limits.drain_secs", limits.drain_secs, 0..=DAY),
        size("limits.head_size", limits.head_size, KIB..=256 * KIB),
        number("limits.head_fields", limits.head_fields, 1..=100),
        // Less than the head that it is a part of.
        size("limits.target_size", limits.target_size, 256..=head.saturating_sub(1)),
        number("limits.wrong_tokens_per_minute", limits.wrong_tokens_per_minute, 1..=MANY),
    ]
}

fn audit(audit: &Audit) -> [Bound; 13] {
    [
        number("audit.fsync_secs", audit.fsync_secs, 1..=HOUR),
        number("audit.head_secs", audit.head_secs, 1..=DAY),
        size("audit.segment", audit.segment, 64 * KIB..=64 * GIB),
        number("audit.segment_hours", audit.segment_hours, 1..=8760),
        size("audit.spool", audit.spool, KIB * KIB..=1024 * GIB),
        // A part of the spool, which would be full before it was.
        size("audit.spool_file", audit.spool_file, 64 * KIB..=GIB.min(audit.spool.as_u64())),
        number("audit.keep_segments", audit.keep_segments, 0..=MANY),
        size("audit.keep_size", audit.keep_size, 0..=1024 * 1024 * GIB),
        number("audit.keep_days", audit.keep_days, 0..=36_500),
        number("audit.stranger_lines_per_minute", audit.stranger_lines_per_minute, 0..=MANY),
        size("audit.line", audit.line, 256..=64 * KIB),
        number("audit.linger_millis", audit.linger_millis, 0..=10_000),
        number("audit.poll_millis", audit.poll_millis, 1..=60_000),
    ]
}

fn ca(ca: &Ca) -> [Bound; 2] {
    [number("ca.cache_hosts", ca.cache_hosts, 1..=MANY), number("ca.overlap_days", ca.overlap_days, 0..=3650)]
}

fn gateway(gateway: &Gateway) -> [Bound; 6] {
    [
        number("gateway.connections", gateway.connections, 1..=MANY),
        number("gateway.address_connections", gateway.address_connections, 1..=MANY),
        number("gateway.wrong_keys_per_minute", gateway.wrong_keys_per_minute, 1..=MANY),
        number("gateway.session_idle_secs", gateway.session_idle_secs, 60..=7 * DAY),
        number("gateway.session_secs", gateway.session_secs, 60..=30 * DAY),
        number("gateway.grace_secs", gateway.grace_secs, 0..=30 * DAY),
    ]
}

fn attention(attention: &Attention) -> [Bound; 2] {
    [
        number("attention.hold_limit", attention.hold_limit, 0..=10_000),
        number("attention.agent_hold_limit", attention.agent_hold_limit, 0..=10_000),
    ]
}

fn approvals(approvals: &Approvals) -> [Bound; 2] {
    [
        number("approvals.hold_limit", approvals.hold_limit, 0..=10_000),
        number("approvals.agent_hold_limit", approvals.agent_hold_limit, 0..=10_000),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_told_as_it_is_written() {
        for (bytes, text) in [(0, "0B"), (255, "255B"), (1024, "1KiB"), (65_535, "65535B"), (3 << 20, "3MiB"), (GIB, "1GiB")] {
            assert_eq!(size_text(bytes), text);
        }
    }
}
