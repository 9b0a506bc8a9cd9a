//! What a decision costs does not depend on how many rules there are.

use http::Method;
use nexus::fuzzing::Decider;
use nexus::model::{Authority, Scheme, Target};

fn target(host: &str) -> Target {
    Target {
        scheme: Scheme::Https,
        authority: Authority::parse(host, Some(443)).expect("an authority"),
        method: Method::GET,
        path: "/v1/me?all=1".parse().expect("a path"),
    }
}

#[test]
fn a_decision_allocates_nothing_however_many_rules_there_are() {
    for (rules, host) in [(10, "api.9.p0.example"), (1_000, "api.99.p9.example")] {
        let decider = Decider::with_rules(rules).expect("a catalogue");
        let target = target(host);
        let mut outcome = "";
        let counted = allocation_counter::measure(|| outcome = decider.decide(&target));
        assert_eq!((outcome, counted.count_total), ("inject", 0), "{rules} rules");
    }
}
