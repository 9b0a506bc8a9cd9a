//! What does not go through the proxy, in the two spellings that clients read.

use super::Inputs;

/// Loopback: local test servers, and the base-URL door of the proxy itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// `NO_PROXY` as all clients understand it: a comma list without blanks of exact names and `.suffix`.
///
/// The caller's own entries are kept, except for `*`, which would switch the proxy off.
pub(super) fn list(inputs: &Inputs<'_>) -> Vec<String> {
    let own = [(inputs.inherited)("no_proxy"), (inputs.inherited)("NO_PROXY")];
    let own = own.iter().flatten().flat_map(|list| list.split(|c: char| c == ',' || c.is_whitespace())).map(str::to_owned);
    let all = LOOPBACK.iter().map(|&name| name.to_owned()).chain(inputs.no_proxy_extra.iter().cloned()).chain(own);
    let mut list: Vec<String> = Vec::new();
    for entry in all {
        // `*.suffix` is understood by half of the clients, `.suffix` by all.
        let entry = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(&entry);
        if !entry.is_empty() && entry != "*" && !list.iter().any(|known| known == entry) {
            list.push(entry.to_owned());
        }
    }
    list
}

/// The same for `http.nonProxyHosts`: bars between, `*` as wildcard, brackets around IPv6 (Java's networking properties).
pub(super) fn java(list: &[String]) -> String {
    let spell = |entry: &String| match entry.as_str() {
        "127.0.0.1" => "127.*".to_owned(),
        suffix if suffix.starts_with('.') => format!("*{suffix}"),
        address if address.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{address}]"),
        name => name.to_owned(),
    };
    list.iter().map(spell).collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::super::variables::tests::inputs;
    use super::*;

    #[test]
    fn keeps_the_callers_entries_and_says_each_thing_once() {
        let own = |name: &str| (name == "NO_PROXY").then(|| "localhost, intranet.corp ,*.corp.example".to_owned());
        let mut inputs = inputs(&own);
        inputs.no_proxy_extra = vec!["gateway.corp".into()];
        assert_eq!(list(&inputs), ["localhost", "127.0.0.1", "::1", "gateway.corp", "intranet.corp", ".corp.example"]);
    }

    #[test]
    fn a_star_does_not_switch_the_proxy_off() {
        let own = |name: &str| (name == "no_proxy").then(|| "*,a.example".to_owned());
        assert_eq!(list(&inputs(&own)), ["localhost", "127.0.0.1", "::1", "a.example"]);
    }

    #[test]
    fn java_gets_bars_wildcards_and_brackets() {
        let list: Vec<String> = ["localhost", "127.0.0.1", "::1", ".corp.example"].map(str::to_owned).into();
        assert_eq!(java(&list), "localhost|127.*|[::1]|*.corp.example");
    }
}
