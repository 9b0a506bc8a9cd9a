//! The least rules that what was seen would have needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use http::uri::PathAndQuery;

use super::asked::{Asked, Content, Question};
use super::book::{Doorway, Policy};
use super::file::{Error, MAX_RULES, gather, read};
use super::seen_path::{Segments, segments, shortened};
use super::terms::MethodTerm;
use crate::model::{AgentName, Fit, Host, Inside, ProviderId};

/// A request that was let on, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observed {
    /// Who asked.
    pub agent: AgentName,
    /// Whose place it was, if any.
    pub provider: Option<ProviderId>,
    /// Where to.
    pub host: Host,
    /// Where to.
    pub port: u16,
    /// The method and the path, without its query; none of a tunnel.
    pub call: Option<(String, String)>,
}

/// As many words as one key may hold.
const WORDS: usize = 200;

/// Whose place it is, or where.
type Place = Result<ProviderId, (Host, u16)>;

/// The segments of paths, by methods.
type Calls = BTreeMap<String, BTreeSet<Segments>>;

/// What the log would have needed.
#[derive(Debug)]
pub struct Suggested<'s> {
    /// The text of a file of rules.
    pub rules: String,
    /// Requests that no rule speaks of without doubt: a method in small letters, a target that is no path, one that services read in several ways.
    pub unsaid: Vec<&'s Observed>,
}

/// Rules that let on what was seen, as little as they can say, and nothing else where the default is `deny`.
pub fn suggest(seen: &BTreeSet<Observed>) -> Suggested<'_> {
    let mut places: BTreeMap<(AgentName, Place), Calls> = BTreeMap::new();
    let mut tunnels: BTreeMap<AgentName, BTreeSet<(Host, u16)>> = BTreeMap::new();
    let mut unsaid = Vec::new();
    for one in seen {
        let place = one.provider.clone().ok_or_else(|| (one.host.clone(), one.port));
        let Some((method, path)) = &one.call else {
            tunnels.entry(one.agent.clone()).or_default().insert((one.host.clone(), one.port));
            continue;
        };
        let sound = MethodTerm::try_from(method.clone()).is_ok() && path.parse::<PathAndQuery>().is_ok();
        let Some(segments) = segments(path).filter(|_| sound) else {
            unsaid.push(one);
            continue;
        };
        let calls = places.entry((one.agent.clone(), place)).or_default();
        calls.entry(method.clone()).or_default().insert(segments);
    }
    let mut pieces = Vec::new();
    for ((agent, place), calls) in places {
        pieces.extend(of_place(&agent, &place, calls));
    }
    for (agent, hosts) in tunnels {
        pieces.extend(of_tunnels(&agent, hosts));
    }
    // What is over is told as what they would have refused.
    pieces.truncate(MAX_RULES);
    Suggested { rules: pieces.concat(), unsaid }
}

/// The rules of a text, where the default is `deny`.
pub struct Judge(Option<Policy>);

impl Judge {
    /// Of what [`suggest`] wrote.
    ///
    /// # Errors
    /// A mistake in the text.
    pub fn of(text: &str) -> Result<Self, Error> {
        let rules = gather(vec![("suggested".to_owned(), read("suggested", text)?)])?;
        // Without a rule the default says nothing yet.
        Ok(Self((!rules.is_empty()).then(|| Policy::new(rules, true))))
    }

    /// Whether they would let it on.
    pub fn lets_on(&self, one: &Observed) -> bool {
        let Some(policy) = &self.0 else { return false };
        let owners: Vec<(&ProviderId, Fit)> = one.provider.iter().map(|id| (id, Fit::Yes)).collect();
        let Observed { agent, host, port, .. } = one;
        let question = Question { agent, user: None, host, port: *port, owners: &owners, now: SystemTime::now() };
        let Some((method, path)) = &one.call else {
            return !matches!(policy.judge_connect(&question).0, Doorway::Shut(_));
        };
        let Ok(target) = path.parse() else { return false };
        let ruling = policy.judge(&question, &Asked::new(method, &target, Content::default(), false), &|_, _, _| Inside::No);
        ruling.denied.is_none() && !ruling.unruled
    }
}

fn of_place(agent: &AgentName, place: &Place, calls: Calls) -> Vec<String> {
    // Methods that went to the same places share a rule.
    let mut rules: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (method, paths) in calls {
        rules.entry(shortened(paths)).or_default().push(method);
    }
    let mut pieces = Vec::new();
    for (paths, methods) in rules {
        let target = match place {
            Ok(provider) => format!("provider = \"{provider}\"\n"),
            Err((host, 443)) => format!("hosts = \"{host}\"\n"),
            Err((host, port)) => format!("hosts = \"{host}\"\nports = {port}\n"),
        };
        let paths = list(&paths);
        pieces.extend(methods.chunks(WORDS).map(list).map(|methods| {
            format!("[[rule]]\nagents = \"{agent}\"\n{target}methods = {methods}\npaths = {paths}\naction = \"allow\"\n\n")
        }));
    }
    pieces
}

fn of_tunnels(agent: &AgentName, hosts: BTreeSet<(Host, u16)>) -> Vec<String> {
    let mut by_port: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (host, port) in hosts {
        by_port.entry(port).or_default().push(host.to_string());
    }
    let mut pieces = Vec::new();
    for (port, hosts) in by_port {
        pieces.extend(
            hosts.chunks(WORDS).map(list).map(|hosts| {
                format!("[[rule]]\nagents = \"{agent}\"\nhosts = {hosts}\nports = {port}\naction = \"allow\"\n\n")
            }),
        );
    }
    pieces
}

fn list(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let line = quoted.join(", ");
    match quoted.as_slice() {
        [one] => one.clone(),
        _ if line.len() <= 100 => format!("[{line}]"),
        _ => format!("[\n    {},\n]", quoted.join(",\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(calls: &[(&str, &str, &str, &str)]) -> BTreeSet<Observed> {
        let one = |(agent, to, method, path): &(&str, &str, &str, &str)| Observed {
            agent: agent.parse().expect("a name"),
            provider: (!to.contains('.')).then(|| to.parse().expect("a name")),
            host: if to.contains('.') { to.parse().expect("a host") } else { "api.x.test".parse().expect("a host") },
            port: 443,
            call: (!method.is_empty()).then(|| ((*method).to_owned(), (*path).to_owned())),
        };
        calls.iter().map(one).collect()
    }

    fn refused<'s>(text: &str, seen: &'s BTreeSet<Observed>) -> Vec<&'s Observed> {
        let judge = Judge::of(text).expect("rules");
        seen.iter().filter(|one| !judge.lets_on(one)).collect()
    }

    #[test]
    fn rules_are_as_few_as_what_was_seen_needs() {
        let seen = seen(&[
            ("ci", "github", "GET", "/repos/octo/hello/issues/17"),
            ("ci", "github", "GET", "/repos/octo/hello/issues/18?page="),
            ("ci", "github", "POST", "/repos/octo/hello/issues"),
            ("ci", "files.test", "GET", "/d/0123456789abcdef0123456789abcdef"),
            ("ci", "files.test", "HEAD", "/d/ffff6789abcdef0123456789abcdef00"),
            ("ci", "pypi.test", "", ""),
            ("ci", "crates.test", "", ""),
        ]);
        let text = suggest(&seen).rules;
        assert_eq!(
            text,
            "[[rule]]\nagents = \"ci\"\nprovider = \"github\"\nmethods = \"POST\"\npaths = \"/repos/octo/hello/issues\"\naction = \"allow\"\n\n\
             [[rule]]\nagents = \"ci\"\nprovider = \"github\"\nmethods = \"GET\"\npaths = \"/repos/octo/hello/issues/*\"\naction = \"allow\"\n\n\
             [[rule]]\nagents = \"ci\"\nhosts = \"files.test\"\nmethods = [\"GET\", \"HEAD\"]\npaths = \"/d/*\"\naction = \"allow\"\n\n\
             [[rule]]\nagents = \"ci\"\nhosts = [\"crates.test\", \"pypi.test\"]\nports = 443\naction = \"allow\"\n\n"
        );
        assert_eq!(refused(&text, &seen), Vec::<&Observed>::new());
    }

    #[test]
    fn what_was_not_seen_is_refused() {
        let known = seen(&[("ci", "github", "GET", "/user")]);
        let other = seen(&[("ci", "github", "DELETE", "/user"), ("b", "github", "GET", "/user"), ("ci", "a.test", "", "")]);
        assert_eq!(refused(&suggest(&known).rules, &other).len(), 3);
    }

    #[test]
    fn many_paths_become_few() {
        let paths: Vec<String> =
            (0..500).map(|at| format!("/a/name{}/x{}/{}", char::from(b'a' + at as u8 % 26), at % 7, "y")).collect();
        let calls: Vec<(&str, &str, &str, &str)> = paths.iter().map(|path| ("ci", "github", "GET", path.as_str())).collect();
        let seen = seen(&calls);
        let text = suggest(&seen).rules;
        assert!(text.contains("/a/*/x0/y") && text.lines().count() < 20, "{text}");
        assert!(refused(&text, &seen).is_empty());
    }

    #[test]
    fn what_no_rule_can_say_is_told_and_hides_nothing() {
        let cut = format!("/files/{}...+953", "a/".repeat(700));
        let long = format!("/deep{}", "/x".repeat(100));
        let seen = seen(&[
            ("ci", "a.test", "GET", "/fine"),
            ("ci", "a.test", "GET", "/files/caf%C3%A9"),
            ("ci", "a.test", "GET", "/files/a.?x="),
            ("ci", "a.test", "GET", "/bucket//key"),
            ("ci", "a.test", "get", "/small"),
            ("ci", "a.test", "OPTIONS", "*"),
            ("ci", "a.test", "GET", &long),
            ("ci", "b.test", "GET", &cut),
        ]);
        let Suggested { rules, unsaid } = suggest(&seen);
        let unsaid: Vec<&Observed> = unsaid;
        let paths: Vec<&str> = unsaid.iter().filter_map(|one| one.call.as_ref().map(|(_, path)| path.as_str())).collect();
        assert_eq!(paths, ["/bucket//key", &long, "*", "/small", &cut]);
        assert!(rules.contains("paths = [\"/files/*\", \"/fine\"]") && !rules.contains("b.test"), "{rules}");
        assert_eq!(refused(&rules, &seen), unsaid);
        assert_eq!(Judge::of("").map(|judge| judge.lets_on(unsaid[0])).ok(), Some(false), "no rule yet");
        let methods: Vec<String> =
            (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').map(move |b| format!("{}{}", a as char, b as char))).collect();
        let many: Vec<(&str, &str, &str, &str)> =
            methods.iter().map(|method| ("ci", "a.test", method.as_str(), "/x")).collect();
        let seen = self::seen(&many);
        assert!(refused(&suggest(&seen).rules, &seen).is_empty(), "as many methods as an agent makes up");
    }

    proptest::proptest! {
        /// Whatever the log has, there are rules, and they let on what a rule can speak of.
        #[test]
        fn what_was_seen_is_let_on(calls in proptest::collection::vec(
            ("(GET|PUT|get|A-B|B_C|[!-~]{1,4})", "(/[a-c0-9%.;*{/ -]{0,12}|\\*|/a(/b){40,70})"), 1..40)
        ) {
            let calls: Vec<(&str, &str, &str, &str)> =
                calls.iter().map(|(method, path)| ("ci", "a.test", method.as_str(), path.as_str())).collect();
            let seen = seen(&calls);
            let Suggested { rules, unsaid } = suggest(&seen);
            for one in refused(&rules, &seen) {
                proptest::prop_assert!(unsaid.contains(&one), "{:?} {}", one, rules);
            }
        }
    }
}
