//! The variables: the set that made every client work that variables can reach.

use std::path::{Path, PathBuf};

use nexus::agent::BUNDLES;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Inputs, no_proxy, placement, wgetrc};

/// Both cases of these are exported: some clients read only the lower one, and Ruby and others fall back to `HTTP_PROXY`.
const PROXY: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// What a proxy URL's user and password may hold without encoding: some clients don't decode (axios, httplib2).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The variables in the order they are printed. Their values hold the agent's token.
pub(crate) fn variables(inputs: &Inputs<'_>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut set = |name: &str, value: String| all.push((name.to_owned(), value));
    let url = proxy_url(inputs);
    let unproxied = no_proxy::list(inputs);
    for name in PROXY {
        set(name, url.clone());
        set(&name.to_ascii_lowercase(), url.clone());
    }
    set("NO_PROXY", unproxied.join(","));
    set("no_proxy", unproxied.join(","));
    for name in BUNDLES {
        set(name, text(&inputs.bundle));
    }
    set("BUNDLE_SSL_CA_CERT", text(&inputs.bundle)); // Ruby's bundler
    set("NODE_EXTRA_CA_CERTS", text(&node_ca(inputs)));
    set("DENO_CERT", text(&inputs.ca));
    set("NODE_USE_ENV_PROXY", "1".into());
    set("NODE_OPTIONS", append(inputs, "NODE_OPTIONS", &node_options(inputs)));
    set("PYTHONPATH", python_path(inputs));
    set("PERL_LWP_ENV_PROXY", "1".into());
    set("WGETRC", text(&wgetrc::wgetrc(inputs).0));
    set("WGET2RC", text(&wgetrc::wget2rc(inputs).0));
    set("PHP_INI_SCAN_DIR", php_folders(inputs));
    set("JAVA_TOOL_OPTIONS", append(inputs, "JAVA_TOOL_OPTIONS", &java_options(inputs, &unproxied)));
    set("GIT_TERMINAL_PROMPT", "0".into());
    if inputs.placeholders.iter().any(|(name, _)| name.starts_with("AWS_")) {
        // An SDK that finds no region or key would first ask the metadata service, which is not for callers.
        set("AWS_EC2_METADATA_DISABLED", "true".into());
    }
    all.extend(inputs.placeholders.iter().cloned());
    all
}

/// `http://`, since many clients can't speak TLS to a proxy; with the agent's name and token where there is one.
fn proxy_url(inputs: &Inputs<'_>) -> String {
    let encode = |part| utf8_percent_encode(part, ENCODED);
    match &inputs.agent {
        Some((name, token)) => format!("http://{}:{}@{}", encode(name), encode(token), inputs.proxy),
        None => format!("http://{}", inputs.proxy),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The caller's value of `name` and then ours, once.
fn append(inputs: &Inputs<'_>, name: &str, ours: &str) -> String {
    match (inputs.inherited)(name).map(|own| own.split(['\r', '\n']).collect::<Vec<_>>().join(" ")) {
        Some(own) if own.contains(ours) => own,
        Some(own) if !own.trim().is_empty() => format!("{} {ours}", own.trim()),
        _ => ours.to_owned(),
    }
}

/// Node takes double quotes around an option with a blank, and a backslash before a quote or a backslash.
fn node_options(inputs: &Inputs<'_>) -> String {
    let path = text(&placement::preload(&inputs.helpers));
    if path.contains([' ', '"', '\\']) {
        return format!("--require=\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""));
    }
    format!("--require={path}")
}

/// Our root alone, unless the caller adds certificates already: then a file with both.
fn node_ca(inputs: &Inputs<'_>) -> PathBuf {
    match own_node_ca(inputs) {
        Some(own) => placement::NODE_CA.place(&inputs.helpers, Some(&own)),
        None => inputs.ca.clone(),
    }
}

/// The caller's own `NODE_EXTRA_CA_CERTS`, also where it stands in our file already.
pub(super) fn own_node_ca(inputs: &Inputs<'_>) -> Option<PathBuf> {
    let own = (inputs.inherited)("NODE_EXTRA_CA_CERTS").filter(|own| !own.is_empty());
    let own = own.and_then(|own| std::path::absolute(own).ok())?;
    if placement::NODE_CA.is_at(&inputs.helpers, &own) {
        return placement::carried_from(&own);
    }
    (own != inputs.ca).then_some(own)
}

/// Ours first: the script runs the next of its name, but nobody runs ours.
fn python_path(inputs: &Inputs<'_>) -> String {
    let ours = text(&placement::python_folder(&inputs.helpers));
    match (inputs.inherited)("PYTHONPATH") {
        Some(own) if own.split(':').any(|folder| folder == ours) => own,
        Some(own) if !own.is_empty() => format!("{ours}:{own}"),
        _ => ours,
    }
}

/// An empty part stands for the folder that PHP was built with.
fn php_folders(inputs: &Inputs<'_>) -> String {
    let ours = text(&placement::php_folder(&inputs.helpers));
    match (inputs.inherited)("PHP_INI_SCAN_DIR") {
        Some(own) if own.split(':').any(|folder| folder == ours) => own,
        own => format!("{}:{ours}", own.unwrap_or_default()),
    }
}

/// Java reads no proxy variable, only properties; one option has no blank, or stands in quotes.
fn java_options(inputs: &Inputs<'_>, unproxied: &[String]) -> String {
    let proxy = inputs.java_proxy.as_ref().unwrap_or(&inputs.proxy);
    let (host, port) = proxy.rsplit_once(':').unwrap_or((proxy, "8091"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let store = text(&placement::trust_store(&inputs.helpers));
    let options = [
        format!("-Dhttp.proxyHost={host}"),
        format!("-Dhttp.proxyPort={port}"),
        format!("-Dhttps.proxyHost={host}"),
        format!("-Dhttps.proxyPort={port}"),
        format!("-Dhttp.nonProxyHosts={}", no_proxy::java(unproxied)),
        format!("-Djavax.net.ssl.trustStore={store}"),
    ];
    let quote = |option: &String| match (option.contains([' ', '"']), option.contains('\'')) {
        (true, false) => format!("'{option}'"),
        (true, true) => format!("\"{option}\""),
        (false, _) => option.clone(),
    };
    options.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn inputs<'a>(inherited: &'a dyn Fn(&str) -> Option<String>) -> Inputs<'a> {
        Inputs {
            proxy: "127.0.0.1:8091".into(),
            java_proxy: None,
            agent: Some(("build".into(), "t0-k.e~n_".into())),
            bundle: "/h/ca-bundle.pem".into(),
            ca: "/h/ca.pem".into(),
            helpers: "/h/env".into(),
            no_proxy_extra: Vec::new(),
            placeholders: Vec::new(),
            inherited,
        }
    }

    fn value(all: &[(String, String)], name: &str) -> String {
        let found: Vec<_> = all.iter().filter(|(known, _)| known == name).collect();
        assert_eq!(found.len(), 1, "{name} is set {} times", found.len());
        found[0].1.clone()
    }

    #[test]
    fn proxy_variables_stand_in_both_cases_with_the_agents_token() {
        let all = variables(&inputs(&|_| None));
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            assert_eq!(value(&all, name), "http://build:t0-k.e~n_@127.0.0.1:8091");
        }
        assert_eq!(value(&all, "no_proxy"), "localhost,127.0.0.1,::1");
    }

    #[test]
    fn a_name_cannot_break_out_of_the_proxy_url() {
        let mut inputs = inputs(&|_| None);
        inputs.agent = Some(("a@evil:80/".into(), "x".into()));
        assert_eq!(value(&variables(&inputs), "HTTPS_PROXY"), "http://a%40evil%3A80%2F:x@127.0.0.1:8091");
    }

    #[test]
    fn clients_that_replace_their_roots_get_the_bundle_and_those_that_add_get_the_root() {
        let all = variables(&inputs(&|_| None));
        for name in BUNDLES {
            assert_eq!(value(&all, name), "/h/ca-bundle.pem");
        }
        assert_eq!(value(&all, "NODE_EXTRA_CA_CERTS"), "/h/ca.pem");
        assert_eq!(value(&all, "DENO_CERT"), "/h/ca.pem");
    }

    #[test]
    fn options_of_the_caller_stay_in_front_of_ours() {
        let own = |name: &str| match name {
            "NODE_OPTIONS" => Some("--max-old-space-size=100\n".to_owned()),
            "JAVA_TOOL_OPTIONS" => Some("-Xmx1g".to_owned()),
            "PHP_INI_SCAN_DIR" | "PYTHONPATH" => Some("/own".to_owned()),
            _ => None,
        };
        let all = variables(&inputs(&own));
        assert_eq!(value(&all, "NODE_OPTIONS"), "--max-old-space-size=100 --require=/h/env/preload.cjs");
        assert!(value(&all, "JAVA_TOOL_OPTIONS").starts_with("-Xmx1g -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=8091 "));
        assert_eq!(value(&all, "PHP_INI_SCAN_DIR"), "/own:/h/env/php");
        assert_eq!(value(&all, "PYTHONPATH"), "/h/env/python:/own");
    }

    #[test]
    fn variables_of_a_run_inside_a_run_do_not_grow() {
        let first = variables(&inputs(&|_| None));
        let inherited = |name: &str| first.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        assert_eq!(variables(&inputs(&inherited)), first);
    }

    #[test]
    fn a_folder_with_a_blank_is_quoted_for_node_and_java() {
        let mut inputs = inputs(&|_| None);
        inputs.helpers = "/my home/env".into();
        let all = variables(&inputs);
        assert_eq!(value(&all, "NODE_OPTIONS"), "--require=\"/my home/env/preload.cjs\"");
        assert!(value(&all, "JAVA_TOOL_OPTIONS").ends_with("'-Djavax.net.ssl.trustStore=/my home/env/trust.jks'"));
    }

    #[test]
    fn certificates_that_the_caller_adds_to_node_stay_added() {
        let own = |name: &str| (name == "NODE_EXTRA_CA_CERTS").then(|| "/corp.pem".to_owned());
        let both = placement::NODE_CA.place(Path::new("/h/env"), Some(Path::new("/corp.pem")));
        assert_eq!(value(&variables(&inputs(&own)), "NODE_EXTRA_CA_CERTS"), text(&both));
    }

    #[test]
    fn placeholders_are_set_and_the_metadata_service_is_left_alone() {
        let mut inputs = inputs(&|_| None);
        assert!(variables(&inputs).iter().all(|(name, _)| name != "AWS_EC2_METADATA_DISABLED"));
        inputs.placeholders = vec![("AWS_ACCESS_KEY_ID".into(), "AKIAPLACEHOLDER".into())];
        let all = variables(&inputs);
        assert_eq!(value(&all, "AWS_ACCESS_KEY_ID"), "AKIAPLACEHOLDER");
        assert_eq!(value(&all, "AWS_EC2_METADATA_DISABLED"), "true");
        assert_eq!(value(&all, "GIT_TERMINAL_PROMPT"), "0");
    }
}
