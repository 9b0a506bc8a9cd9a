//! Threats 135 to 139: no secret in logs, records, files, errors, arguments or the environment of the process (I1).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::attack::{HOST, KEY, home, service, talk};
use crate::harness::{Authority, Builder, Caller, Offers, SECRET, full, request, run};

/// The spellings in which a secret would be recognised.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let whole = secret.len() / 3 * 3;
    vec![
        secret.as_bytes().to_vec(),
        STANDARD.encode(&secret[..whole]).into_bytes(),
        URL_SAFE.encode(&secret[..whole]).into_bytes(),
        hexadecimal.to_uppercase().into_bytes(),
        hexadecimal.into_bytes(),
        secret.chars().rev().collect::<String>().into_bytes(),
    ]
}

pub(crate) fn assert_free_of(what: &str, bytes: &[u8], secrets: &[(&str, String)]) {
    for (name, secret) in secrets {
        for spelling in spellings(secret) {
            assert!(memchr::memmem::find(bytes, &spelling).is_none(), "{name} stands in {what}");
        }
    }
}

pub(crate) fn scan(folder: &Path, secrets: &[(&str, String)]) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files += scan(&path, secrets);
        } else if let Ok(bytes) = std::fs::read(&path) {
            assert_free_of(&path.display().to_string(), &bytes, secrets);
            files += 1;
        }
    }
    files
}

#[test]
fn t135_to_t139_i1_a_busy_session_leaves_no_secret_anywhere() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let log = tempfile::NamedTempFile::new().expect("a file");
        let builder = home(&ca, &service).register(
            "acme:alice",
            &[("access_token", "alice-access-0123456789abcdef"), ("refresh_token", "alice-refresh-0123456789abc")],
        );
        let builder = builder.register("slack", &[("api_key", "xoxb-0123456789-slack-key-abcdef")]);
        let (builder, token) = builder.agent("a", |_agent| {});
        let nexus = builder.spawn_logged(&[("NEXUS_LOG", "trace")], log.path()).await;
        let caller = Caller::new(&nexus).agent("a", &token);
        let own = "callers-own-0123456789abcdefghij";
        let secrets = [
            ("the credential", KEY.to_owned()),
            ("the access token", "alice-access-0123456789abcdef".to_owned()),
            ("the refresh token", "alice-refresh-0123456789abc".to_owned()),
            ("another credential", "xoxb-0123456789-slack-key-abcdef".to_owned()),
            ("the agent's token", token.clone()),
            ("the caller's own credential", own.to_owned()),
            ("NEXUS_SECRET", SECRET.to_owned()),
        ];
        let mut answers = Vec::new();
        for path in ["/", "/mint/x", "/401", "//evil", "/long?token=TOKEN&x=TOKEN"] {
            for method in ["GET", "POST", "TRACE"] {
                let path = path.replace("TOKEN", own);
                let bytes = format!(
                    "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {own}\r\nX-Api-Key: {own}\r\nCookie: session={own}\r\n\
                     Nexus-Connection: acme\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                answers.push(talk(caller.tls(HOST, &["http/1.1"]).await, bytes.as_bytes()).await.text);
            }
        }
        for fields in [
            format!("Nexus-Connection: slack\r\nAuthorization: {own}\r\n"),
            format!("Bad Field: {own}\r\n"),
            format!("X: {own}\0\r\n"),
        ] {
            let bytes = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n");
            answers.push(talk(caller.tls(HOST, &["http/1.1"]).await, bytes.as_bytes()).await.text);
        }
        let mut alice = request(http::Method::POST, "https://api.acme.test/alice", full("body"));
        alice.headers_mut().insert("nexus-connection", "acme:alice".parse().expect("a value"));
        assert_eq!(caller.http2(HOST).await.send(alice).await.status, 200);
        // A caller by HTTP/2 that brings its own, into slots and beside them.
        for path in ["/h2", "/mint/h2", "/h2?token=TOKEN&x=TOKEN"] {
            let mut stolen = request(http::Method::POST, &format!("https://{HOST}{}", path.replace("TOKEN", own)), full(own));
            for name in ["authorization", "x-api-key", "cookie", "x-own"] {
                stolen.headers_mut().insert(name, format!("session={own}").parse().expect("a value"));
            }
            let reply = caller.http2(HOST).await.send(stolen).await;
            answers.push(format!("{:?}{}", reply.headers, reply.text()));
        }
        let base =
            format!("GET /~{token}/{HOST}/base HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {own}\r\n\r\n", nexus.address);
        answers.push(talk(caller.tcp().await, base.as_bytes()).await.text);
        let wrong = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\nProxy-Authorization: Bearer {own}\r\n\r\n");
        answers.push(talk(caller.tcp().await, wrong.as_bytes()).await.text);
        let wrong = format!("GET /~{own}/{HOST}/ HTTP/1.1\r\nHost: {}\r\n\r\n", nexus.address);
        answers.push(talk(caller.tcp().await, wrong.as_bytes()).await.text);
        assert!(service.seen().iter().any(|seen| seen.bearer() == Some("alice-access-0123456789abcdef")));
        assert!(service.seen().iter().any(|seen| seen.path == "/base" && seen.bearer() == Some(KEY)));
        nexus.closed("/base").await;

        assert_free_of("an answer", answers.join("\n").as_bytes(), &secrets);
        let said = std::fs::read(log.path()).expect("the log");
        assert!(said.len() > 1000, "the log is on");
        assert_free_of("the log", &said, &secrets);
        assert!(scan(nexus.home().path(), &secrets) > 5);
        for file in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{}/{file}", nexus.pid())).expect("readable by root");
            assert_free_of(file, &bytes, &secrets);
        }
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", nexus.pid())).expect("limits");
        let core: Vec<&str> =
            limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line").split_whitespace().collect();
        assert_eq!(core[4..6], ["0", "0"], "no core dump");
    });
}

/// As uid 65534 where the test may choose, else as ourselves.
fn as_somebody(program: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = std::process::Command::new(program);
    command.env_clear().current_dir("/").stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command
}

fn give_away(path: &Path) {
    std::os::unix::fs::chown(path, Some(65534), Some(65534)).expect("given away");
    if path.is_dir() {
        std::fs::read_dir(path).expect("a folder").for_each(|entry| give_away(&entry.expect("an entry").path()));
    }
}

/// Root may read everything, so both sides are another user here, and the same one.
#[test]
fn t138_i1_not_even_the_same_user_looks_into_the_process() {
    use std::io::BufRead as _;
    let builder = Builder::new(&Authority::new());
    builder.write_config();
    let home = builder.home().path().to_owned();
    let program = home.join("nexus-of-somebody");
    std::fs::copy(env!("CARGO_BIN_EXE_nexus"), &program).expect("a copy");
    if rustix::process::geteuid().is_root() {
        give_away(home.parent().expect("a folder"));
    }
    let mut command = as_somebody(&program);
    command.args(["up", "--announce"]).env("NEXUS_HOME", &home).env("NEXUS_SECRET", SECRET);
    let mut nexus = command.stdout(std::process::Stdio::piped()).spawn().expect("the binary");
    let mut line = String::new();
    std::io::BufReader::new(nexus.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("listening "), "{line}");
    let mut other = as_somebody("sleep").arg("60").spawn().expect("sleep");
    let readable = |process: u32, file: &str| {
        let mut head = as_somebody("head");
        head.args(["-c", "1", &format!("/proc/{process}/{file}")]).stdout(std::process::Stdio::null());
        head.status().expect("head").success()
    };
    for file in ["environ", "maps"] {
        assert!(readable(other.id(), file), "{file} of any other process");
        assert!(!readable(nexus.id(), file), "{file} of ours");
    }
    for child in [&mut other, &mut nexus] {
        child.kill().expect("a kill");
        child.wait().expect("an end");
    }
}
