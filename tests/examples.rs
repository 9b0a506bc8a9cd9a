//! The examples and the demo are run as a reader would run them, and must do what they say.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking, as tests do")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longer than any of them takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(150);
const NEXUS: &str = env!("CARGO_BIN_EXE_nexus");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target folder that this test was built into: `target/debug/deps/examples-…` is the test.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running test is a file");
    test.ancestors().nth(2).expect("tests lie in deps/").to_owned()
}

/// Runs a command to its end; one that takes too long is killed, and fails the test with what it said.
fn run(command: &mut Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child =
        child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}; `make test-deps` installs what it needs"));
    let id = child.id();
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = wait.recv_timeout(DEADLINE).unwrap_or_else(|_late| {
        Command::new("kill").args(["-9", &id.to_string()]).status().expect("kill is there");
        wait.recv().expect("the thread that waits has an answer")
    });
    output.expect("its output can be read")
}

/// What a command printed; it must have succeeded.
fn printed(command: &mut Command) -> String {
    let output = run(command);
    let (said, shown) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{command:?} ended with {}\n{shown}\n{said}", output.status);
    shown.into_owned()
}

/// A command whose environment leads nowhere else: no proxy and no Nexus of the person who runs the tests.
fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    let named = |name: &String| name.to_ascii_uppercase().ends_with("_PROXY") || name.starts_with("NEXUS_");
    for (name, _) in std::env::vars().filter(|(name, _)| named(name)) {
        command.env_remove(name);
    }
    command
}

mod demo {
    use super::*;

    #[test]
    fn every_check_of_the_demo_holds_and_it_fits_80_columns() {
        let shown = printed(program("python3").arg(root().join("examples/demo/demo.py")).args(["--plain", "--nexus", NEXUS]));
        assert!(shown.trim_end().ends_with("checks held."), "{shown}");
        let long: Vec<&str> = shown.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}

#[cfg(target_os = "linux")]
mod sandbox {
    use super::*;

    fn sandbox(command: &[&str]) -> String {
        let script = root().join("examples/sandbox/run-in-namespaces.sh");
        printed(program(script).args(["--nexus", NEXUS]).args(command))
    }

    #[test]
    fn the_agent_has_no_way_out_but_nexus() {
        let shown = sandbox(&[]);
        assert!(shown.ends_with("The sandbox holds.\n"), "{shown}");
    }

    #[test]
    fn the_python_agent_works_in_it_without_a_credential() {
        let shown =
            sandbox(&["python3", root().join("examples/python_agent/agent.py").to_str().expect("a path of this repository")]);
        assert!(shown.contains("urllib: I am octo"), "{shown}");
    }

    #[test]
    fn the_compose_file_the_image_and_its_entry_point_keep_their_promises() {
        let python = profile_folder().parent().expect("a target folder").join("test-venv/bin/python");
        let shown = printed(program(python).arg(root().join("tests/sandbox_promises.py")).arg(root()));
        let held: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        for (promise, held) in held.as_object().expect("an object") {
            assert_eq!(held, true, "{promise}");
        }
    }

    #[test]
    fn the_configuration_of_the_containers_is_valid() {
        let text = std::fs::read_to_string(root().join("examples/sandbox/nexus.toml")).expect("it is there");
        let config = nexus::app::Config::parse("nexus.toml", &text, &[]).expect("valid");
        assert!(config.beyond_loopback());
    }
}

mod quickstart {
    use super::*;

    /// The example, started; its two lines are read, and it ends when this is dropped.
    struct Quickstart {
        child: Child,
        variables: Vec<(String, String)>,
    }

    impl Quickstart {
        fn start() -> Self {
            let mut command = program(profile_folder().join("examples/quickstart"));
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cargo builds the examples with the tests");
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines().take(2);
            let variables = lines.map(|line| {
                let line = line.expect("text");
                let (name, value) = line.split_once('=').expect("NAME=value");
                (name.to_owned(), value.to_owned())
            });
            Self { variables: variables.collect(), child }
        }

        fn end(mut self) -> bool {
            drop(self.child.stdin.take());
            self.child.wait().expect("it ends").success()
        }
    }

    #[test]
    fn a_program_of_twenty_lines_is_a_proxy() {
        let quickstart = Quickstart::start();
        let mut curl = program("curl");
        curl.envs(quickstart.variables.iter().cloned()).args([
            "-sS",
            "--fail",
            "--max-time",
            "20",
            "https://nexus.internal/whoami",
        ]);
        let shown = printed(&mut curl);
        assert!(shown.contains(r#""agent":"local""#), "{shown}");
        assert!(quickstart.end());
    }

    impl Drop for Quickstart {
        fn drop(&mut self) {
            self.child.kill().ok();
            self.child.stdout.take().map(|mut stdout| stdout.read_to_end(&mut Vec::new()));
            self.child.wait().ok();
        }
    }
}
