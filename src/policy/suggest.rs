//! The least rules that what was seen would have needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::asked::{Asked, Content, Question};
use super::book::Policy;
use super::file::{Error, MAX_RULES, gather, read};
use super::terms::MethodTerm;
use crate::model::{AgentName, Fit, Glob, Host, Inside, ProviderId, readings};

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

/// More kinds of a segment than this are any.
const KINDS: usize = 8;
/// A rule with more paths than this is about what they begin with.
const PATHS: usize = 24;
/// Segments this long, with a digit in them, are somebody's number.
const LONG: usize = 16;

/// Paths with more segments are about what they begin with.
const SEGMENTS: usize = 48;
/// The log shows the first 2048 bytes of a path, escaped.
const CUT: usize = 1024;
/// As many words as one key may hold.
const WORDS: usize = 200;

/// Whose place it is, or where.
type Place = Result<ProviderId, (Host, u16)>;

/// The segments of paths, by methods.
type Calls = BTreeMap<String, BTreeSet<Vec<String>>>;

/// What the log would have needed.
#[derive(Debug)]
pub struct Suggested<'s> {
    /// The text of a file of rules.
    pub rules: String,
    /// Requests that no rule can speak of: a method in small letters, a target that is no path.
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
        let segments = segments(path);
        if MethodTerm::try_from(method.clone()).is_err()
            || !path.starts_with('/')
            || written(&segments).parse::<Glob>().is_err()
        {
            unsaid.push(one);
            continue;
        }
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

fn written(segments: &[String]) -> String {
    format!("/{}", segments.join("/"))
}

/// What of `seen` the rules in `text` would refuse where the default is `deny`.
///
/// # Errors
/// A mistake in the text.
pub fn refused<'s>(text: &str, seen: &'s BTreeSet<Observed>) -> Result<Vec<&'s Observed>, Error> {
    let policy = Policy::new(gather(vec![("suggested".to_owned(), read("suggested", text)?)])?, true);
    let refuses = |one: &&Observed| {
        let owners: Vec<(&ProviderId, Fit)> = one.provider.iter().map(|id| (id, Fit::Yes)).collect();
        let Observed { agent, host, port, .. } = one;
        let question = Question { agent, user: None, host, port: *port, owners: &owners, now: SystemTime::now() };
        let Some((method, path)) = &one.call else {
            return matches!(policy.judge_connect(&question).0, super::book::Doorway::Shut(_));
        };
        let Ok(target) = path.parse() else { return true };
        let ruling = policy.judge(&question, &Asked::new(method, &target, Content::default(), false), &|_, _, _| Inside::No);
        ruling.denied.is_some() || ruling.unruled
    };
    Ok(seen.iter().filter(refuses).collect())
}

/// The segments of a path, those that are somebody's number as `*`, from one whose text is no pattern on as `**`.
fn segments(path: &str) -> Vec<String> {
    let path = path.split('?').next().unwrap_or_default();
    let known = uncut(path);
    let mut given = known.unwrap_or(path).split('/').skip(1).peekable();
    let mut segments = Vec::new();
    while let Some(segment) = given.next() {
        let last = given.peek().is_none();
        if segments.len() == SEGMENTS || (segment.is_empty() && !last) || (last && known.is_some()) {
            segments.push("**".to_owned());
            return segments;
        }
        let alone = format!("/{segment}");
        let has_one_reading = || readings(&alone).is_ok_and(|all| all.iter().count() == 1);
        let plain = alone.parse::<Glob>().is_ok_and(|_| !segment.contains(['*', '{', '}']) && has_one_reading());
        match segment {
            // The log hides a path that is a secret.
            "***" => return vec!["**".to_owned()],
            _ if varies(segment) => segments.push("*".to_owned()),
            _ if plain => segments.push(segment.to_owned()),
            // Several readings are no path of one rule.
            _ => {
                segments.push("**".to_owned());
                return segments;
            }
        }
    }
    segments
}

/// What the log has of a path that it cut short, and marked so.
fn uncut(path: &str) -> Option<&str> {
    let (known, left) = path.rsplit_once("...+")?;
    (known.len() >= CUT && !left.is_empty() && left.bytes().all(|b| b.is_ascii_digit())).then_some(known)
}

fn varies(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let simple = segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let hexadecimal = segment.len() >= 8 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    simple && digits > 0 && (digits == segment.len() || segment.len() >= LONG || hexadecimal)
}

/// Where more than [`KINDS`] segments stand at one place, they are any.
fn folded(paths: BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let mut by_first: BTreeMap<Option<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for mut path in paths {
        let first = if path.is_empty() { None } else { Some(path.remove(0)) };
        by_first.entry(first).or_default().insert(path);
    }
    let many = by_first.keys().flatten().filter(|first| *first != "**" && !first.is_empty()).count() > KINDS;
    if many {
        let mut merged = BTreeSet::new();
        let taken = by_first.extract_if(.., |first, _| first.as_ref().is_some_and(|first| first != "**" && !first.is_empty()));
        taken.for_each(|(_, rests)| merged.extend(rests));
        by_first.entry(Some("*".to_owned())).or_default().extend(merged);
    }
    let mut all = BTreeSet::new();
    for (first, rests) in by_first {
        match first {
            None => all.extend([Vec::new()]),
            Some(first) => all.extend(folded(rests).into_iter().map(|mut rest| {
                rest.insert(0, first.clone());
                rest
            })),
        }
    }
    all
}

/// Paths in few words: what is left is as short as it must be for [`PATHS`].
fn shortened(paths: BTreeSet<Vec<String>>) -> Vec<String> {
    let mut paths = folded(paths);
    for depth in (0..=3).rev() {
        if paths.len() <= PATHS {
            break;
        }
        paths = paths
            .into_iter()
            .map(|path| if path.len() > depth { path.into_iter().take(depth).chain(["**".to_owned()]).collect() } else { path })
            .collect();
    }
    paths.iter().map(|path| written(path)).collect()
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
        assert_eq!(refused(&text, &seen).expect("rules"), Vec::<&Observed>::new());
    }

    #[test]
    fn what_was_not_seen_is_refused() {
        let known = seen(&[("ci", "github", "GET", "/user")]);
        let other = seen(&[("ci", "github", "DELETE", "/user"), ("b", "github", "GET", "/user"), ("ci", "a.test", "", "")]);
        assert_eq!(refused(&suggest(&known).rules, &other).expect("rules").len(), 3);
    }

    #[test]
    fn many_paths_become_few() {
        let paths: Vec<String> =
            (0..500).map(|at| format!("/a/name{}/x{}/{}", char::from(b'a' + at as u8 % 26), at % 7, "y")).collect();
        let calls: Vec<(&str, &str, &str, &str)> = paths.iter().map(|path| ("ci", "github", "GET", path.as_str())).collect();
        let seen = seen(&calls);
        let text = suggest(&seen).rules;
        assert!(text.contains("/a/*/x0/y") && text.lines().count() < 20, "{text}");
        assert!(refused(&text, &seen).expect("rules").is_empty());
    }

    #[test]
    fn a_segment_that_services_read_in_several_ways_is_any() {
        for path in ["/files/a.", "/files/a./b", "/files/..."] {
            let seen = seen(&[("ci", "a.test", "GET", path)]);
            assert!(refused(&suggest(&seen).rules, &seen).expect("rules").is_empty(), "{path}: {}", suggest(&seen).rules);
        }
    }

    #[test]
    fn what_no_rule_can_say_is_told_and_hides_nothing() {
        let cut = format!("/files/{}...+953", "a/".repeat(700));
        let long = format!("/deep{}", "/x".repeat(100));
        let seen = seen(&[
            ("ci", "a.test", "GET", "/fine"),
            ("ci", "a.test", "GET", "/bucket//key"),
            ("ci", "a.test", "get", "/small"),
            ("ci", "a.test", "OPTIONS", "*"),
            ("ci", "a.test", "GET", &long),
            ("ci", "b.test", "GET", &cut),
        ]);
        let Suggested { rules, unsaid } = suggest(&seen);
        let unsaid: Vec<&str> = unsaid.iter().filter_map(|one| one.call.as_ref().map(|(_, path)| path.as_str())).collect();
        assert_eq!(unsaid, ["*", "/small"]);
        assert!(rules.contains("/fine") && rules.contains("/bucket/**") && !rules.contains("953"), "{rules}");
        assert_eq!(refused(&rules, &seen).expect("rules").len(), 2);
        let methods: Vec<String> =
            (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').map(move |b| format!("{}{}", a as char, b as char))).collect();
        let many: Vec<(&str, &str, &str, &str)> =
            methods.iter().map(|method| ("ci", "a.test", method.as_str(), "/x")).collect();
        let seen = self::seen(&many);
        assert!(refused(&suggest(&seen).rules, &seen).expect("rules").is_empty(), "as many methods as an agent makes up");
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
            let refused = refused(&rules, &seen).expect("rules");
            for one in refused {
                let (_, path) = one.call.as_ref().expect("a call");
                // What leads up and down again, or nowhere, is nobody's to let on.
                let clear = path.parse::<http::uri::PathAndQuery>().is_ok()
                    && crate::model::readings(path).is_ok_and(|all| all.iter().count() == 1 || !all.iter().any(|read| read.contains("/.")));
                proptest::prop_assert!(unsaid.contains(&one) || !clear, "{:?} {}", one, rules);
            }
        }
    }
}
