//! Tests of `book`: what rules say together.

use std::time::{Duration, SystemTime};

use http::uri::PathAndQuery;
use proptest::prelude::*;

use super::super::asked::Content;
use super::*;
use crate::model::{AgentName, Host, Inside, Preset, ProviderId, UserName};
use crate::policy::{gather, read};

fn policy(text: &str, closed: bool) -> Policy {
    let rows = read("nexus.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Policy::new(gather(vec![("nexus.toml".into(), rows)]).expect("rules"), closed)
}

/// A request of an agent.
#[derive(Debug, Clone)]
struct Case {
    agent: AgentName,
    user: Option<UserName>,
    host: Host,
    port: u16,
    owner: Option<ProviderId>,
    method: String,
    path: PathAndQuery,
    length: Option<u64>,
}

impl Case {
    fn new(agent: &str, method: &str, host: &str, path: &str) -> Self {
        Self {
            agent: agent.parse().expect("a name"),
            user: None,
            host: host.parse().expect("a host"),
            port: 443,
            owner: None,
            method: method.to_owned(),
            path: path.parse().expect("a path"),
            length: Some(0),
        }
    }

    fn ask<T>(&self, ask: impl FnOnce(&Question<'_>, &Asked<'_>) -> T) -> T {
        let owners: Vec<(&ProviderId, Fit)> = self.owner.iter().map(|id| (id, Fit::Yes)).collect();
        let question = Question {
            agent: &self.agent,
            user: self.user.as_ref(),
            host: &self.host,
            port: self.port,
            owners: &owners,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        };
        let content = Content { length: self.length, ..Content::default() };
        ask(&question, &Asked::new(&self.method, &self.path, content, false))
    }

    fn judge(&self, policy: &Policy) -> Ruling {
        self.ask(|question, asked| policy.judge(question, asked, &reads_by_get))
    }
}

fn reads_by_get(_: &ProviderId, _: Preset, asked: &Asked<'_>) -> Inside {
    if asked.methods().all(|method| method == "GET") { Inside::Yes } else { Inside::No }
}

/// `allow RULE`, `deny RULE`, `unruled` or `none`, and the limits.
fn word(ruling: &Ruling) -> String {
    let limits: String = ruling.limits.iter().map(|rule| format!(" +{}", rule.name())).collect();
    let reports: String = ruling.reports.iter().map(|rule| format!(" ~{}", rule.name())).collect();
    let head = match (&ruling.denied, ruling.unruled, &ruling.allowed) {
        (Some(rule), ..) => format!("deny {}", rule.name()),
        (None, true, _) => "unruled".to_owned(),
        (None, false, Some(rule)) => format!("allow {}", rule.name()),
        (None, false, None) => "none".to_owned(),
    };
    let approvals: String = ruling.approvals.iter().map(|rule| format!(" ?{}", rule.name())).collect();
    format!("{head}{limits}{approvals}{reports}")
}

const RULES: &str = r#"
[[rule]]
name = "no secrets"
hosts = "api.one.test"
paths = ["/repos/{owner}/**/secrets/**", "/admin/**"]
action = "deny"

[[rule]]
name = "slowly"
agents = "ci-*"
hosts = "api.one.test"
methods = ["POST", "PUT"]
action = "limit"
rate = "1/s"

[[rule]]
name = "shadow"
hosts = "api.one.test"
methods = "DELETE"
mode = "report"
action = "deny"

[[rule]]
name = "small"
hosts = "*.two.test"
larger_than = "1KiB"
action = "deny"

[[rule]]
name = "read"
provider = "github"
preset = "read_only"

[[rule]]
name = "alice"
users = "alice"
ports = [8443]
action = "allow"

[[rule]]
hosts = "api.one.test"
action = "allow"
"#;

#[test]
fn the_first_rule_that_fits_decides() {
    let policy = policy(RULES, true);
    for (agent, method, url, expected) in [
        ("a", "GET", "api.one.test/repos/octo/hello", "allow nexus.toml:40"),
        ("a", "GET", "api.one.test/repos/octo/hello/actions/secrets", "deny no secrets"),
        ("ci-1", "POST", "api.one.test/x", "allow slowly +slowly"),
        ("ci", "POST", "api.one.test/x", "allow nexus.toml:40"),
        ("a", "DELETE", "api.one.test/x", "allow nexus.toml:40 ~shadow"),
        ("a", "GET", "api.three.test/x", "unruled"),
        ("a", "GET", "x.two.test/x", "unruled"),
    ] {
        let (host, path) = url.split_once('/').expect("a path");
        let case = Case::new(agent, method, host, &format!("/{path}"));
        assert_eq!(word(&case.judge(&policy)), expected, "{agent} {method} {url}");
    }
    let github =
        |method: &str, path: &str| Case { owner: "github".parse().ok(), ..Case::new("a", method, "api.github.com", path) };
    assert_eq!(word(&github("GET", "/user").judge(&policy)), "allow read");
    assert_eq!(word(&github("POST", "/user/repos").judge(&policy)), "deny read");
    assert_eq!(word(&github("GET", "/user?_method=DELETE").judge(&policy)), "deny read");
    let alice = Case { user: "alice".parse().ok(), port: 8443, ..Case::new("a", "GET", "x.test", "/") };
    assert_eq!(word(&alice.judge(&policy)), "allow alice");
    assert_eq!(word(&Case { port: 443, ..alice.clone() }.judge(&policy)), "unruled");
    assert_eq!(word(&Case { user: "bob".parse().ok(), ..alice }.judge(&policy)), "unruled");
}

#[test]
fn i2_in_doubt_the_stricter_reading_holds() {
    let policy = policy(RULES, true);
    for path in [
        "/Admin/x",
        "/x/../admin/x",
        "/%61dmin/x",
        "/%2561dmin",
        "//admin/x",
        "/x/..;/admin",
        "/x/..%2fadmin/x",
        "/%00",
        "/%ff%2e%2e/../..",
    ] {
        let case = Case::new("a", "GET", "api.one.test", path);
        assert_eq!(word(&case.judge(&policy)), "deny no secrets", "{path}");
    }
    // A method in small letters may be the one that a limit is for, and may not.
    assert_eq!(word(&Case::new("ci-1", "post", "api.one.test", "/x").judge(&policy)), "allow nexus.toml:40 +slowly");
    // A body whose length nobody knows yet may be larger.
    let unknown = Case { length: None, ..Case::new("a", "POST", "x.two.test", "/") };
    assert_eq!(word(&unknown.judge(&policy)), "deny small");
    // What lets a request on must fit in every reading.
    let narrow =
        super::tests::policy("[[rule]]\nname = \"r\"\nhosts = \"a.test\"\npaths = \"/public/**\"\naction = \"allow\"\n", true);
    for path in ["/public/../admin", "/Public/x", "/public%2f..%2fadmin", "/%70ublic/x"] {
        assert_eq!(word(&Case::new("a", "GET", "a.test", path).judge(&narrow)), "unruled", "{path}");
    }
    assert_eq!(word(&Case::new("a", "GET", "a.test", "/public/a%20b").judge(&narrow)), "allow r");
}

#[test]
fn a_rule_ends_when_it_says() {
    let text = "[[rule]]\nhosts = \"a.test\"\naction = \"allow\"\nexpires = ";
    for (end, expected) in [
        ("2027-01-15T07:59:59Z", "unruled"),
        ("\"2027-01-15T08:00:01Z\"", "allow nexus.toml:1"),
        ("2027-01-16", "allow nexus.toml:1"),
    ] {
        let policy = policy(&format!("{text}{end}\n"), true);
        assert_eq!(word(&Case::new("a", "GET", "a.test", "/").judge(&policy)), expected, "{end}");
    }
}

const CONNECTS: &str = r#"
[[rule]]
name = "shadow"
hosts = "a.test"
action = "deny"
mode = "report"
[[rule]]
name = "posts"
hosts = ["a.test", "b.test"]
methods = "POST"
action = "deny"
[[rule]]
name = "a"
hosts = "a.test"
action = "allow"
[[rule]]
name = "b"
hosts = "b.test"
action = "deny"
[[rule]]
name = "c"
hosts = "c.test"
action = "allow"
[[rule]]
name = "d"
hosts = "d.test"
methods = "GET"
action = "allow"
"#;

#[test]
fn a_connect_is_decided_as_far_as_all_its_requests_are() {
    let word = |policy: &Policy, host: &str| {
        let (doorway, reports) = Case::new("a", "CONNECT", host, "/").ask(|question, _| policy.judge_connect(question));
        let reports = reports.len();
        match doorway {
            Doorway::Shut(rule) => format!("shut {reports} {}", rule.map_or("-".into(), |rule| rule.name().to_string())),
            Doorway::Watched => format!("watched {reports}"),
            Doorway::Open(rule) => format!("open {reports} {}", rule.map_or("-".into(), |rule| rule.name().to_string())),
        }
    };
    for (closed, e) in [(true, "shut 0 -"), (false, "open 0 -")] {
        let policy = policy(CONNECTS, closed);
        assert_eq!(word(&policy, "a.test"), "watched 1");
        assert_eq!(word(&policy, "b.test"), "shut 0 b");
        assert_eq!(word(&policy, "c.test"), "open 0 c");
        assert_eq!(word(&policy, "d.test"), "watched 0");
        assert_eq!(word(&policy, "e.test"), e);
    }
}

#[test]
fn a_connect_says_whether_a_person_may_be_asked() {
    let rule = |rest: &str| format!("[[rule]]\n{rest}\n");
    let asks = rule("hosts = \"a.test\"\nmethods = \"POST\"\naction = \"approve\"");
    let may_ask = |rules: &str, agent: &str, host: &str| {
        let policy = policy(rules, false);
        Case::new(agent, "CONNECT", host, "/").ask(|question, _| policy.may_ask(question))
    };
    assert!(may_ask(&asks, "a", "a.test") && !may_ask(&asks, "a", "b.test") && !may_ask("", "a", "a.test"));
    let first = |rest: &str| format!("{}{asks}", rule(rest));
    assert!(!may_ask(&first("hosts = \"a.test\"\naction = \"allow\""), "a", "a.test"));
    assert!(may_ask(&first("hosts = \"a.test\"\nmethods = \"POST\"\naction = \"allow\""), "a", "a.test"));
    assert!(may_ask(&first("hosts = \"a.test\"\naction = \"deny\"\nmode = \"report\""), "a", "a.test"));
    assert!(!may_ask(&format!("{asks}mode = \"report\"\n"), "a", "a.test"));
    assert!(!may_ask(&format!("{asks}agents = \"b\"\n"), "a", "a.test"));
}

#[test]
fn rules_that_report_close_nothing() {
    let policy = policy("[[rule]]\nhosts = \"a.test\"\naction = \"deny\"\nmode = \"report\"\n", true);
    assert_eq!(word(&Case::new("a", "GET", "b.test", "/").judge(&policy)), "none");
}

#[test]
fn what_goes_with_approve_goes_with_nothing_else() {
    for (keys, words) in [
        ("action = \"approve\"\ntimeout = \"2d\"", "line 4, column 11: expected a time from 1s to 24h"),
        ("action = \"approve\"\nsummary = \"\"", "a summary is one line"),
        ("action = \"approve\"\nrate = \"1/s\"", "go with action = `limit`"),
        (
            "action = \"approve\"\nprovider = \"github\"\npreset = \"read_only\"",
            "let a rule before it say what is to be approved",
        ),
        ("action = \"deny\"\ntimeout = \"5m\"", "`timeout` and `summary` go with action = `approve`"),
        ("action = \"limit\"\nper_day = 1\nsummary = \"x\"", "`timeout` and `summary` go with action = `approve`"),
    ] {
        let text = format!("\n[[rule]]\n{keys}\n");
        let error = read("p.toml", &text).map(drop).expect_err(&text);
        assert!(std::error::Error::source(&error).is_none(), "it would be said twice");
        let said = error.to_string();
        assert!(said.contains(words), "{said}");
    }
    let asked =
        |text: &str| gather(vec![("p.toml".into(), read("p.toml", text).expect("rows"))]).expect("rules").pop().expect("one");
    let rule = asked("[[rule]]\naction = \"approve\"\n");
    assert_eq!((rule.action(), rule.patience(), rule.summary()), ("approve", Duration::from_secs(300), None));
    let said = asked("[[rule]]\naction = \"approve\"\ntimeout = \"2h\"\nsummary = \"Pays\"\n");
    assert_eq!((said.patience(), said.summary()), (Duration::from_secs(7200), Some("Pays")));
    let moved = asked("\n\n[[rule]]\nname = \"p.toml:1\"\naction = \"approve\"\n");
    assert_ne!(rule.digest(), said.digest());
    assert_ne!(rule.digest(), moved.digest(), "a name that is written is another than one that is not");
}

#[test]
fn what_does_not_go_together_is_told_with_its_line() {
    let said = |text: &str| read("p.toml", text).map(drop).expect_err(text).to_string();
    for (keys, words) in [
        ("hosts = \"a.test\"", "line 2, column 1: a rule needs an `action`"),
        ("action = \"limit\"", "`limit` needs `rate`, `concurrency`, `bytes` or `per_day`"),
        ("action = \"allow\"\nrate = \"1/s\"", "go with action = `limit`"),
        ("action = \"denny\"", "expected one of `allow`, `deny`, `limit`, `approve`"),
        ("preset = \"read_only\"", "name it with `provider`"),
        ("preset = \"read_only\"\nprovider = \"*\"", "not of `*`"),
        ("preset = \"read_only\"\nprovider = \"github\"\naction = \"deny\"", "says itself what is denied"),
        ("preset = \"read_only\"\nprovider = \"github\"\nmethods = \"GET\"", "leave `methods` and `paths` out"),
        (
            "preset = \"nope\"\nprovider = \"github\"",
            "line 3, column 10: unknown word `nope`, expected `read_only` or `no_delete`",
        ),
        ("action = \"allow\"\nhost = \"a.test\"", "line 4, column 1: unknown key `host`"),
        ("action = \"allow\"\nhosts = \"https://a.test\"", "line 4, column 9: expected a host such as"),
        ("action = \"allow\"\nhosts = []", "an empty list speaks of nothing"),
        ("action = \"allow\"\npaths = [\"/a\", \"b\"]", "line 4, column 9: a path begins with /"),
        ("action = \"allow\"\nmethods = \"get\"", "capital letters"),
        ("action = \"allow\"\nports = [0]", "0 is not a port"),
        ("action = \"allow\"\nports = [70000]", "expected a whole number from 0 to 65535"),
        ("action = \"allow\"\nparts = { owner = [\"a\"] }\npaths = \"/x\"", "not every one of `paths` has"),
        ("action = \"limit\"\nrate = \"1/s\"\nburst = 0", "from 1 to 1000000"),
        ("action = \"limit\"\nper_day = 1\nburst = 2", "`burst` goes with `rate`"),
        ("action = \"allow\"\nlarger_than = \"2KiB\"\nsmaller_than = \"1KiB\"", "no body is both"),
        ("action = \"allow\"\nexpires = \"soon\"", "line 4, column 11: expected a moment"),
        ("action = \"allow\"\nname = \"\"", "a name is 1 to 64"),
        ("action = \"allow\"\nwhen = { zone = \"Nowhere/Land\" }", "the name of a time zone"),
    ] {
        let text = format!("\n[[rule]]\n{keys}\n");
        assert!(said(&text).contains(words), "{}", said(&text));
    }
    assert!(said("[rule]\n").contains("expected a list"), "{}", said("[rule]\n"));
    assert!(said("[proxy]\n").contains("unknown key `proxy`"));
    let twice =
        read("a.toml", "[[rule]]\nname = \"x\"\naction = \"deny\"\n[[rule]]\nname = \"x\"\naction = \"deny\"\n").expect("rows");
    let error = gather(vec![("a.toml".into(), twice)]).expect_err("twice").to_string();
    assert!(error.contains("line 4") && error.contains("a.toml, line 1"), "{error}");
}

/// A rule of few words, so that many fit.
fn any_rule() -> impl Strategy<Value = String> {
    let one_of = |words: &'static [&'static str]| prop::sample::select(words);
    let key = |key: &'static str, words| {
        prop::option::of(one_of(words)).prop_map(move |word| word.map_or(String::new(), |word| format!("{key} = {word}\n")))
    };
    (
        key("agents", &["\"ci\"", "\"ci-*\"", "[\"a\", \"ci\"]"]),
        key("users", &["\"alice\"", "[\"bob\", \"alice\"]"]),
        key("hosts", &["\"a.test\"", "\"*.a.test\"", "[\"b.test\", \"a.test\"]", "\"*.test\""]),
        key("methods", &["\"GET\"", "[\"POST\", \"DELETE\"]"]),
        key("paths", &["\"/a/**\"", "\"/{x}/b\"", "[\"/a\", \"/b/*\"]"]),
        key("larger_than", &["\"10B\""]),
        one_of(&[
            "action = \"allow\"",
            "action = \"deny\"",
            "action = \"limit\"\nper_day = 5",
            "action = \"approve\"",
            "action = \"approve\"\nmode = \"report\"",
            "action = \"deny\"\nmode = \"report\"",
        ]),
        key("provider", &["\"github\"", "\"*\"", "[\"gitlab\", \"github\"]"]),
    )
        .prop_map(|(agents, users, hosts, methods, paths, size, action, provider)| {
            format!("[[rule]]\n{agents}{users}{hosts}{methods}{paths}{size}{provider}{action}\n")
        })
}

fn any_case() -> impl Strategy<Value = Case> {
    let one_of = |words: &'static [&'static str]| prop::sample::select(words);
    (
        one_of(&["a", "ci", "ci-1", "x"]),
        prop::option::of(one_of(&["alice", "bob"])),
        one_of(&["a.test", "b.test", "x.a.test", "y.x.a.test", "c.example"]),
        one_of(&["GET", "POST", "DELETE", "get"]),
        one_of(&["/a", "/a/b", "/A/b", "/b/c", "/x/../a", "/%61", "/c", "/a?_method=DELETE", "/%00"]),
        prop::option::of(one_of(&["github", "gitlab", "slack"])),
        prop::option::of(0_u64..20),
    )
        .prop_map(|(agent, user, host, method, path, owner, length)| Case {
            user: user.map(|user| user.parse().expect("a name")),
            owner: owner.map(|owner| owner.parse().expect("a name")),
            length,
            ..Case::new(agent, method, host, path)
        })
}

fn refuses(ruling: &Ruling) -> bool {
    ruling.denied.is_some() || ruling.unruled
}

/// How strict a ruling is: 0 lets everything on.
fn strictness(ruling: &Ruling) -> (u8, usize) {
    match () {
        () if refuses(ruling) => (3, 0),
        () if ruling.approvals.iter().any(|rule| !rule.reports()) => (2, 0),
        () => (u8::from(!ruling.limits.is_empty()), 0),
    }
}

/// What the rules say one by one, without an index.
fn plainly(policy: &Policy, case: &Case) -> Ruling {
    case.ask(|question, asked| {
        let mut ruling = Ruling::default();
        for rule in &policy.rules {
            let fit = rule.fits(question, asked);
            if fit > Fit::No && ruling.take_in(rule, fit, rule.word(question, asked, &reads_by_get)) {
                return ruling;
            }
        }
        ruling.unruled = policy.closed;
        ruling
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_index_changes_nothing(rules in prop::collection::vec(any_rule(), 0..8), case in any_case(), closed: bool) {
        let policy = policy(&rules.concat(), closed);
        prop_assert_eq!(word(&case.judge(&policy)), word(&plainly(&policy, &case)));
    }

    /// Of a request that every service reads in one way, the first rule that fits says all.
    #[test]
    fn without_doubt_the_first_that_fits_decides(rules in prop::collection::vec(any_rule(), 0..8), case in any_case()) {
        let policy = policy(&rules.concat(), false);
        let fits: Vec<Fit> = case.ask(|question, asked| policy.rules.iter().map(|rule| rule.fits(question, asked)).collect());
        prop_assume!(!fits.contains(&Fit::Maybe));
        let first = policy.rules.iter().zip(&fits).find(|(rule, fit)| **fit == Fit::Yes && !rule.reports()).map(|(rule, _)| rule);
        let ruling = case.judge(&policy);
        prop_assert_eq!(ruling.deciding().map(|rule| rule.name()), first.map(|rule| rule.name()));
        prop_assert_eq!(refuses(&ruling), first.is_some_and(|rule| rule.action() == "deny"));
    }

    /// Narrowing what is allowed lets nothing more on, and narrowing what is denied refuses nothing more.
    #[test]
    fn narrowing_a_rule_is_monotone(
        rules in prop::collection::vec(any_rule(), 1..6),
        at: prop::sample::Index,
        narrower in prop::sample::select(&["ports = [443]\n", "ports = [8443]\n", "smaller_than = \"15B\"\n", "content_types = \"text/plain\"\n"][..]),
        case in any_case(),
        closed: bool,
    ) {
        let number = at.index(rules.len());
        let mut narrowed = rules.clone();
        narrowed[number] = narrowed[number].replace("[[rule]]\n", &format!("[[rule]]\n{narrower}"));
        prop_assume!(!(narrowed[number].contains("larger_than") && narrower.contains("smaller") ) || read("x", &narrowed.concat()).is_ok());
        let (before, after) = (policy(&rules.concat(), closed), policy(&narrowed.concat(), closed));
        let (before, after) = (strictness(&case.judge(&before)), strictness(&case.judge(&after)));
        if rules[number].contains("\"allow\"") {
            prop_assert!(after >= before);
        } else if rules[number].contains("\"deny\"") {
            prop_assert!(after <= before);
        }
    }

    /// A person's word lets nothing on that the rules refuse: `approve` is `allow` and a question, and never more than that.
    #[test]
    fn i2_approve_never_widens(rules in prop::collection::vec(any_rule(), 0..8), case in any_case(), closed: bool) {
        let written = rules.concat();
        let with = |action: &str| {
            case.judge(&policy(&written.replace("action = \"approve\"", &format!("action = \"{action}\"")), closed))
        };
        let (asked, allowed, denied) = (case.judge(&policy(&written, closed)), with("allow"), with("deny"));
        prop_assert_eq!(refuses(&asked), refuses(&allowed));
        prop_assert_eq!(asked.deciding().map(|rule| rule.name()), allowed.deciding().map(|rule| rule.name()));
        prop_assert!(strictness(&allowed) <= strictness(&asked) && strictness(&asked) <= strictness(&denied));
    }

    /// A CONNECT that is shut has no request that would go on, and one that is open none that would be refused or counted.
    #[test]
    fn a_connect_and_its_requests_agree(rules in prop::collection::vec(any_rule(), 0..6), case in any_case(), closed: bool) {
        let policy = policy(&rules.concat(), closed);
        let (doorway, _) = case.ask(|question, _| policy.judge_connect(question));
        let ruling = case.judge(&policy);
        match doorway {
            Doorway::Shut(_) => prop_assert!(refuses(&ruling)),
            Doorway::Open(_) => prop_assert_eq!(strictness(&ruling), (0, 0)),
            Doorway::Watched => {}
        }
    }
}

#[test]
fn what_may_change_is_looked_at_when_it_does() {
    let rules = |text: &str| gather(vec![("p.toml".into(), read("p.toml", text).expect("rows"))]).expect("rules");
    let at = |text: &str| -> SystemTime { text.parse::<jiff::Timestamp>().expect("a time").into() };
    let allow = "[[rule]]\nhosts = \"a.test\"\naction = \"allow\"\n";
    assert!(!Policy::new(rules(allow), true).is_timed());
    let hours = Policy::new(rules(&format!("{allow}when = {{ hours = \"09:00-18:00\" }}\n")), true);
    assert!(hours.is_timed());
    assert_eq!(hours.look_again(at("2026-07-01T17:59:30.5Z")), Duration::from_millis(29_500));
    let ends = Policy::new(rules(&format!("{allow}expires = 2026-07-01T12:00:07Z\n")), true);
    assert_eq!(ends.look_again(at("2026-07-01T12:00:05Z")), Duration::from_secs(2));
    assert_eq!(ends.look_again(at("2026-07-01T12:00:07Z")), Duration::from_secs(53), "what has ended stays so");
}

#[test]
fn i2_a_slash_within_a_segment_hides_nothing_behind_it() {
    let rules = policy(
        "[[rule]]\nname = \"issues\"\nhosts = \"api.one.test\"\npaths = \"/api/v4/projects/*/issues\"\naction = \"deny\"\n",
        false,
    );
    for (path, expected) in [
        ("/api/v4/projects/a%2Fb/issues", "deny issues"),
        ("/api/v4/projects/a%2Fb/issue%73", "deny issues"),
        ("/api/v4/projects/a%2Fb/issues;x", "deny issues"),
        ("/api/v4/%70rojects/a%5cb/issues", "deny issues"),
        ("/api/v4/projects/a%2Fb/notes", "none"),
    ] {
        assert_eq!(word(&Case::new("ci", "GET", "api.one.test", path).judge(&rules)), expected, "{path}");
    }
}
