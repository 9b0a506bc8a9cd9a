//! What the tests, the demo and CI start or import stands in a list that installs it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every program that is started by name, and the Debian package it is in; none for those of every Debian (`Essential: yes`).
const PROGRAMS: [(&str, Option<&str>); 36] = [
    ("/bin/cat", None),
    ("awk", None),
    ("bash", None),
    ("c++", Some("g++")),
    ("cargo", None),
    ("cat", None),
    ("cc", Some("gcc")),
    ("certtool", Some("gnutls-bin")),
    ("chromium", Some("chromium")),
    ("cp", None),
    ("curl", Some("curl")),
    ("env", None),
    ("gh", Some("gh")),
    ("git", Some("git")),
    ("gnutls-cli", Some("gnutls-bin")),
    ("ip", Some("iproute2")),
    ("java", Some("default-jdk-headless")),
    ("keytool", Some("default-jdk-headless")),
    ("kill", Some("procps")),
    ("make", Some("make")),
    ("mkfifo", None),
    ("mount", Some("mount")),
    ("node", Some("nodejs")),
    ("npm", Some("npm")),
    ("openssl", Some("openssl")),
    ("python3", Some("python3")),
    ("rustup", None),
    ("script", None),
    ("sh", None),
    ("squid", Some("squid")),
    ("sysctl", Some("procps")),
    ("tinyproxy", Some("tinyproxy")),
    ("true", None),
    ("unshare", Some("util-linux")),
    ("wget2", Some("wget2")),
    ("pwsh", None), // tried where it is
];

/// What `import` names, and the package of `requirements.txt` or of the clients' `install.sh` it is in.
const MODULES: [(&str, &str); 36] = [
    ("aiohttp", "aiohttp"),
    ("anthropic", "anthropic"),
    ("boto3", "boto3"),
    ("botocore", "boto3"),
    ("boto3", "boto3"),
    ("botocore", "botocore"),
    ("cryptography", "cryptography"),
    ("github", "PyGithub"),
    ("google", "google-api-python-client"),
    ("googleapiclient", "google-api-python-client"),
    ("jarviscore", ""), // in two versions, by tests/jarviscore/install.sh
    ("grpc", "grpcio"),
    ("h11", "h11"),
    ("httpx", "httpx"),
    ("hubspot", "hubspot-api-client"),
    ("moto", "moto"),
    ("jsonschema", "jsonschema"),
    ("niquests", "niquests"),
    ("notion_client", "notion-client"),
    ("openai", "openai"),
    ("opentelemetry", "opentelemetry-proto"),
    ("requests", "requests"),
    ("sendgrid", "sendgrid"),
    ("slack_sdk", "slack_sdk"),
    ("stripe", "stripe"),
    ("twilio", "twilio"),
    ("urllib3", "urllib3"),
    ("websocket", "websocket-client"),
    ("websockets", "websockets"),
    ("werkzeug", "Werkzeug"),
    ("yaml", "pyyaml"),
    // Files of this repository.
    ("demo", ""),
    ("service", ""),
    ("grpc_server", ""),
    ("ssrf", ""),
    ("run", ""),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below `folder` that end in `.ending`.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|has| has == ending) {
                found.push(path);
            }
        }
    }
    found
}

/// The packages of a list, without the command that will do.
fn listed(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty());
    lines.map(|line| line.split([':', '=']).next().unwrap_or_default().to_owned()).collect()
}

/// The words in quotes right after `opening`.
fn quoted_after(text: &str, opening: &str) -> Vec<String> {
    let word = |rest: &str| rest.split('"').next().unwrap_or_default().to_owned();
    text.match_indices(opening).map(|(at, _)| word(&text[at + opening.len()..])).collect()
}

/// What the tests in Rust start by name.
fn started() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files("tests", "rs").into_iter().chain(files("benches", "rs")).filter(|file| !file.ends_with("needs.rs")) {
        let text = fs::read_to_string(&file).unwrap();
        for opening in ["Command::new(\"", "program(\"", "installed(\"", "ask(Path::new(\""] {
            names.extend(quoted_after(&text, opening));
        }
        if file.starts_with(root().join("tests/ca")) {
            names.extend(quoted_after(&text, "run(\""));
        }
        for rest in text.split("Program::new(").skip(1) {
            let arguments = rest.lines().next().unwrap_or_default();
            names.extend(quoted_after(arguments, ", \"").into_iter().take(1));
        }
    }
    // Scripts of the tests that are named so, not programs.
    names.retain(|name| !name.contains(".py") && !name.is_empty());
    assert!(names.len() > 10, "{names:?}");
    names
}

fn package(program: &str) -> Option<&'static str> {
    let found = PROGRAMS.iter().find(|(name, _)| *name == program);
    found.unwrap_or_else(|| panic!("{program} is started; name its package here and in the list that installs it")).1
}

#[test]
fn every_program_that_the_tests_start_is_in_a_list() {
    let (always, long) = (listed("tests/apt.txt"), listed("tests/apt-all.txt"));
    for program in started() {
        let Some(package) = package(&program) else { continue };
        assert!(always.contains(package) || long.contains(package), "{program}: tests/apt.txt lacks {package}");
    }
}

#[test]
fn every_program_of_the_demo_is_in_its_list() {
    let list = listed("examples/demo/apt.txt");
    let demo = read("examples/demo/demo.py");
    let looked_for = demo.split("missing = [name for name in (").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let names = quoted_after(&format!(", {looked_for}"), ", \"");
    let expected: BTreeSet<&str> = ["curl", "git", "node", "openssl"].into();
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    for program in names.iter().map(String::as_str).chain(["python3", "cc"]) {
        assert!(package(program).is_some_and(|package| list.contains(package)), "examples/demo/apt.txt lacks {program}");
    }
}

#[test]
fn a_list_names_the_package_that_a_command_is_in() {
    for list in [".ci/apt.txt", "tests/apt.txt", "tests/apt-all.txt", "examples/demo/apt.txt"] {
        let text = read(list);
        for (name, command) in text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| !name.starts_with('#')) {
            assert_eq!(package(command), Some(name), "{list}");
        }
    }
    assert!(read(".ci/run").contains("tests/apt.sh .ci/apt.txt tests/apt.txt examples/demo/apt.txt"));
    assert!(listed(".ci/apt.txt").contains("g++"), "libFuzzer, which the targets link, is C++");
}

/// The first word of each module that a Python text imports.
fn imported(text: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for line in text.lines().map(str::trim_start) {
        let (names, many) = match (line.strip_prefix("import "), line.strip_prefix("from ")) {
            (Some(rest), _) => (rest, true),
            (None, Some(rest)) if rest.contains(" import ") => (rest, false),
            _ => continue,
        };
        let first = |name: &str| name.trim().split(['.', ' ', ';']).next().unwrap_or_default().to_owned();
        let names = names.split([';', '#']).next().unwrap_or_default();
        if many {
            modules.extend(names.split(',').map(first));
        } else {
            modules.insert(first(names));
        }
    }
    modules
}

#[test]
fn every_python_module_is_of_the_standard_library_or_in_a_list() {
    let output = Command::new("python3").args(["-c", "import sys; print(*sys.stdlib_module_names)"]).output().unwrap();
    let standard = String::from_utf8(output.stdout).unwrap();
    let standard: BTreeSet<&str> = standard.split_whitespace().collect();
    let venv = listed("tests/requirements.txt");
    let sdks: BTreeSet<String> =
        ["tests/sdk/requirements.txt", "tests/sdk/requirements-all.txt"].into_iter().flat_map(listed).collect();
    let clients = read("tests/clients/install.sh");
    let clients: BTreeSet<&str> =
        clients.lines().filter(|line| line.contains("python=\"")).flat_map(|line| line.split([' ', '"'])).collect();
    for folder in ["tests", "examples", ".ci"] {
        for file in files(folder, "py") {
            let of_a_client = file.starts_with(root().join("tests/clients"));
            let of_an_sdk = file.starts_with(root().join("tests/sdk"));
            for module in imported(&fs::read_to_string(&file).unwrap()).iter().filter(|name| !standard.contains(name.as_str()))
            {
                let known = MODULES.iter().find(|(name, _)| name == module);
                let (_, package) = known.unwrap_or_else(|| panic!("{}: where does {module} come from?", file.display()));
                // The root of a namespace: messages of protocol buffers come with whatever is made of them.
                let of_messages = module == "google" && venv.contains("opentelemetry-proto");
                let listed = match (of_a_client, of_an_sdk) {
                    (_, true) => sdks.contains(*package),
                    (true, _) => venv.contains(*package) || clients.contains(package),
                    _ => venv.contains(*package) || of_messages,
                };
                assert!(package.is_empty() || listed, "{}: its requirements.txt lacks {package}", file.display());
            }
        }
    }
}

#[test]
fn every_node_package_of_an_sdk_is_in_its_list() {
    let list: serde_json::Value = serde_json::from_str(&read("tests/sdk/package.json")).unwrap();
    for file in files("tests/sdk/programs", "mjs") {
        for package in quoted_after(&fs::read_to_string(&file).unwrap().replace('\'', "\""), " from \"") {
            assert!(list["dependencies"][&package].is_string(), "{}: package.json lacks {package}", file.display());
        }
    }
}

#[test]
fn the_sdks_are_of_one_version() {
    for list in ["tests/sdk/requirements.txt", "tests/sdk/requirements-all.txt"] {
        let lines: Vec<String> = read(list).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        assert!(lines.len() > 20 && lines.iter().all(|line| line.contains("==")), "{list}: {lines:?}");
    }
    let list: serde_json::Value = serde_json::from_str(&read("tests/sdk/package.json")).unwrap();
    let pinned =
        |version: &serde_json::Value| version.as_str().is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    assert!(list["dependencies"].as_object().unwrap().values().all(pinned), "{list}");
}

#[test]
fn what_reads_beside_us_is_of_one_version() {
    assert!(read("tests/requirements.txt").lines().any(|line| line.starts_with("h11==")), "h11 judges our reader: pin it");
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/head_property/h11_reader.py").exists());
}
