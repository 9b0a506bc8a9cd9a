use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex as StdMutex};

use tokio::sync::Mutex;

use super::*;

/// A signal to this process reaches every `run` in it, so they go one after another.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let pem = rcgen::generate_simple_self_signed(["root.test".to_owned()]).unwrap().cert.pem();
    fs::write(home.path().join("ca.pem"), &pem).unwrap();
    fs::write(home.path().join("ca-bundle.pem"), &pem).unwrap();
    home
}

fn job<'a>(home: &Path, script: &str, warn: &'a dyn Fn(&str)) -> Job<'a> {
    let inputs = Inputs {
        proxy: String::new(),
        java_proxy: None,
        agent: None,
        bundle: home.join("ca-bundle.pem"),
        ca: home.join("ca.pem"),
        helpers: home.join("env"),
        no_proxy_extra: Vec::new(),
        placeholders: vec![("ACME_KEY".into(), "acme-placeholder".into())],
        inherited: &|_| None,
    };
    Job {
        inputs,
        home: home.into(),
        command: "sh".into(),
        args: vec!["-c".into(), script.into()],
        clean: false,
        keep: Vec::new(),
        credentials: Vec::new(),
        confine: Confine::Off,
        warn,
    }
}

fn door() -> Door<()> {
    Door { proxy: "127.0.0.1:9".into(), java_proxy: None, agent: Some(("run".into(), "tok-en".into())), guard: () }
}

async fn exit_of(script: &str) -> u8 {
    let _one = ONE_AT_A_TIME.lock().await;
    let home = home();
    run(job(home.path(), script, &|_| ()), async || Ok(door())).await.unwrap()
}

#[tokio::test]
async fn the_commands_exit_code_is_ours() {
    assert_eq!(exit_of("exit 0").await, 0);
    assert_eq!(exit_of("exit 41").await, 41);
}

#[tokio::test]
async fn a_signal_that_ends_the_command_is_128_and_its_number() {
    assert_eq!(exit_of("kill -TERM $$").await, 128 + 15);
    assert_eq!(exit_of("kill -KILL $$").await, 128 + 9);
}

#[tokio::test]
async fn a_signal_to_us_reaches_the_command() {
    for name in ["USR1", "USR2", "TERM", "HUP"] {
        let script = format!("trap 'exit 7' {name}; kill -{name} $PPID; while :; do :; done");
        assert_eq!(exit_of(&script).await, 7, "{name}");
    }
}

#[tokio::test]
async fn the_command_gets_the_proxy_with_its_token_and_the_placeholder() {
    let expected = "http://run:tok-en@127.0.0.1:9";
    assert_eq!(exit_of(&format!("test \"$https_proxy\" = {expected} && test \"$HTTPS_PROXY\" = {expected}")).await, 0);
    assert_eq!(exit_of("test \"$ACME_KEY\" = acme-placeholder").await, 0);
    assert_eq!(
        exit_of(
            "test -s \"$WGETRC\" && test -s \"$PHP_INI_SCAN_DIR/nexus.ini\" || test -s \"${PHP_INI_SCAN_DIR#:}/nexus.ini\""
        )
        .await,
        0
    );
}

#[tokio::test]
async fn clean_leaves_out_what_would_be_added_to() {
    let _one = ONE_AT_A_TIME.lock().await;
    let home = home();
    let mut job = job(home.path(), "test \"${NODE_OPTIONS#--require=}\" != \"$NODE_OPTIONS\"", &|_| ());
    job.inputs.inherited = &|name| (name == "NODE_OPTIONS").then(|| "--inspect".to_owned());
    job.clean = true;
    assert_eq!(run(job, async || Ok(door())).await.unwrap(), 0);
}

#[tokio::test]
async fn a_command_that_is_missing_or_not_executable_is_127_or_126() {
    let _one = ONE_AT_A_TIME.lock().await;
    let home = home();
    let said = StdMutex::new(Vec::new());
    let warn = |text: &str| said.lock().unwrap().push(text.to_owned());
    let missing = Job { command: "no-such-command-here".into(), ..job(home.path(), "", &warn) };
    assert_eq!(run(missing, async || Ok(door())).await.unwrap(), 127);
    let plain = Job { command: home.path().join("ca.pem").into(), ..job(home.path(), "", &warn) };
    assert_eq!(run(plain, async || Ok(door())).await.unwrap(), 126);
    let said = said.lock().unwrap();
    assert_eq!(said[0], "error: there is no command no-such-command-here");
    assert!(said[1].starts_with("error: cannot run "), "{said:?}");
}

#[tokio::test]
async fn the_guard_lives_as_long_as_the_command() {
    let _one = ONE_AT_A_TIME.lock().await;
    let home = home();
    let guard = Arc::new(());
    let watched = Arc::downgrade(&guard);
    let door = Door { proxy: "127.0.0.1:9".into(), java_proxy: None, agent: None, guard };
    assert_eq!(run(job(home.path(), "exit 0", &|_| ()), async || Ok(door)).await.unwrap(), 0);
    assert!(watched.upgrade().is_none());
}

#[tokio::test]
async fn without_a_proxy_nothing_runs() {
    let home = home();
    let marker = home.path().join("ran");
    let job = job(home.path(), &format!("touch {}", marker.display()), &|_| ());
    let failed = run(job, async || Err::<Door<()>, _>(anyhow::anyhow!("no proxy"))).await;
    assert_eq!(failed.unwrap_err().to_string(), "no proxy");
    assert!(!marker.exists());
}
