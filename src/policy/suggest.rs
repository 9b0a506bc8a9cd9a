//! The least rules that what was seen would have needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::asked::{Asked, Content, Question};
use super::book::Policy;
use super::file::{Error, gather, read};
use crate::model::{AgentName, Fit, Glob, Host, Inside, ProviderId};

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

/// Whose place it is, or where.
type Place = Result<ProviderId, (Host, u16)>;

/// The segments of paths, by methods.
type Calls = BTreeMap<String, BTreeSet<Vec<String>>>;

/// The text of a file of rules that let on what was seen, as little as they can say, and nothing else where the default is `deny`.
pub fn suggest(seen: &BTreeSet<Observed>) -> String {
    let mut places: BTreeMap<(AgentName, Place), Calls> = BTreeMap::new();
    let mut tunnels: BTreeMap<AgentName, BTreeSet<(Host, u16)>> = BTreeMap::new();
    for one in seen {
        let place = one.provider.clone().ok_or_else(|| (one.host.clone(), one.port));
        let Some((method, path)) = &one.call else {
            tunnels.entry(one.agent.clone()).or_default().insert((one.host.clone(), one.port));
            continue;
        };
        let calls = places.entry((one.agent.clone(), place)).or_default();
        calls.entry(method.clone()).or_default().insert(segments(path));
    }
    let mut text = String::new();
    for ((agent, place), calls) in places {
        write_place(&mut text, &agent, &place, calls);
    }
    for (agent, hosts) in tunnels {
        write_tunnels(&mut text, &agent, hosts);
    }
    text
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
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        let plain = format!("/{segment}").parse::<Glob>().is_ok_and(|_| !segment.contains(['*', '{', '}']));
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
    paths.iter().map(|path| format!("/{}", path.join("/"))).collect()
}

fn write_place(text: &mut String, agent: &AgentName, place: &Place, calls: Calls) {
    // Methods that went to the same places share a rule.
    let mut rules: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (method, paths) in calls {
        rules.entry(shortened(paths)).or_default().push(method);
    }
    for (paths, methods) in rules {
        let target = match place {
            Ok(provider) => format!("provider = \"{provider}\"\n"),
            Err((host, 443)) => format!("hosts = \"{host}\"\n"),
            Err((host, port)) => format!("hosts = \"{host}\"\nports = {port}\n"),
        };
        let (methods, paths) = (list(&methods), list(&paths));
        text.push_str(&format!(
            "[[rule]]\nagents = \"{agent}\"\n{target}methods = {methods}\npaths = {paths}\naction = \"allow\"\n\n"
        ));
    }
}

fn write_tunnels(text: &mut String, agent: &AgentName, hosts: BTreeSet<(Host, u16)>) {
    let mut by_port: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (host, port) in hosts {
        by_port.entry(port).or_default().push(host.to_string());
    }
    for (port, hosts) in by_port {
        // As many words as one key may hold.
        for hosts in hosts.chunks(200) {
            let hosts = list(hosts);
            text.push_str(&format!("[[rule]]\nagents = \"{agent}\"\nhosts = {hosts}\nports = {port}\naction = \"allow\"\n\n"));
        }
    }
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
        let text = suggest(&seen);
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
        assert_eq!(refused(&suggest(&known), &other).expect("rules").len(), 3);
    }

    #[test]
    fn many_paths_become_few() {
        let paths: Vec<String> =
            (0..500).map(|at| format!("/a/name{}/x{}/{}", char::from(b'a' + at as u8 % 26), at % 7, "y")).collect();
        let calls: Vec<(&str, &str, &str, &str)> = paths.iter().map(|path| ("ci", "github", "GET", path.as_str())).collect();
        let seen = seen(&calls);
        let text = suggest(&seen);
        assert!(text.contains("/a/*/x0/y") && text.lines().count() < 20, "{text}");
        assert!(refused(&text, &seen).expect("rules").is_empty());
    }

    proptest::proptest! {
        /// Whatever the log has, the rules that it would have needed let it on.
        #[test]
        fn what_was_seen_is_let_on(paths in proptest::collection::vec("/[a-c0-9%.;*{/ -]{0,12}", 1..40)) {
            let calls: Vec<(&str, &str, &str, &str)> = paths.iter().map(|path| ("ci", "a.test", "GET", path.as_str())).collect();
            let seen: BTreeSet<Observed> = seen(&calls).into_iter().filter(|one| {
                let (_, path) = one.call.as_ref().expect("a call");
                path.parse::<http::uri::PathAndQuery>().is_ok() && crate::model::readings(path).is_ok_and(|all| all.iter().count() == 1)
            }).collect();
            let text = suggest(&seen);
            proptest::prop_assert_eq!(refused(&text, &seen).expect("rules"), Vec::<&Observed>::new(), "{}", text);
        }
    }
}
