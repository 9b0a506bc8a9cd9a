//! What `/metrics` tells of the data plane: in both formats, by the conventions' names, and of nobody in particular.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;

use crate::attack::{HOST, KEY, home, service};
use crate::harness::{Authority, Caller, Nexus, Offers, full, request, run};

/// A text as a strict reader takes it: samples by their whole name and labels.
struct Numbers(BTreeMap<String, f64>);

impl Numbers {
    /// Of this series.
    fn of(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The series of `name` with all of these labels, summed.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let fits =
            |series: &str| series.split(['{', '}']).next() == Some(name) && labels.iter().all(|label| series.contains(label));
        self.0.iter().filter(|(series, _)| fits(series)).map(|(_, value)| value).sum()
    }
}

/// Reads `text` as the formats' grammars have it; panics at whatever a reader would stumble over.
fn parsed(text: &str, open_metrics: bool) -> Numbers {
    let (mut families, mut samples) = (BTreeMap::<String, String>::new(), BTreeMap::new());
    let mut current = String::new();
    let text = if open_metrics { text.strip_suffix("# EOF\n").expect("its end") } else { text };
    assert!(text.ends_with('\n') && text.is_ascii() && !text.contains("# EOF"), "{text}");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help");
            assert!(!help.is_empty() && is_name(name) && !families.contains_key(name), "{line}");
            current = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert!(name == current && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter" && !open_metrics, "{line}");
            families.insert(current.clone(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            let name = series.split('{').next().expect("a name");
            let kind = families.get(&current).unwrap_or_else(|| panic!("no type before {line}"));
            let suffixes: &[&str] = match (kind.as_str(), open_metrics) {
                ("histogram", _) => &["_bucket", "_sum", "_count"],
                ("counter", true) => &["_total"],
                _ => &[""],
            };
            assert!(suffixes.iter().any(|suffix| name == format!("{current}{suffix}")), "{line} stands in {current}");
            check_labels(series);
            let value: f64 = value.parse().expect("a number");
            assert!(value >= 0.0 && samples.insert(series.to_owned(), value).is_none(), "{line} twice");
        }
    }
    check_histograms(&families, &samples);
    Numbers(samples)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_')
}

fn check_labels(series: &str) {
    let Some((_, labels)) = series.split_once('{') else { return };
    let mut seen = BTreeSet::new();
    for label in labels.strip_suffix("\"}").expect("braces").split("\",") {
        let (name, value) = label.split_once("=\"").expect("a label");
        assert!(is_name(name) && !value.contains(['"', '\n', '\\']) && !value.is_empty() && seen.insert(name), "{series}");
    }
}

/// Buckets grow, the last is all, and each has its sum and count.
fn check_histograms(families: &BTreeMap<String, String>, samples: &BTreeMap<String, f64>) {
    for family in families.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
        let mut all: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (series, value) in samples.iter().filter(|(series, _)| series.starts_with(&format!("{family}_bucket{{"))) {
            let (labels, bound) = series.rsplit_once("le=\"").expect("a bound");
            let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf").parse().expect("a bound");
            let labels = labels.split_once('{').expect("labels").1.trim_end_matches(',');
            all.entry(labels.to_owned()).or_default().push((bound, *value));
        }
        for (labels, mut buckets) in all {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{family} {labels}: {buckets:?}");
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            assert_eq!(samples.get(&format!("{family}_count{labels}")), buckets.last().map(|(_, count)| count), "{family}");
            assert!(buckets.last().is_some_and(|(bound, _)| bound.is_infinite()));
            assert!(samples.contains_key(&format!("{family}_sum{labels}")), "{family} {labels}");
        }
    }
}

async fn numbers(nexus: &Nexus) -> Numbers {
    parsed(&nexus.gateway().get("/metrics").await.body, false)
}

/// A proxy with its gateway, and one of each: injected, refused, refused by the service, a tunnel.
async fn busy() -> Nexus {
    let ca = Authority::new();
    let service = service(&ca, Offers::Both).await;
    let rules = "[[rule]]\nname = \"no delete\"\nhosts = [\"api.acme.test\"]\nmethods = [\"DELETE\"]\naction = \"deny\"\n";
    let nexus = home(&ca, &service).config(rules).resolve("evil.test", service.address).gateway().start();
    let caller = Caller::new(&nexus);
    for mut session in [caller.http1(HOST).await, caller.http2(HOST).await] {
        for path in ["/private-path-1", "/private-path-2"] {
            assert_eq!(session.get(path).await.status, 200);
        }
        let posted = session.send(request(Method::POST, &format!("https://{HOST}/post"), full("12345"))).await;
        assert_eq!(posted.status, 200);
        let refused = session.send(request(Method::DELETE, &format!("https://{HOST}/x"), full(""))).await;
        assert_eq!(refused.refusal(), Some("policy"));
        let odd =
            session.send(request(Method::from_bytes(b"BREW").expect("a method"), &format!("https://{HOST}/x"), full(""))).await;
        assert_eq!(odd.status, 200);
    }
    drop(caller.tunnel("evil.test:443").await.expect("a tunnel"));
    nexus.audit_line(|line| line["event"] == "tunnel_close").await;
    nexus
}

#[test]
fn every_request_is_counted_under_the_names_of_the_conventions() {
    run(async {
        let nexus = busy().await;
        let numbers = numbers(&nexus).await;
        let acme = ["http_request_method=\"GET\"", "http_response_status_code=\"200\"", "nexus_provider=\"acme\""];
        for name in ["http_server_request_duration_seconds_count", "http_client_request_duration_seconds_count"] {
            assert_eq!(numbers.sum(name, &acme), 4.0, "{name}");
            assert_eq!(numbers.sum(name, &["http_request_method=\"_OTHER\""]), 2.0, "{name}");
        }
        let refused = ["error_type=\"policy\"", "nexus_verdict=\"refuse\"", "http_response_status_code=\"403\""];
        assert_eq!(numbers.sum("http_server_request_duration_seconds_count", &refused), 2.0);
        assert_eq!(numbers.sum("http_client_request_duration_seconds_count", &["error_type"]), 0.0);
        assert_eq!(numbers.of("nexus_refusals_total{kind=\"policy\",on=\"request\"}"), Some(2.0));
        assert_eq!(numbers.of("http_server_request_body_size_bytes_sum{nexus_provider=\"acme\"}"), Some(10.0));
        assert_eq!(numbers.of("http_server_response_body_size_bytes_sum{nexus_provider=\"acme\"}"), Some(32.0));
        assert_eq!(numbers.of("nexus_tunnels_total{verdict=\"tunnel\"}"), Some(1.0));
        assert_eq!(numbers.of("nexus_upstream_dials_total{outcome=\"failed\"}"), Some(0.0));
        assert_eq!(numbers.of("nexus_leaf_certificates"), Some(1.0));
        assert_eq!(numbers.of("nexus_audit_failing"), Some(0.0));
        assert_eq!(numbers.of("nexus_connections{status=\"active\"}"), Some(1.0));
        assert!(numbers.of("nexus_audit_lines_total").is_some_and(|lines| lines > 0.0));
        assert_eq!(numbers.of("http_server_active_requests"), Some(0.0), "whatever began has ended");
    });
}

#[test]
fn i1_the_numbers_name_nobody_and_open_metrics_is_there_for_who_asks() {
    run(async {
        let nexus = busy().await;
        let text =
            nexus.gateway().with("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").get("/metrics").await;
        assert_eq!(text.field("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
        let numbers = parsed(&text.body, true);
        assert_eq!(numbers.of("nexus_refusals_total{kind=\"policy\",on=\"request\"}"), Some(2.0));
        let plain = nexus.gateway().get("/metrics").await;
        assert_eq!(plain.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        for secret in [HOST, "evil.test", "private-path", KEY, "local", "BREW", "no delete"] {
            assert!(!text.body.contains(secret) && !plain.body.contains(secret), "{secret}");
        }
    });
}

#[test]
fn what_is_under_way_is_a_number_until_it_ends() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let nexus = home(&ca, &service).resolve("evil.test", service.address).gateway().start();
        let tunnel = Caller::new(&nexus).tunnel("evil.test:443").await.expect("a tunnel");
        assert_eq!(numbers(&nexus).await.of("nexus_tunnels_active"), Some(1.0));
        drop(tunnel);
        nexus.audit_line(|line| line["event"] == "tunnel_close").await;
        assert_eq!(numbers(&nexus).await.of("nexus_tunnels_active"), Some(0.0));
    });
}
