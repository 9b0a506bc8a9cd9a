use super::*;

#[test]
fn an_empty_file_is_the_default() {
    let config = Config::parse("nexus.toml", "", &[]).expect("valid");
    assert_eq!(config.proxy.listen, ["127.0.0.1:8091".parse().expect("address")]);
    assert_eq!(config.replay.memory, ByteSize::mib(1));
}

#[test]
fn unknown_keys_are_errors_with_line_and_column() {
    let error = Config::parse("nexus.toml", "[proxy]\nlisten = [\"127.0.0.1:1\"]\nlissten = 1\n", &[]).expect_err("unknown");
    let text = error.to_string();
    assert!(text.contains("line 3, column 1") && text.contains("lissten"), "{text}");
}

#[test]
fn a_mistake_is_told_without_the_names_of_types_and_without_its_value() {
    let told = |text: &str| Config::parse("nexus.toml", text, &[]).expect_err(text).to_string();
    for (text, words) in [
        ("[proxy]\nworkers = \"hunter2\"", "line 2, column 11: found the text \"…\", expected a whole number from 0 up"),
        ("[proxy]\nlisten = \"127.0.0.1:1\"", "found the text \"…\", expected a list [ … ]"),
        ("[proxy]\nlisten = [\"localhost\"]", "not an address; write it as \"127.0.0.1:8091\""),
        ("[proxy]\nlisten = [1]", "found the number `1`, expected an address such as \"127.0.0.1:8091\""),
        ("proxy = 3", "found the number `3`, expected a table [ … ] of its own"),
        ("[proxy]\nunmatched = \"tunel\"", "unknown word `tunel`, expected one of `tunnel`, `intercept`, `refuse`"),
        ("[replay]\nmemory = \"1 potato\"", "found the text \"…\", expected a size such as \"64KiB\""),
        ("[replay]\nmemory = true", "found true, expected a size such as \"64KiB\""),
        ("[limits]\nconnections = -1", "found the number `-1`, expected a whole number from 0 up"),
        (
            "[limits]\nconnections = 99999999999999999999",
            "found the number `99999999999999999999`, which is out of every range",
        ),
        ("[limits]\ndrain_secs = 1.5", "found the number `1.5`, expected a whole number from 0 up"),
        ("[upstream]\nresolve = [\"a\"]", "found a list, expected a table { … }"),
        ("[upstream]\nallow_private = [\"10.0.0.0/99\"]", "write it as \"10.0.0.0/8\""),
        ("[audit]\non_failure = 1", "expected"),
        ("[limits]\nnope = 1", "unknown key `nope`"),
        ("[replay]\nmemory = -1", "found the number `-1`, expected a size such as \"64KiB\""),
        ("[proxy]\nconnect_ports = [70000]", "found the number `70000`, expected a whole number from 0 to 65535"),
        ("[proxy]\nconnect_ports = [-1]", "expected a whole number from 0 to 65535"),
        ("[limits]\nhttp2_streams = 5000000000", "expected a whole number from 0 to 4294967295"),
        ("[[proxy]]", "found a list, expected a table [ … ] of its own"),
        ("proxy = [1]", "found a list, expected a table [ … ] of its own"),
        ("[proxy.listen]", "found a table, expected a list [ … ]"),
        ("[[proxy.connect_ports]]", "found a table, expected a whole number from 0 to 65535"),
        ("[upstream]\nproxy = 3", "found the number `3`, expected a text in quotes"),
        ("[upstream]\nproxy_auth_file = 3", "found the number `3`, expected a path in quotes"),
        ("[upstream]\nallow_private = [3]", "found the number `3`, expected a range of addresses such as \"10.0.0.0/8\""),
    ] {
        assert!(told(text).contains(words), "{}", told(text));
        let types = ["usize", "u64", "struct", "sequence", "variant", "i128", "overflow", "map", "hunter2"];
        assert!(!types.iter().any(|name| told(text).contains(name)), "{}", told(text));
    }
}

#[test]
fn a_variable_overrides_a_key() {
    let set = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let config = Config::parse("nexus.toml", "[proxy]\nunmatched = \"tunnel\"", &set("NEXUS__PROXY__UNMATCHED", "refuse"))
        .expect("valid");
    assert_eq!(config.proxy.unmatched, Unmatched::Refuse);
    let config = Config::parse("nexus.toml", "", &set("NEXUS__PROXY__LISTEN", "[\"127.0.0.1:7\"]")).expect("valid");
    assert_eq!(config.proxy.listen, ["127.0.0.1:7".parse().expect("address")]);
    let error = Config::parse("nexus.toml", "", &set("NEXUS__PROXY__NOPE", "1")).expect_err("unknown");
    assert!(error.to_string().contains("NEXUS__PROXY__NOPE"), "{error}");
}

#[test]
fn hosts_past_the_parent_are_names_or_suffixes() {
    let said = |entry: &str| {
        Config::parse("nexus.toml", &format!("[upstream]\nproxy_except = [\"ok.test\", \"{entry}\"]\n"), &[])
            .map_or_else(|error| error.to_string(), |_taken| String::new())
    };
    for entry in ["a.test", ".a.test", "A.Test.", "10.0.0.1", "::1", "[::1]"] {
        assert_eq!(said(entry), "", "{entry}");
    }
    assert_eq!(parse_exception(".Corp.Example.").as_deref(), Some(".corp.example"));
    assert!(
        said("*.x.test")
            .ends_with("\"*.x.test\" is not a name, an address or a .suffix; for all names below it write \".x.test\"")
    );
    for entry in ["*", "a b", "", ".", ".10.0.0.1", "10.0.0.0/8", "http://a.test", "a.test:443"] {
        assert!(
            said(entry).contains("upstream.proxy_except") && said(entry).ends_with("a .suffix"),
            "{entry}: {}",
            said(entry)
        );
    }
}

#[test]
fn the_control_plane_leaves_loopback_only_where_that_is_meant() {
    for address in ["0.0.0.0:8090", "10.0.0.5:8090", "[::]:8090"] {
        let error = Config::parse("nexus.toml", &format!("[gateway]\nlisten = \"{address}\"\n"), &[]).expect_err("refused");
        assert!(matches!(error, Error::Value { key: "gateway.listen", .. }), "{error}");
    }
    let open = "listen = \"0.0.0.0:8090\"\n";
    for fine in ["listen = \"[::1]:1\"\n".to_owned(), format!("{open}plain_http = true\n"), format!("{open}tls_cert = \"c\"\n")]
    {
        assert!(Config::parse("nexus.toml", &format!("[gateway]\n{fine}"), &[]).is_ok(), "{fine}");
    }
    for name in ["*", "http://a.test", "a.test:1", ""] {
        let error = Config::parse("nexus.toml", &format!("[gateway]\nnames = [{name:?}]\n"), &[]).expect_err(name);
        assert!(matches!(error, Error::Value { key: "gateway.names", .. }), "{error}");
    }
}

#[test]
fn beyond_loopback_the_default_policy_must_be_written() {
    let text = "[proxy]\nlisten = [\"0.0.0.0:8091\"]\n";
    assert!(matches!(Config::parse("nexus.toml", text, &[]), Err(Error::Value { key: "policy.default", .. })));
    let text = format!("{text}[policy]\ndefault = \"deny\"\n");
    assert!(Config::parse("nexus.toml", &text, &[]).is_ok());
}
