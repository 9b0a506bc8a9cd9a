//! Numbers that rooms keep of themselves, for whoever reads them all.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::audit::Log;
use crate::proxy::Proxy;
use crate::telemetry::{Exposition, Kind};
use crate::upstream::Dialler;

/// The same proxy, its numbers told with those of its workers, and those of the log and the way out.
pub(super) fn told_by(proxy: Proxy, log: Arc<Log>, dialler: Arc<Dialler>) -> Arc<Proxy> {
    let proxy = Arc::new(proxy);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // The proxy holds what is told: it is not held by it.
    let weak = Arc::downgrade(&proxy);
    proxy.telemetry.add_source(Box::new(move |out| {
        tell_process(out, started);
        tell_log(out, &log);
        tell_dials(out, &dialler);
        if let Some(proxy) = weak.upgrade() {
            tell_certificates(out, &proxy);
        }
    }));
    proxy
}

fn tell_process(out: &mut Exposition, started: u64) {
    out.family("nexus_build_info", Kind::Gauge, "Which version runs; always 1.");
    out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.family("process_start_time_seconds", Kind::Gauge, "When the process started, in seconds since 1970.");
    out.sample(&[], started);
}

fn tell_log(out: &mut Exposition, log: &Log) {
    let counters = log.counters();
    let all = [
        ("nexus_audit_lines", "Lines of the audit log that were written.", counters.lines),
        ("nexus_audit_write_failures", "Writes of the audit log that failed.", counters.failures),
        ("nexus_audit_lost_lines", "Lines of the audit log that were given up.", counters.lost),
    ];
    for (name, help, value) in all {
        out.family(name, Kind::Counter, help);
        out.sample(&[], value);
    }
    out.family("nexus_audit_failing", Kind::Gauge, "1 while the audit log can't be written.");
    out.sample(&[], u64::from(counters.failing));
}

fn tell_dials(out: &mut Exposition, dialler: &Dialler) {
    out.family("nexus_upstream_dials", Kind::Counter, "Connections to services that were dialled, by outcome.");
    for (outcome, count) in ["connected", "failed"].into_iter().zip(dialler.dials()) {
        out.sample(&[("outcome", outcome)], count);
    }
}

fn tell_certificates(out: &mut Exposition, proxy: &Proxy) {
    let issuer = proxy.issuer.load();
    out.family("nexus_leaf_certificates", Kind::Gauge, "Hosts whose leaf certificate is kept.");
    out.sample(&[], u64::try_from(issuer.cached_hosts()).unwrap_or(u64::MAX));
    out.family("nexus_leaf_certificates_signed", Kind::Counter, "Leaf certificates that were signed with this root.");
    out.sample(&[], issuer.minted());
}
