//! Which changed keys of `nexus.toml` a proxy that is up does not heed until it is started again.

use serde_json::Value;

use super::config::Config;

/// What takes effect at once. Every other key is read at the start, or by commands that read the file anew each time.
const LIVE: [&str; 16] = [
    "attention.agent_hold_limit",
    "attention.hold",
    "attention.hold_limit",
    "policy.default",
    "policy.on_canary",
    "proxy.unmatched",
    "proxy.unregistered",
    "proxy.log_ins",
    "proxy.mints",
    "proxy.connect_ports",
    "proxy.peer",
    "proxy.client_ca",
    "proxy.client_crl",
    "proxy.client_auth",
    "proxy.client_certificate",
    "ca.overlap_days",
];

/// The keys (`section.key`) in which `now` differs from `before`, the configuration of the start, and that wait for the next start.
pub(super) fn waiting(before: &Config, now: &Config) -> Vec<String> {
    let (Ok(before), Ok(now)) = (serde_json::to_value(before), serde_json::to_value(now)) else { return Vec::new() };
    let keys = now.as_object().into_iter().flatten().flat_map(|(section, keys)| {
        let name = move |key: &String| format!("{section}.{key}");
        keys.as_object().into_iter().flatten().map(move |(key, value)| (name(key), value, section, key))
    });
    let old = |section: &str, key: &str| before.get(section).and_then(|keys| keys.get(key)).unwrap_or(&Value::Null);
    keys.filter(|(name, value, section, key)| !LIVE.contains(&name.as_str()) && old(section, key) != *value)
        .map(|(name, ..)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("nexus.toml", text, &[]).unwrap()
    }

    #[test]
    fn addresses_times_and_bounds_wait_for_the_next_start_and_policy_does_not() {
        let before = config("");
        assert_eq!(waiting(&before, &config("")), Vec::<String>::new());
        let now = config(
            "[proxy]\nlisten = [\"127.0.0.1:1\"]\nunmatched = \"refuse\"\n[limits]\nhead_size = \"4KiB\"\ntarget_size = \"1KiB\"\n[policy]\ndefault = \"deny\"\n",
        );
        assert_eq!(waiting(&before, &now), ["proxy.listen", "limits.head_size", "limits.target_size"]);
        assert_eq!(waiting(&now, &before).len(), 3);
    }

    #[test]
    fn what_is_said_to_be_live_is_a_key() {
        let all = serde_json::to_value(Config::default()).unwrap();
        for name in LIVE {
            let (section, key) = name.split_once('.').unwrap();
            assert!(all[section].get(key).is_some(), "{name}");
        }
    }
}
