//! What a decision costs does not depend on how many rules there are.

use http::Method;
use nexus::fuzzing::Decider;
use nexus::model::{Authority, Scheme, Target};

#[test]
fn a_decision_under_rules_allocates_nothing_however_many_there_are() {
    for rules in [1, 1_000] {
        let decider = Decider::with_policy(rules).expect("rules");
        let target = Target {
            scheme: Scheme::Https,
            authority: Authority::parse("api.stripe.com", Some(443)).expect("an authority"),
            method: Method::GET,
            path: "/v1/charges/ch_1?limit=2".parse().expect("a path"),
        };
        let mut outcome = "";
        let counted = allocation_counter::measure(|| outcome = decider.decide(&target));
        assert_eq!((outcome, counted.count_total), ("inject", 0), "{rules} rules");
        let refused = Target { method: Method::DELETE, ..target };
        assert_eq!(decider.decide(&refused), "refuse");
    }
}

#[test]
fn a_decision_allocates_nothing_however_many_rules_there_are() {
    for (rules, host) in [(10, "api.9.p0.example"), (1_000, "api.99.p9.example")] {
        let decider = Decider::with_rules(rules).expect("a catalogue");
        let target = Target {
            scheme: Scheme::Https,
            authority: Authority::parse(host, Some(443)).expect("an authority"),
            method: Method::GET,
            path: "/v1/me?all=1".parse().expect("a path"),
        };
        let mut outcome = "";
        let counted = allocation_counter::measure(|| outcome = decider.decide(&target));
        assert_eq!((outcome, counted.count_total), ("inject", 0), "{rules} rules");
    }
}
