//! `nexus run`: exit codes, signals, terminal, and a credential that the command uses and never sees.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Authority, Offers, Upstream, answer, run};
use crate::world::{Done, World, signal};

#[test]
fn the_first_run_of_a_machine_makes_the_home_and_says_so() {
    let world = World::bare().with("NEXUS__UPSTREAM__HTTP2", "true");
    let done = world.nexus(&["run", "--", "sh", "-c", "printf %s \"$HTTPS_PROXY\"; exit 7"]);
    assert_eq!(done.code, Some(7), "{done:?}");
    assert!(done.out.starts_with("http://run-") && done.out.contains(":nxa_"), "{}", done.out);
    assert!(done.err.contains("nexus: made ") && done.err.contains("CA SHA-256"), "{}", done.err);
    let again = world.nexus(&["run", "true"]);
    assert_eq!((again.code, again.err.as_str()), (Some(0), ""));
}

#[test]
fn exit_codes_are_the_commands_own() {
    let world = World::new();
    for (command, code) in [
        (&["sh", "-c", "exit 0"][..], 0),
        (&["sh", "-c", "exit 41"], 41),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["no-such-command"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let whole: Vec<&str> = [&["run", "--"], command].concat();
        let done = world.nexus(&whole);
        assert_eq!(done.code, Some(code), "{command:?} {done:?}");
    }
    let said = world.nexus(&["run", "no-such-command"]).failed(127);
    assert!(said.contains("there is no command no-such-command"), "{said}");
}

#[test]
fn arguments_and_standard_input_go_through_untouched() {
    let world = World::new();
    let done = world.nexus_with(&["run", "sh", "-c", "printf '%s|' \"$@\"; cat", "sh", "--json", "-x", "a b"], "typed");
    assert_eq!(done.ok(), "--json|-x|a b|typed");
}

#[test]
fn signals_reach_the_command_and_its_answer_is_ours() {
    let world = World::new();
    let script = "trap 'kill $!; exit 9' TERM USR1; sleep 60 >/dev/null 2>&1 & echo ready; wait; exit 1";
    for sent in [Signal::TERM, Signal::USR1] {
        let mut child = world.command(&["run", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        signal(&child, sent);
        assert_eq!(child.wait().unwrap().code(), Some(9), "{sent:?}");
    }
}

#[test]
fn the_command_keeps_the_terminal() {
    let world = World::new();
    let line = format!(
        "{} run -- sh -c 'tty; stty -a >/dev/null && echo sane; read word; echo got $word; exit 5'",
        env!("CARGO_BIN_EXE_nexus")
    );
    let done = world.on_terminal(&line, &[("sane", "hello\n")]);
    assert_eq!(done.code, Some(5), "{}", done.out);
    assert!(done.out.contains("/dev/pts/") && done.out.contains("got hello"), "{}", done.out);
}

#[test]
fn an_interrupt_at_the_terminal_reaches_the_command_once() {
    let world = World::new();
    // Blocked and waited for, so that it can't come between a look and a sleep; a second one would wait.
    let script = world.path("command.py");
    let text = "import signal, sys\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n\
        print('ready', flush=True)\n\
        signal.sigwait([signal.SIGINT])\n\
        print('caught', flush=True)\n\
        input()\n\
        print('caught again' if signal.SIGINT in signal.sigpending() else 'once', flush=True)\n\
        sys.exit(6)\n";
    std::fs::write(&script, text).unwrap();
    // A shell in between would end by the signal itself.
    let line = format!("exec {} run -- python3 {}", env!("CARGO_BIN_EXE_nexus"), script.display());
    let done = world.on_terminal(&line, &[("ready", "\u{3}"), ("caught", "word\n")]);
    assert_eq!(done.code, Some(6), "{}", done.out);
    assert_eq!(done.out.matches("caught").count(), 1, "{}", done.out);
}

#[test]
fn i1_credentials_of_the_environment_stay_behind_unless_kept() {
    let world =
        World::new().with("GITHUB_TOKEN", "mine").with("NPM_TOKEN", "mine").with("EDITOR", "ed").with("NEXUS_LOG", "off");
    world.register(&["openai"], "api_key=sk-0123456789abcdef\n");
    let seen = |options: &[&str]| {
        let whole: Vec<&str> = [&["run"], options, &["--", "env"]].concat();
        world.nexus(&whole).ok()
    };
    let text = seen(&[]);
    assert!(!text.contains("=mine") && !text.contains("NEXUS_") && text.contains("EDITOR=ed"), "{text}");
    assert!(text.contains("OPENAI_API_KEY=sk-proj-") && !text.contains("sk-0123456789abcdef"), "{text}");
    let text = seen(&["--keep", "GITHUB_TOKEN"]);
    assert!(text.contains("GITHUB_TOKEN=mine") && !text.contains("NPM_TOKEN"), "{text}");
    assert!(!seen(&["--clean"]).contains("EDITOR"));
}

/// All that `/proc` shows of a process that was started with secrets, as far as we may look.
fn shown_of(process: u32) -> Vec<u8> {
    let files = ["environ", "cmdline"].map(|file| std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default());
    files.concat()
}

#[cfg(target_os = "linux")]
#[test]
fn i1_no_secret_stays_in_the_environment_of_a_private_proxy() {
    let secrets = ["a-secret-of-this-test-0001", "a-key-of-this-test-0002", "a-token-of-this-test-0003"];
    let world = World::bare()
        .with("NEXUS_SECRET", secrets[0])
        .with("NEXUS_API_KEY", secrets[1])
        .with("NEXUS_AGENT_TOKEN", secrets[2])
        .with("PLAIN_WITNESS", "is-there");
    let holds = |text: &[u8]| secrets.iter().any(|secret| String::from_utf8_lossy(text).contains(secret));
    // Unconfined: the command may look at whatever a process of its user may look at.
    let script = "cat /proc/$PPID/environ /proc/$PPID/cmdline 2>/dev/null; env; echo ready; read word";
    let arguments = ["run", "--confine", "off", "--", "sh", "-c", script];
    let mut child = world.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n').map(Result::unwrap);
    let seen: Vec<Vec<u8>> = lines.by_ref().take_while(|line| line != b"ready").collect();
    assert!(seen.iter().any(|line| line.starts_with(b"PLAIN_WITNESS=")) && !holds(&seen.concat()));
    let outside = shown_of(child.id());
    let readable = std::fs::metadata(format!("/proc/{}", std::process::id())).unwrap();
    let is_root = std::os::unix::fs::MetadataExt::uid(&readable) == 0;
    assert_eq!(memchr::memmem::find(&outside, b"is-there").is_some(), is_root, "only root looks into a process that hides");
    assert!(!holds(&outside));
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    // It was the given secret that sealed the home, not one of its own making.
    assert!(!world.home(".env").exists() && world.nexus(&["list"]).code == Some(0));
}

#[test]
fn i10_the_command_does_not_see_the_home() {
    let world = World::new();
    let file = world.home(".env").display().to_string();
    let bundle = world.home("ca-bundle.pem").display().to_string();
    let done = world.nexus(&["run", "--", "sh", "-c", &format!("cat {file} && exit 1; test -s {bundle}")]);
    if done.err.contains("can't be shut out here") {
        return eprintln!("this kernel has no Landlock: {}", done.err);
    }
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!done.out.contains("NEXUS_SECRET"), "{done:?}");
}

#[test]
fn the_proxy_that_is_up_is_used_with_an_agent_that_ends_with_the_command() {
    let world = World::new();
    world.nexus(&["agent", "add", "lasting"]).ok();
    let up = world.up();
    let script = "printf '%s ' \"$HTTPS_PROXY\"; curl -sS -x \"$HTTPS_PROXY\" http://nexus.internal/whoami; exit 3";
    let done = world.nexus(&["run", "--user", "alice", "--", "sh", "-c", script]);
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.out.contains(&format!("@{} ", up.address)) && done.out.contains("\"user\":\"alice\""), "{done:?}");
    assert!(!world.read("passing.toml").contains("run-") && world.read("agents.toml").contains("lasting"));
    // The same when a signal ends it.
    let mut child =
        world.command(&["run", "--", "sh", "-c", "echo ready; exec sleep 60"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(world.read("passing.toml").contains("run-"), "{line}");
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert!(!world.read("passing.toml").contains("run-"));
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn i6_the_agent_of_a_command_that_was_killed_is_taken_back() {
    let world = World::new();
    world.nexus(&["agent", "add", "lasting"]).ok();
    let up = world.up();
    let mut command = world.command(&["run", "--", "sh", "-c", "echo \"$HTTPS_PROXY\"; exec cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut proxy = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut proxy).unwrap();
    let status = || {
        let url = "http://nexus.internal/whoami";
        let asked = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", proxy.trim(), url];
        String::from_utf8(std::process::Command::new("curl").args(asked).output().unwrap().stdout).unwrap()
    };
    assert_eq!(status(), "200");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    world.nexus(&["run", "--", "true"]).ok();
    assert!(!world.read("passing.toml").contains("run-") && world.read("agents.toml").contains("lasting"));
    let until = Instant::now() + Duration::from_secs(10);
    while status() != "407" {
        assert!(Instant::now() < until, "the token still works");
    }
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn a_proxy_that_was_killed_is_not_waited_for() {
    let world = World::new();
    let up = world.up();
    let address = up.address.clone();
    up.kill();
    let text = world.nexus(&["run", "--", "sh", "-c", "printf %s \"$HTTPS_PROXY\""]).ok();
    assert!(text.starts_with("http://run-") && !text.ends_with(&address), "{text}");
}

const ACME: &str = "name = \"acme\"\ntitle = \"Acme\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.acme.test\"]\nstrategy = { bearer = \"{api_key}\" }\n[placeholder]\nACME_TOKEN = \"acme_\"\n";
const KEY: &str = "acme-secret-0123456789abcdef";

#[test]
fn i1_curl_uses_a_credential_that_it_never_sees_through_either_proxy() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["api.acme.test"], Offers::Both, |call| async move {
            let _call = call;
            answer(200, "welcome")
        })
        .await;
        let world = World::new();
        std::fs::write(world.home("services.pem"), ca.pem()).unwrap();
        world.config(&format!(
            "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nextra_roots = [\"services.pem\"]\n[upstream.resolve]\n\"api.acme.test\" = \"{}\"\n",
            service.address
        ));
        world.provider("acme", ACME);
        world.register(&["acme"], &format!("api_key={KEY}\n"));
        let script = "curl -sS --fail -H \"Authorization: Bearer $ACME_TOKEN\" https://api.acme.test/private; env";
        for up in [None, Some(())] {
            let up = up.map(|()| world.up());
            let mut command = world.command(&["run", "--", "sh", "-c", script]);
            let done = tokio::task::spawn_blocking(move || Done::from(command.output().unwrap())).await.unwrap();
            let text = done.ok();
            assert!(text.starts_with("welcome") && !text.contains(KEY), "{text}");
            drop(up);
        }
        let seen = service.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|seen| seen.bearer() == Some(KEY)));
        let log = world.nexus(&["audit", "tail", "-n", "100"]).ok();
        assert!(log.contains(" inject acme GET api.acme.test/private 200 ") && !log.contains(KEY), "{log}");
    });
}

/// A proxy's port as a shell word: `$HTTPS_PROXY` without the token, and the port that Java is told.
const WITHOUT_TOKEN: &str = "http://$(printf %s \"$HTTPS_PROXY\" | sed 's/.*@//')";
const OF_JAVA: &str = "http://127.0.0.1:$(printf %s \"$JAVA_TOOL_OPTIONS\" | sed 's/.*https.proxyPort=\\([0-9]*\\).*/\\1/')";

#[test]
fn t131_i6_a_command_that_runs_for_a_user_is_nobody_without_its_token() {
    let world = World::new();
    let ask = |proxy: &str| format!("curl -s -x \"{proxy}\" http://nexus.internal/whoami");
    let status = format!("{} -o /dev/null -w '%{{http_code}}'", ask(WITHOUT_TOKEN));
    let script = format!("{status}; echo; {}; {}", ask("$HTTPS_PROXY"), ask(OF_JAVA));
    let text = world.nexus(&["run", "--user", "bob", "--", "sh", "-c", &script]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "407"), "{text}");
    // Java can't show a token: its port is the command's own.
    assert!(lines[1].contains("\"user\":\"bob\"") && lines[1].contains("\"agent\":\"run-"), "{text}");
    assert_eq!(lines[1], lines[2]);
}

#[test]
fn t33_i6_a_shared_proxy_that_needs_no_token_binds_no_command_to_a_user() {
    let world = World::new();
    let up = world.up();
    let said = world.nexus(&["run", "--user", "bob", "true"]).failed(1);
    assert!(said.contains("--user would not bind the command") && said.contains("nexus agent add"), "{said}");
    assert!(!world.read("passing.toml").contains("run-"), "{}", world.read("passing.toml"));
    world.nexus(&["run", "true"]).ok();
    world.nexus(&["agent", "add", "lasting"]).ok();
    world.nexus(&["run", "--user", "bob", "true"]).ok();
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn t131_i6_agents_that_vanished_under_a_proxy_are_not_undefined_by_a_command() {
    let world = World::new();
    world.nexus(&["agent", "add", "lasting"]).ok();
    let up = world.up_saying("the proxy listens on");
    let status = || {
        let asked = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-x", &up.address, "http://nexus.internal/whoami"];
        Done::from({ world.program("curl", &asked) }.output().unwrap()).ok()
    };
    assert_eq!(status(), "407");
    std::fs::remove_file(world.home("agents.toml")).unwrap();
    let script = "curl -sS -x \"$HTTPS_PROXY\" http://nexus.internal/whoami; printf '%s' \"$HTTPS_PROXY\"";
    let text = world.nexus(&["run", "--", "sh", "-c", script]).ok();
    assert!(text.contains("\"agent\":\"run-") && text.ends_with(&up.address), "{text}");
    up.hang_up();
    up.says("agents.toml is gone or empty");
    assert_eq!((status().as_str(), world.home("agents.toml").exists()), ("407", false));
    // Nor by a look for somebody who is not there.
    world.nexus(&["agent", "revoke", "nobody"]).failed(1);
    assert!(!world.home("agents.toml").exists());
    assert_eq!(up.stop(), Some(0));
}

/// An agent would pass on to its operator what it is told there.
#[test]
fn inside_of_run_the_home_is_not_called_damaged() {
    let world = World::new();
    for command in [&["list"][..], &["status"], &["audit", "tail"]] {
        let said = world.nexus(&[&["run", "--", env!("CARGO_BIN_EXE_nexus")], command].concat()).failed(1);
        // Without namespaces it is Landlock that says no.
        assert!(said.contains("is shut out here") || said.contains("ermission denied"), "{command:?}: {said}");
        assert!(!said.contains("restore it"), "{command:?}: {said}");
    }
}
