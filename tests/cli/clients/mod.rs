//! Unmodified clients against the built binary: whoever has the variables of `nexus env`, or is run by `nexus run`, gets its answer
//! with a credential that it doesn't hold. The matrix is `tests/clients/run.py`; `tests/install.sh` installs what is in it.

mod service;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use self::service::{EXPECTED, HOST, KEY, PLAIN_HOST};
use crate::harness::{Authority, run_within};
use crate::world::{Done, World};

/// Long past what either form takes on two busy cores.
const LIMIT: Duration = Duration::from_secs(1200);
const PROVIDER: &str = r#"
name = "clients"
title = "Clients"
slots = ["authorization", "x-api-key", "query:key"]
[[inject]]
hosts = ["api.clients.test"]
strategy = { bearer = "{api_key}" }
[placeholder]
CLIENTS_API_KEY = "clients-placeholder-"
"#;

/// Whether every client must be there: `make test-all`.
fn everything() -> bool {
    std::env::var_os("NEXUS_TEST_ALL").is_some_and(|all| all == "1")
}

/// Where `tests/install.sh` puts clients.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")), PathBuf::from)
}

/// A home with the provider, its credential and `more` configuration.
fn world(ca: &Authority, service: std::net::SocketAddr, plain: std::net::SocketAddr, more: &str) -> World {
    let world = World::new();
    std::fs::write(world.home("services-ca.pem"), ca.pem()).expect("a file");
    world.config(&format!(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\n{more}\n[limits]\ndrain_secs = 1\n\
         [upstream]\nextra_roots = [\"services-ca.pem\"]\nresolve = {{ \"{HOST}\" = \"{service}\", \"{PLAIN_HOST}\" = \"{plain}\" }}\n"
    ));
    world.provider("clients", PROVIDER);
    world.register(&["clients"], &format!("api_key={KEY}\n"));
    world
}

/// Runs the matrix in `world` and fails with the name of every client that got no answer.
fn matrix(world: &World, way: &[&str]) {
    let secure = format!("https://{HOST}");
    let addresses = [
        ("--url", format!("{secure}/echo")),
        ("--http-url", format!("http://{PLAIN_HOST}/echo")),
        ("--git", format!("{secure}/repository")),
        ("--index", format!("{secure}/simple/")),
        ("--npm", format!("{secure}/npm/")),
        ("--crates", format!("{secure}/crates/")),
        ("--ws", format!("wss://{HOST}/socket")),
        ("--grpc", format!("{HOST}:443")),
    ];
    let mut command = world.program("python3", &[concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/run.py")]);
    command.args(["--json", "--nexus", env!("CARGO_BIN_EXE_nexus"), "--expect", EXPECTED]).env("CARGO_TARGET_DIR", target());
    command.env("CARGO", std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["--tier", if everything() { "all" } else { "quick" }]).args(way);
    for (name, address) in &addresses {
        command.args([name, address.as_str()]);
    }
    judge(&command.output().expect("python3").into());
}

fn judge(done: &Done) {
    let rows: Vec<Value> = serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}{}", done.out, done.err));
    let (mut table, mut wrong, mut skipped) = (String::new(), Vec::new(), Vec::new());
    for row in &rows {
        let [name, result, note] = ["client", "result", "note"].map(|key| row[key].as_str().expect("text"));
        writeln!(table, "{name:<20} {result} {note}").expect("room");
        match result {
            "ok" => {}
            "absent" if !everything() => skipped.push(format!("{name} ({note})")),
            _ => wrong.push(name),
        }
    }
    if !skipped.is_empty() {
        // Past the test's captured output: who reads only what failed should see it as well.
        writeln!(std::io::stderr(), "skipped, not installed: {}", skipped.join(", ")).expect("a terminal or a pipe");
    }
    assert!(wrong.is_empty(), "without their answer: {}\n{table}{}", wrong.join(", "), done.err);
    // The two that `tests/apt.txt` and `tests/requirements.txt` bring.
    for name in ["curl", "py-requests"] {
        assert!(rows.iter().any(|row| row["client"] == name && row["result"] == "ok"), "{name} was not tried\n{table}");
    }
    assert!(!done.out.contains(KEY), "a client saw the credential\n{table}");
}

/// One way of giving clients their environment: `more` configuration, and what `way` makes of the world before it is up.
fn each_client_is_served(more: &str, way: impl FnOnce(World) -> (World, Vec<&'static str>)) {
    run_within(LIMIT, async {
        let ca = Authority::new();
        let (service, (plain, _accepting)) = (service::start(&ca).await, service::start_plain().await);
        let (world, way) = way(world(&ca, service.address, plain, more));
        let _up = world.up();
        tokio::task::block_in_place(|| matrix(&world, &way));
        assert!(service.seen().iter().all(|seen| seen.bearer() == Some(KEY)), "a request without the stored credential");
    });
}

#[test]
fn i1_each_client_is_served_with_nothing_but_what_nexus_env_prints() {
    each_client_is_served("", |world| (world, vec!["--via", "env"]));
}

/// Java has no place for the token: its listener is bound to the agent. wget2 reads the token neither from the proxy's URL nor from
/// any variable; with its own options it answers the challenge (`tests/e2e/doors.rs`).
#[test]
fn i1_each_client_is_served_as_an_agent_with_what_nexus_env_prints_for_it() {
    each_client_is_served("agent_listen = { ci = \"127.0.0.1:0\" }", |world| {
        let added = world.nexus(&["agent", "add", "ci", "--provider", "clients", "--json"]).json();
        let token = added["token"].as_str().expect("a token").to_owned();
        (world.with("NEXUS_AGENT_TOKEN", &token), vec!["--via", "env", "--agent", "ci", "--without", "wget2"])
    });
}

#[test]
fn i1_each_client_is_served_as_a_command_of_nexus_run() {
    each_client_is_served("", |world| (world, vec!["--via", "run"]));
}
