//! `World`: a person's folder with a Nexus home in it, and the binary as that person would call it.

use std::fs::DirBuilder;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::kept;

/// Typed by nobody: each test has its own.
pub(crate) struct World {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Done {
    /// Its data, if it succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// Its data as JSON, if it succeeded.
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).expect("JSON")
    }

    /// What it says on failing with exit code `code`: one line, and hints.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(self.err.contains("nexus: error: "), "{}", self.err);
        self.err
    }
}

impl World {
    /// Without a home.
    pub(crate) fn bare() -> Self {
        // Not in /tmp: with Landlock alone a command could make nothing right beside the home.
        Self { folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), variables: Vec::new() }
    }

    /// After `nexus init`, listening on a port of its own.
    pub(crate) fn new() -> Self {
        // Made once and copied, since deriving a key takes a while.
        let made = kept("world", |folder| {
            let world = Self::bare();
            world.nexus(&["init"]).ok();
            copy(&world.home(""), &folder.join(".nexus"));
        });
        let world = Self::bare();
        copy(&made.join(".nexus"), &world.home(""));
        world.config("[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n");
        world
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(".nexus").join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.home(name)).unwrap_or_default()
    }

    pub(crate) fn config(&self, text: &str) {
        nexus::disk::write_atomic(&self.home("nexus.toml"), text.as_bytes(), nexus::disk::PRIVATE).unwrap();
    }

    pub(crate) fn provider(&self, name: &str, text: &str) {
        let file = self.home("providers").join(format!("{name}.toml"));
        nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).unwrap();
    }

    /// `policies/NAME.toml`.
    pub(crate) fn policy(&self, name: &str, text: &str) {
        nexus::disk::create_private_dir(&self.home("policies")).unwrap();
        let file = self.home("policies").join(format!("{name}.toml"));
        nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).unwrap();
    }

    /// The lines of a log, as a proxy would have left them.
    pub(crate) fn audit_segment(&self, lines: &str) {
        nexus::disk::create_private_dir(&self.home("audit")).unwrap();
        nexus::disk::write_atomic(&self.home("audit/00000001.jsonl"), lines.as_bytes(), nexus::disk::PRIVATE).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_nexus"), arguments)
    }

    /// Another program in the same surroundings.
    pub(crate) fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(name);
        command.args(arguments).env_clear().stdin(Stdio::null());
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("LANG", "C.UTF-8")
            // Many of them are up at a time.
            .env("NEXUS__GATEWAY__LISTEN", "127.0.0.1:0");
        let work = self.path("work");
        std::fs::create_dir_all(&work).unwrap();
        command.current_dir(work).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command with nothing on its standard input.
    pub(crate) fn nexus(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command with `text` on its standard input.
    pub(crate) fn nexus_with(&self, arguments: &[&str], text: &str) -> Done {
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    pub(crate) fn register(&self, arguments: &[&str], fields: &str) {
        let whole: Vec<&str> = [&["register", "--stdin"], arguments].concat();
        self.nexus_with(&whole, fields).ok();
    }

    /// `nexus up`, listening.
    pub(crate) fn up(&self) -> Up {
        let mut command = self.command(&["up", "--announce"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        Up::of(child, None)
    }

    /// As [`World::up`], once `word` stands in its log.
    pub(crate) fn up_saying(&self, word: &str) -> Up {
        let mut command = self.command(&["up", "--announce"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = child.stderr.take().map(|log| Mutex::new(BufReader::new(log)));
        let up = Up::of(child, log);
        up.says(word);
        up
    }

    /// Runs a shell line on a terminal of its own; waits for each word of `talk` and types the answer.
    pub(crate) fn on_terminal(&self, line: &str, talk: &[(&str, &str)]) -> Done {
        let mut command = self.program("script", &["-qefc", line, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script, of util-linux");
        let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut seen = Vec::new();
        for (wanted, answer) in talk {
            let from = seen.len();
            let mut byte = [0];
            while !String::from_utf8_lossy(&seen[from..]).contains(wanted) {
                assert_eq!(screen.read(&mut byte).unwrap_or(0), 1, "{wanted:?} in {}", String::from_utf8_lossy(&seen));
                seen.push(byte[0]);
            }
            keys.write_all(answer.as_bytes()).unwrap();
        }
        // A terminal that is gone reads as an error.
        screen.read_to_end(&mut seen).ok();
        let status = child.wait().unwrap();
        Done { code: status.code(), out: String::from_utf8_lossy(&seen).into_owned(), err: String::new() }
    }
}

/// Asks again until it is so; a machine that is busy is given ten seconds.
pub(crate) fn eventually(mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !so() {
        assert!(std::time::Instant::now() < end, "it never was so");
        std::thread::yield_now();
    }
}

/// A running `nexus up`.
pub(crate) struct Up {
    child: Child,
    log: Option<Mutex<BufReader<ChildStderr>>>,
    pub(crate) address: String,
}

impl Up {
    fn of(mut child: Child, log: Option<Mutex<BufReader<ChildStderr>>>) -> Self {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening ").expect("it listens").to_owned();
        Self { child, log, address }
    }

    /// Waits for a line of its log that holds `word`.
    pub(crate) fn says(&self, word: &str) {
        let mut log = self.log.as_ref().expect("a log").lock().unwrap();
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "{word:?} was never said");
        }
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&self, sent: rustix::process::Signal) {
        signal(&self.child, sent);
    }

    /// SIGHUP: reads its files again, whether it watches them yet or not.
    pub(crate) fn hang_up(&self) {
        signal(&self.child, rustix::process::Signal::HUP);
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        signal(&self.child, rustix::process::Signal::TERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A folder with all that is in it, as private as it was.
fn copy(from: &Path, to: &Path) {
    DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}
