//! The document at `/api/openapi.json` is true: schemathesis makes requests of it, right ones and wrong ones, and judges the answers.

use std::path::Path;
use std::time::Duration;

use nexus::app::GatewayKeyKind::{Admin, App, Node};
use tokio::process::Command;

use crate::harness::{Authority, Builder, Nexus, run};

/// What a schema can't say of a service that is described: which members go together, which hosts are others', what a scope may hold; of
/// an agent: which providers are known, what is a host, a rate; of a request that is asked about: which hosts are some, and how long it is
/// once it is escaped.
const CONFIG: &str = "[[operations]]\ninclude-path = \"/v1/providers\"\ninclude-method = \"POST\"\n\
    checks.positive_data_acceptance.expected-statuses = [\"2xx\", 400, 401, 403, 404, 409, 422, 429]\n\
    [[operations]]\ninclude-path-regex = \"^/api/agents\"\n\
    checks.positive_data_acceptance.expected-statuses = [\"2xx\", 401, 403, 404, 409, 422, 429]\n\
    [[operations]]\ninclude-path = \"/api/explain\"\n\
    checks.positive_data_acceptance.expected-statuses = [\"2xx\", 401, 403, 404, 409, 414, 422, 429]\n\
    checks.negative_data_rejection.expected-statuses = [400, 401, 403, 404, 409, 414, 422, 429]\n";

/// Runs schemathesis with `key`. An operation whose answer has no end is tagged `stream` and left out.
async fn judged(nexus: &Nexus, key: &str) -> Result<String, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let python = target.join("test-venv/bin/python");
    assert!(python.exists(), "{} is missing: run tests/install.sh", python.display());
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("schemathesis.toml"), CONFIG).expect("a file");
    let mut command = Command::new(python);
    command.args(["-m", "schemathesis.cli", "run", &format!("http://{}/api/openapi.json", nexus.gateway().address)]);
    command.args(["--checks", "all", "--phases", "coverage,fuzzing", "--max-examples", "12", "--seed", "1"]);
    command.args(["--request-timeout", "10", "--no-shrink", "--warnings", "off", "--exclude-tag", "stream"]);
    // So that without the key it is nobody: a program of our own user is somebody.
    command.args(["-H", &format!("X-API-Key: {key}"), "-H", "Sec-Fetch-Mode: cors"]);
    command.current_dir(folder.path()).env("HOME", folder.path()).env("NO_COLOR", "1").kill_on_drop(true);
    let done = command.output().await.expect("schemathesis");
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    if done.status.success() { Ok(text) } else { Err(text) }
}

#[test]
fn no_answer_is_undocumented_and_none_is_our_fault() {
    crate::harness::run_within(Duration::from_secs(170), async {
        let builder = Builder::new(&Authority::new()).gateway().config("[gateway]\nwrong_keys_per_minute = 1000000");
        let (builder, admin) = builder.key("root", Admin, |_key| ());
        let (builder, app) = builder.key("crew", App, |_key| ());
        let (builder, node) = builder.key("edge", Node, |_key| ());
        let nexus = builder.register("github:alice", &[("access_token", "gho_alice")]).start();
        let (admin, app, node) = tokio::join!(judged(&nexus, &admin), judged(&nexus, &app), judged(&nexus, &node));
        for (kind, judged) in [("admin", admin), ("app", app), ("node", node)] {
            let text = judged.unwrap_or_else(|text| panic!("as {kind}:\n{text}"));
            assert!(text.contains("Tested: ") && text.contains("passed"), "as {kind}:\n{text}");
        }
        let numbers = nexus.gateway().get("/metrics").await.body;
        assert!(!numbers.contains("status=\"500\""), "{numbers}");
    });
}

#[test]
fn every_operation_says_what_it_is_for_and_whom() {
    run(async {
        let nexus = Builder::new(&Authority::new()).gateway().start();
        let document = nexus.gateway().get("/api/openapi.json").await.json();
        assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut names = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} has no summary");
                assert!(operation["tags"][0].is_string(), "{method} {path} has no tag");
                assert!(
                    names.insert(operation["operationId"].as_str().expect("a name").to_owned()),
                    "{method} {path}: a name twice"
                );
                for (status, answer) in operation["responses"].as_object().expect("responses") {
                    let is_problem = answer["content"]["application/problem+json"].is_object();
                    let has_own =
                        answer["content"].as_object().is_some_and(|content| !content.contains_key("application/problem+json"));
                    assert!(status.as_str() < "400" || is_problem || has_own, "{method} {path} {status}: {answer}");
                }
            }
        }
    });
}
