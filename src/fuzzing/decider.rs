//! A door to `decide` for benches and property tests.

use crate::agent::Agent;
use crate::decide::{Asking, LogIns, Mints, OnCanary, Route, Rules, Settings, Unmatched, Unregistered};
use crate::model::{Fit, Host, Inside, ProviderId, Target};
use crate::policy::{Asked, Content, Policy, Question, gather, read};
use crate::provider::Catalogue;

/// The decision on every request over the shipped catalogue, for an agent that may do everything.
#[derive(Debug)]
pub struct Decider {
    rules: Rules,
    agent: Agent,
}

impl Decider {
    /// Compiles the shipped catalogue; hosts that it does not name are refused.
    pub fn shipped() -> Option<Self> {
        Self::of(&Catalogue::builtin())
    }

    /// Compiles a catalogue of `rules` rules, each for a host of its own: `api.N.P.example`, its number in the Pth file of a hundred.
    pub fn with_rules(rules: usize) -> Option<Self> {
        let mut catalogue = Catalogue::default();
        for file in 0..rules.div_ceil(100) {
            let mut text = format!("name = \"p{file}\"\nslots = [\"authorization\"]\n");
            for rule in 0..(rules - 100 * file).min(100) {
                let host = format!("api.{rule}.p{file}.example");
                text.push_str(&format!("[[inject]]\nhosts = [\"{host}\"]\nstrategy = {{ bearer = \"{{api_key}}\" }}\n"));
            }
            catalogue.add(&format!("p{file}.toml"), &text).ok()?;
        }
        Self::of(&catalogue)
    }

    /// The shipped catalogue under `rules` rules: each is for a host of its own, and for an agent of its own at the host that is asked about,
    /// but for the last, which speaks of everybody at `api.stripe.com`.
    pub fn with_policy(rules: usize) -> Option<Self> {
        let mut text = String::new();
        for rule in 0..rules.checked_sub(1)? {
            let place = if rule % 2 == 0 {
                format!("hosts = \"h{rule}.example\"")
            } else {
                format!("provider = \"stripe\"\nagents = \"a{rule}\"")
            };
            text.push_str(&format!("[[rule]]\n{place}\nmethods = \"POST\"\npaths = \"/x/{{y}}/**\"\naction = \"deny\"\n"));
        }
        text.push_str(
            "[[rule]]\nhosts = \"api.stripe.com\"\nmethods = \"GET\"\npaths = [\"/v1/charges/**\", \"/v1/{kind}/{id}\"]\naction = \"allow\"\n",
        );
        let rules = gather(vec![("p.toml".to_owned(), read("p.toml", &text).ok()?)]).ok()?;
        let Self { rules: shipped, agent } = Self::shipped()?;
        Some(Self { rules: shipped.with_policy(Policy::new(rules, true)), agent })
    }

    fn of(catalogue: &Catalogue) -> Option<Self> {
        let settings = Settings {
            unmatched: Unmatched::Refuse,
            unregistered: Unregistered::Refuse,
            connect_ports: Vec::new(),
            allow: true,
            log_ins: LogIns::Capture,
            mints: Mints::Refuse,
            on_canary: OnCanary::Alarm,
        };
        Some(Self { rules: Rules::compile(catalogue, settings), agent: Agent::local()? })
    }

    /// What would become of a request: `pass`, `strip`, `token_endpoint`, `inject`, `mint` or `refuse`.
    pub fn decide(&self, target: &Target) -> &'static str {
        let now = std::time::UNIX_EPOCH;
        let content = Content { length: Some(0), ..Content::default() };
        let asking = Asking { target, agent: &self.agent, content, upgrade: false, now };
        match self.rules.decide(&asking).route {
            Route::Pass => "pass",
            Route::Strip(_) => "strip",
            Route::TokenEndpoint(_) => "token_endpoint",
            Route::Inject(_) => "inject",
            Route::Mint(_) => "mint",
            Route::Refuse(_) => "refuse",
        }
    }
}

/// What `policy` says of an agent's requests to some paths, one word each, and of its CONNECT. Names are left out: they may be lines.
pub(super) fn said(policy: &Policy) -> Option<String> {
    let (agent, provider): (_, ProviderId) = ("ci-1".parse().ok()?, "github".parse().ok()?);
    let host: Host = "api.example.com".parse().ok()?;
    let owners = [(&provider, Fit::Yes)];
    let question = Question { agent: &agent, user: None, host: &host, port: 443, owners: &owners, now: std::time::UNIX_EPOCH };
    let inside = |_: &ProviderId, _, asked: &Asked<'_>| if asked.method == "GET" { Inside::Yes } else { Inside::No };
    let mut words = Vec::new();
    for (method, path) in
        [("GET", "/"), ("POST", "/admin/x"), ("get", "/x/../admin"), ("DELETE", "/a%2fb?_method=GET"), ("PUT", "/%00")]
    {
        let target = path.parse().ok()?;
        let content = Content { kind: Some(b"application/json"), ambiguous: false, ..Content::default() };
        let ruling = policy.judge(&question, &Asked::new(method, &target, content, false), &inside);
        words.push(match (&ruling.denied, ruling.unruled, &ruling.allowed) {
            (Some(_), ..) => "deny",
            (None, true, _) => "unruled",
            (None, false, Some(_)) => "allow",
            (None, false, None) => "nothing",
        });
    }
    let doorway = match policy.judge_connect(&question).0 {
        crate::policy::Doorway::Shut(_) => "shut",
        crate::policy::Doorway::Watched => "watched",
        crate::policy::Doorway::Open(_) => "open",
    };
    words.push(doorway);
    Some(words.join(" "))
}
