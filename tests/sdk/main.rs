//! Vendors' SDKs and command lines, unmodified, through the built binary: each is a short program that knows nothing but the environment
//! that Nexus gives it, and each service answers only where the stored credential came, in its place and alone. The table is in
//! `services/`, `install.sh` installs what is in it. `make test` runs the fast ones, `make test-sdk` all.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, its helpers included"
)]

mod case;
mod gh_log_in;
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod judge;
mod judged;
mod server;
mod stub;
#[path = "../cli/world.rs"]
#[expect(dead_code, reason = "the tests of the command line use more of it")]
mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::case::{Case, cases, folder};
use crate::harness::{Authority, Seen, run_within};
use crate::judge::{Ran, faults};
use crate::server::Server;
use crate::stub::{Account, Secrets, Stub};
use crate::world::World;

/// Long past what all of them take on two busy cores.
const LIMIT: Duration = Duration::from_secs(600);
/// What one program may take; the longest takes ten seconds where nobody else is at work.
const DEADLINE: Duration = Duration::from_secs(180);
const AT_ONCE: usize = 2;

/// How a program gets its environment.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// `nexus run -- PROGRAM`, where agents are defined: nobody is served without the token of the command.
    Run,
    /// The variables that `nexus env` prints while `nexus up` runs.
    Env,
}

/// Whether every SDK must be there: `make test-sdk`.
fn everything() -> bool {
    std::env::var_os("NEXUS_TEST_ALL").is_some_and(|all| all == "1")
}

/// Where `install.sh` puts the SDKs.
fn installed() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target")).join("test-sdk")
}

/// Where command lines are found: those that are installed with the SDKs first.
fn path() -> String {
    let system = std::env::var("PATH").unwrap_or_default();
    format!("{}:{system}", installed().join("venv/bin").display())
}

/// Fails with the command that installs them, unless the SDKs are there as the lists have them.
fn require_sdks() {
    let (tier, lists) = match everything() {
        false => ("fast", &["requirements.txt", "package-lock.json"][..]),
        true => ("all", &["requirements.txt", "requirements-all.txt", "package-lock.json"][..]),
    };
    let read = |folder: PathBuf, list: &str| std::fs::read(folder.join(list)).ok();
    let there =
        |list: &&str| read(folder(), list).is_some() && read(folder(), list) == read(installed().join("installed"), list);
    assert!(lists.iter().all(there), "the SDKs are not installed as tests/sdk lists them; run: tests/sdk/install.sh {tier}");
}

/// The program and what it needs beside it, in the folder it runs in; its command line.
fn place(case: &Case, work: &Path) -> [PathBuf; 2] {
    let program = work.join(&case.file);
    std::fs::copy(folder().join("programs").join(&case.file), &program).expect("the program");
    let interpreter = match program.extension().and_then(|extension| extension.to_str()) {
        Some("py") => installed().join("venv/bin/python"),
        Some("mjs") => {
            std::os::unix::fs::symlink(installed().join("node/node_modules"), work.join("node_modules")).expect("a link");
            "node".into()
        }
        _ => "sh".into(),
    };
    [interpreter, program]
}

/// A repository with one commit at `octo/hello.git`, for the services that have git's answers.
fn repository(case: &Case, world: &World) -> PathBuf {
    let root = world.path("repositories");
    if case.service.answer.values().any(|answer| answer.git) {
        let script = "git init -q -b main tree && cd tree && echo Hello >README.md && git add README.md \
            && git -c user.name=Octo -c user.email=octo@example.com commit -qm 'Say hello' \
            && git clone -q --bare . \"$1/octo/hello.git\"";
        let root = root.to_str().expect("text");
        let done = world.program("sh", &["-ec", script, "sh", root]).current_dir(world.path("")).output().expect("sh");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    root
}

/// What plays the vendor: the table's answers, or a program.
enum Playing {
    Stub(Stub),
    Server(Server),
}

impl Playing {
    async fn start(ca: &Authority, case: &Case, secrets: &Secrets, world: &World) -> Self {
        match &case.service.server {
            None => Self::Stub(Stub::start(ca, case, secrets, repository(case, world)).await),
            Some(file) => Self::Server(Server::start(ca, case, secrets, file).await),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Stub(stub) => stub.upstream.address,
            Self::Server(server) => server.address,
        }
    }

    async fn finish(self) -> (Account, Vec<Seen>) {
        match self {
            Self::Stub(stub) => (stub.account(), stub.upstream.seen()),
            Self::Server(server) => server.finish().await,
        }
    }
}

/// A home that holds the credential and trusts the service at `address`; every other host is refused.
fn prepare(world: &World, ca: &Authority, case: &Case, secrets: &Secrets, address: SocketAddr) {
    trust(world, ca, case.service.hosts(), address);
    world.register(&[&case.service.name], &secrets.registration(case));
}

/// A home that trusts `hosts` at `address`, and refuses every other.
fn trust(world: &World, ca: &Authority, hosts: impl IntoIterator<Item = impl std::fmt::Display>, address: SocketAddr) {
    std::fs::write(world.home("services-ca.pem"), ca.pem()).expect("a file");
    let resolve = hosts.into_iter().map(|host| format!("\"{host}\" = \"{address}\""));
    world.config(&format!(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\nunmatched = \"refuse\"\n[limits]\ndrain_secs = 1\n\
         [upstream]\nextra_roots = [\"services-ca.pem\"]\nresolve = {{ {} }}\n",
        resolve.collect::<Vec<_>>().join(", ")
    ));
}

/// The environment first, then the program in it.
const SHOW: &str = "env; echo '--- program'; exec \"$@\"";

/// `line` in the environment that Nexus gives.
fn command(world: &World, way: Way, line: &[&str]) -> Command {
    match way {
        Way::Run => {
            world.nexus(&["agent", "add", "somebody-else"]).ok();
            world.command(&[&["run", "--"], line].concat())
        }
        Way::Env => {
            let variables = world.nexus(&["env", "--format", "json"]).json();
            let variables = variables.as_object().expect("an object").iter();
            let mut command = world.program(line[0], &line[1..]);
            command.envs(variables.map(|(name, value)| (name, value.as_str().expect("text"))));
            command
        }
    }
}

/// Runs it to its end, or ends it and all that it started.
async fn finish(command: Command, output: &Path) -> Option<i32> {
    let file = std::fs::File::create(output).expect("a file");
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file).process_group(0);
    let mut child = command.spawn().expect("a process");
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("an id");
    if let Ok(status) = tokio::time::timeout(DEADLINE, child.wait()).await {
        return status.expect("a status").code();
    }
    kill_process_group(group, Signal::KILL).expect("a signal");
    child.wait().await.expect("a status");
    None
}

/// What is wrong with one program in one way; all that it said, if anything is.
async fn served(case: &Case, way: Way) -> Result<(), String> {
    let (ca, secrets) = (Authority::new(), Secrets::of(case));
    let world = World::new().with("PATH", &path());
    let playing = Playing::start(&ca, case, &secrets, &world).await;
    prepare(&world, &ca, case, &secrets, playing.address());
    let _up = matches!(way, Way::Env).then(|| world.up());
    let work = world.path("work");
    std::fs::create_dir_all(&work).expect("a folder");
    let output = world.path("said");
    let [interpreter, program] = place(case, &work);
    let line = ["sh", "-c", SHOW, "sh", interpreter.to_str().expect("text"), program.to_str().expect("text")];
    let code = finish(command(&world, way, &line), &output).await;
    let said = String::from_utf8_lossy(&std::fs::read(&output).expect("its output")).into_owned();
    let (account, seen) = playing.finish().await;
    let ran = Ran { code, said, account, seen };
    let faults = faults(case, &secrets, &ran);
    if faults.is_empty() {
        return Ok(());
    }
    let own = ran.said.split_once("--- program").map_or(ran.said.as_str(), |(_, own)| own);
    Err(format!("{} with {}:\n  {}\n{own}", case.service.name, case.file, faults.join("\n  ")))
}

/// Every program of the tier, or those that NEXUS_TEST_SDK names.
fn chosen() -> Vec<Case> {
    let only = std::env::var("NEXUS_TEST_SDK").ok();
    let mut cases = cases();
    cases.retain(|case| match &only {
        Some(names) => names.split(',').any(|name| name == case.file),
        None => everything() || case.program.fast,
    });
    assert!(!cases.is_empty(), "no program is called {only:?}");
    cases
}

fn each_is_served(way: Way) {
    require_sdks();
    run_within(LIMIT, async {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for case in chosen() {
            let slots = Arc::clone(&slots);
            running.spawn(async move {
                let _slot = slots.acquire_owned().await.expect("open");
                let started = std::time::Instant::now();
                let result = served(&case, way).await;
                eprintln!("{:<12} {:<24} {:.1} s", case.service.name, case.file, started.elapsed().as_secs_f32());
                result
            });
        }
        let results = running.join_all().await;
        let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
        assert!(wrong.is_empty(), "{} failed\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn i1_each_sdk_is_served_as_a_command_of_nexus_run() {
    each_is_served(Way::Run);
}

#[test]
fn i1_each_sdk_is_served_with_what_nexus_env_prints() {
    each_is_served(Way::Env);
}

#[test]
fn every_program_is_in_the_table_and_every_answer_is_asked_for() {
    let cases = cases();
    let listed: BTreeSet<String> = cases.iter().map(|case| case.file.clone()).collect();
    let there = std::fs::read_dir(folder().join("programs")).expect("the programs");
    let there: BTreeSet<String> = there.map(|entry| entry.unwrap().file_name().into_string().expect("text")).collect();
    assert_eq!(listed, there);
    for service in cases.iter().map(|case| &case.service) {
        let asked: BTreeSet<&String> = service.program.values().flat_map(|program| &program.calls).collect();
        let given = service.answer.iter().filter(|(_, answer)| !answer.incidental).map(|(call, _)| call);
        assert!(service.server.is_some() || asked == given.collect(), "{}: {asked:#?}", service.name);
        for (file, program) in &service.program {
            assert!(!program.prints.is_empty(), "{file} must show that it understood");
            let renewable = program.expires.is_some();
            assert!(!renewable || service.oauth2.is_some() || service.server.is_some(), "{file}: who renews?");
            assert!(program.expires.iter().all(|call| program.calls.contains(call)), "{file}: `expires` is one of its calls");
        }
    }
}
