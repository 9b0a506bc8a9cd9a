//! What every request pays besides the network: its head, the decision, the credential; and what a new host pays once.
//!
//! `make bench`. The whole path, with sockets and TLS, is measured from outside: see docs/performance.md.

#![expect(clippy::expect_used, reason = "a bench that cannot set up should stop")]

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use http::HeaderMap;
use nexus::ca::{Issuer, Root, Settings};
use nexus::fuzzing::{Auditing, Decider, Scrubbing, connect_line, pass_requests};
use nexus::model::{Credential, Host, Secret};
use nexus::provider::{Catalogue, prepare, strip_target};

use common::{REQUEST, answer, target};

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("a request through the gate", |bencher| bencher.iter(|| pass_requests(black_box(&[REQUEST]))));
    let connect = b"CONNECT api.github.com:443 HTTP/1.1\r\nHost: api.github.com:443\r\nUser-Agent: curl/8\r\n\r\n";
    group.throughput(Throughput::Bytes(connect.len() as u64));
    group.bench_function("a CONNECT", |bencher| bencher.iter(|| connect_line(black_box(connect))));
    group.finish();
}

fn decisions(criterion: &mut Criterion) {
    let decider = Decider::shipped().expect("the catalogue");
    let mut group = criterion.benchmark_group("decide");
    let cases = [
        ("inject", "inject", "https://api.github.com/user"),
        ("inject for a tenant", "inject", "https://acme.atlassian.net/rest/api/3/myself"),
        ("no rule", "refuse", "https://example.com/"),
    ];
    for (name, outcome, url) in cases {
        let target = target(url);
        assert_eq!(decider.decide(&target), outcome);
        group.bench_function(name, |bencher| bencher.iter(|| decider.decide(black_box(&target))));
    }
    for rules in [10, 10_000] {
        let decider = Decider::with_rules(rules).expect("a catalogue");
        let last = (rules - 1) % 100;
        let target = target(&format!("https://api.{last}.p{}.example/v1/me", (rules - 1) / 100));
        assert_eq!(decider.decide(&target), "inject");
        group.bench_function(format!("inject among {rules} rules"), |bencher| {
            bencher.iter(|| decider.decide(black_box(&target)));
        });
    }
    for rules in [1, 1_000] {
        let decider = Decider::with_policy(rules).expect("rules");
        let target = target("https://api.stripe.com/v1/charges/ch_1?limit=2");
        assert_eq!(decider.decide(&target), "inject");
        group.bench_function(format!("inject under {rules} written rules"), |bencher| {
            bencher.iter(|| decider.decide(black_box(&target)));
        });
    }
    group.finish();
}

fn strategies(criterion: &mut Criterion) {
    let catalogue = Catalogue::builtin();
    let github = catalogue.get(&"github".parse().expect("a name")).expect("it ships");
    let rule = github.inject.first().expect("it has rules");
    let mut credential = Credential::default();
    credential.set("access_token", Secret::new("gho_0123456789abcdefghijklmnopqrstuvwxyz".to_owned()));
    let fields = |name: &str| credential.field(name);
    let mut group = criterion.benchmark_group("strategy");
    group.bench_function("prepare", |bencher| bencher.iter(|| prepare(black_box(&rule.placements), &fields)));
    let prepared = prepare(&rule.placements, &fields).expect("sound").expect("complete");
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer ghp_0123456789abcdefghijklmnopqrstuvwxyz".parse().expect("a value"));
    headers.insert("accept", "application/vnd.github+json".parse().expect("a value"));
    let path = target("https://api.github.com/user?per_page=100").path;
    group.bench_function("strip and apply", |bencher| {
        let sent = || (headers.clone(), path.clone());
        bencher.iter_batched_ref(
            sent,
            |(headers, path)| {
                strip_target(&github.slots, headers, path).expect("short");
                prepared.apply(headers, path).expect("it fits");
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn leaves(criterion: &mut Criterion) {
    let root = Root::create("bench", SystemTime::now()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let issuer = Issuer::new(&root, provider, Settings { cache_hosts: 1000 }, SystemTime::now()).expect("an issuer");
    issuer.warm().expect("it signs");
    let mut group = criterion.benchmark_group("leaf");
    let known: Host = "api.github.com".parse().expect("a host");
    group.bench_function("a known host", |bencher| bencher.iter(|| issuer.server_config(black_box(&known), true)));
    let mut number = 0_u64;
    group.bench_function("a new host", |bencher| {
        bencher.iter(|| {
            number += 1;
            let host: Host = format!("h{number}.example.com").parse().expect("a host");
            issuer.server_config(&host, true)
        });
    });
    group.finish();
}

fn scrubbing(criterion: &mut Criterion) {
    let pieces = answer(4 * 1024 * 1024);
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let mut group = criterion.benchmark_group("guard");
    group.throughput(Throughput::Bytes(length as u64));
    let token = "gho_0123456789abcdefghijklmnopqrstuvwxyz";
    let long = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2FjbWUuZXhhbXBsZS8iLCJzdWIiOiIxMjM0NTY3ODkwIn0.Zm9vYmFyYmF6cXV4";
    let pair = ["c2stMDEyMzQ1Njc4OWFiY2RlZjpwYXNzd29yZC1vZi0zMi1ieXRlcw==", "password-of-32-bytes-and-some-Xy"];
    for (name, secrets) in [("a token", &[token][..]), ("a long token", &[long]), ("a pair", &pair)] {
        let scrubbing = Scrubbing::of(secrets);
        group.bench_function(format!("clean text, {name}"), |bencher| {
            bencher.iter(|| scrubbing.scrub(black_box(&pieces).iter().cloned(), |out| drop(black_box(out))));
        });
    }
    group.finish();
    criterion.bench_function("guard/compile", |bencher| bencher.iter(|| Scrubbing::of(black_box(&[token]))));
}

fn audit(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let auditing = Auditing::start(folder.path()).expect("a log");
    let target = target("https://api.github.com/repos/octo/hello/issues?state=open");
    criterion.bench_function("audit/a request of its own", |bencher| {
        bencher.iter(|| auditing.request(black_box(&target)).expect("it writes"));
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    heads(&mut criterion);
    decisions(&mut criterion);
    strategies(&mut criterion);
    leaves(&mut criterion);
    scrubbing(&mut criterion);
    audit(&mut criterion);
    criterion.final_summary();
}
