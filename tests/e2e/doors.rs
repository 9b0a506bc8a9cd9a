//! The ways in: absolute-form, base URL, TLS to the proxy port, our own pages, agents with tokens and without; and the ways out of the
//! process: a parent proxy, a drain.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{
    Authority, Builder, Caller, Nexus, Offers, Program, Upstream, answer, channel, empty, read_head, request, run,
};

const PROVIDER: &str = r#"
name = "door"
title = "Door"
slots = ["authorization"]
[[inject]]
hosts = ["api.door.test"]
strategy = { bearer = "{api_key}" }
"#;
const KEY: &str = "door-key-0123456789abcdef";

/// A service without TLS that answers `clear`, and the heads it has read.
pub(crate) async fn clear_service() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let heads = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&heads);
    tokio::spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await.expect("a stream");
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut stream = tokio::io::BufStream::new(stream);
                while tokio::io::AsyncBufReadExt::fill_buf(&mut stream).await.is_ok_and(|bytes| !bytes.is_empty()) {
                    let head = read_head(&mut stream).await;
                    log.lock().expect("a lock").push(head);
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclear").await.expect("a write");
                    stream.flush().await.expect("a flush");
                }
            });
        }
    });
    (address, heads)
}

async fn service(ca: &Authority) -> Upstream {
    Upstream::serve(ca, &["api.door.test"], Offers::Both, |mut call| async move {
        let body = call.read().await.expect("a body");
        answer(200, format!("{} {}", call.seen.path, body.len()))
    })
    .await
}

fn home(ca: &Authority, service: &Upstream) -> Builder {
    let builder = Builder::new(ca).resolve("api.door.test", service.address).provider("door", PROVIDER);
    builder.register("door", &[("api_key", KEY)])
}

/// Sends one head to the proxy port and reads the whole answer, which ends with the stream.
async fn ask(address: SocketAddr, line: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the proxy");
    stream.write_all(format!("{line} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n").as_bytes()).await.expect("a write");
    let mut all = String::new();
    stream.read_to_string(&mut all).await.expect("an answer");
    all
}

fn basic(name: &str, token: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{token}")))
}

#[test]
fn absolute_form_reaches_plain_services() {
    run(async {
        let ca = Authority::new();
        let (address, heads) = clear_service().await;
        let nexus = Builder::new(&ca).resolve("plain.test", address).start();
        for (target, host) in [
            ("http://plain.test/a?b=1", "plain.test"),
            ("http://plain.test:80/", "plain.test:80"),
            ("http://plain.test", "plain.test"),
        ] {
            let answer =
                ask(nexus.address, &format!("GET {target}"), &format!("Host: {host}\r\nProxy-Connection: keep-alive\r\n"))
                    .await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("clear"), "{target}: {answer}");
        }
        let heads = heads.lock().expect("a lock").clone();
        let lines: Vec<&str> = heads.iter().filter_map(|head| head.lines().next()).collect();
        assert_eq!(lines, ["GET /a?b=1 HTTP/1.1", "GET / HTTP/1.1", "GET / HTTP/1.1"]);
        assert!(
            heads.iter().all(|head| head.contains("host: plain.test\r\n") && !head.contains("proxy-connection")),
            "{heads:?}"
        );
        let misdirected = ask(nexus.address, "GET http://plain.test/", "Host: other.test\r\n").await;
        assert!(misdirected.starts_with("HTTP/1.1 421 "), "{misdirected}");
        let https = ask(nexus.address, "GET https://plain.test/", "Host: plain.test\r\n").await;
        assert!(https.starts_with("HTTP/1.1 400 ") && https.contains("use CONNECT"), "{https}");
    });
}

#[test]
fn i2_a_credential_never_goes_over_cleartext() {
    run(async {
        let ca = Authority::new();
        let (address, heads) = clear_service().await;
        let builder = Builder::new(&ca).resolve("api.door.test", address).provider("door", PROVIDER);
        let nexus = builder.register("door", &[("api_key", KEY)]).start();
        let answer = ask(nexus.address, "GET http://api.door.test/", "Host: api.door.test\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("https://"), "{answer}");
        assert!(heads.lock().expect("a lock").is_empty());
    });
}

#[test]
fn a_base_url_is_a_door_for_programs_and_not_for_pages() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let (builder, token) = home(&ca, &service).agent("sdk", |_agent| {});
        let nexus = builder.start();
        for (path, arrives) in [("/v1/models?q=1", "/v1/models?q=1"), ("/", "/"), ("", "/"), ("?q=1", "/?q=1")] {
            let answer = ask(
                nexus.address,
                &format!("GET /~{token}/api.door.test{path}"),
                "Host: 127.0.0.1\r\nAuthorization: Bearer mine\r\n",
            )
            .await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(&format!("{arrives} 0")), "{path}: {answer}");
        }
        assert!(
            service.seen().iter().all(|seen| seen.bearer() == Some(KEY) && seen.authority.as_deref() == Some("api.door.test"))
        );
        let count = service.count();
        for field in ["Origin: http://evil.test", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate"] {
            let answer =
                ask(nexus.address, &format!("GET /~{token}/api.door.test/page"), &format!("Host: 127.0.0.1\r\n{field}\r\n"))
                    .await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{field}: {answer}");
        }
        let wrong = token.replace("nxa_", "nxa_x");
        for target in [format!("/~{wrong}/api.door.test/wrong"), "/~/api.door.test/none".to_owned()] {
            let answer = ask(nexus.address, &format!("GET {target}"), "Host: 127.0.0.1\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 407 ") && !answer.contains("nxa_"), "{answer}");
        }
        assert_eq!(service.count(), count);
        let line = nexus.closed("/v1/models?q=").await;
        assert_eq!(
            (line["agent"].as_str(), line["door"].as_str().or(Some("base_url"))),
            (Some("sdk"), Some("base_url")),
            "{line}"
        );
        nexus.audit_line(|line| line["status"] == 407).await;
        i1_nothing_holds(&nexus, &token);
    });
}

/// No file of the audit log holds `secret`.
fn i1_nothing_holds(nexus: &Nexus, secret: &str) {
    let mut count = 0;
    for entry in std::fs::read_dir(nexus.home().audit()).expect("the log") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        count += bytes.len();
        assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{}", path.display());
    }
    assert!(count > 0, "there is a log");
}

#[test]
fn the_proxy_port_speaks_tls_and_then_http1() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let nexus = home(&ca, &service).start();
        let caller = Caller::new(&nexus);
        let stream = caller.tcp().await;
        let stream = caller.handshake(stream, "127.0.0.1", &["h2", "http/1.1"]).await.expect("a certificate for the address");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut stream = stream;
        stream.write_all(b"GET http://nexus.internal/ca.pem HTTP/1.1\r\nHost: nexus.internal\r\n\r\n").await.expect("a write");
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
        // Encrypted on every hop, so the whole URL may be asked for (wget2 does).
        stream.write_all(b"GET https://api.door.test/whole HTTP/1.1\r\nHost: api.door.test\r\n\r\n").await.expect("a write");
        nexus.closed("/whole").await;
        assert_eq!(service.seen().pop().expect("a request").bearer(), Some(KEY));
        let ca_file = nexus.ca_file();
        let proxy = format!("https://{}", nexus.address);
        let curl = Program::new(&nexus, "curl", None).args(&["-sS", "--fail", "-x", &proxy, "--proxy-cacert"]).arg(ca_file);
        assert_eq!(curl.arg("https://api.door.test/tls-in-tls").run().await.ok(), "/tls-in-tls 0");
        let line = nexus.closed("/tls-in-tls").await;
        assert_eq!(line["verdict"], "inject", "{line}");
    });
}

#[test]
fn the_tls_of_the_proxy_port_answers_to_every_name_of_ours_and_to_no_other() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let nexus = home(&ca, &service).config("[proxy]\nnames = [\"nexus\", \"proxy.team.test\", \"fd00::5\"]\n").start();
        let caller = Caller::new(&nexus);
        for name in ["localhost", "127.0.0.1", "::1", "nexus.internal", "nexus", "proxy.team.test", "fd00::5"] {
            let stream = caller.tcp().await;
            assert!(caller.handshake(stream, name, &["http/1.1"]).await.is_ok(), "{name}");
        }
        for name in ["api.door.test", "other.team.test", "127.0.0.2"] {
            let stream = caller.tcp().await;
            assert!(caller.handshake(stream, name, &["http/1.1"]).await.is_err(), "{name}");
        }
        // A certificate of the port is not one for an intercepted host of the same name, nor the other way round.
        let curl = |proxy: String| {
            let curl = Program::new(&nexus, "curl", None).args(&["-sS", "--fail", "-x", &proxy, "--proxy-cacert"]);
            curl.arg(nexus.ca_file()).arg("https://api.door.test/by-name")
        };
        let port = nexus.address.port();
        assert_eq!(curl(format!("https://localhost:{port}")).run().await.ok(), "/by-name 0");
        assert_eq!(curl(format!("https://127.0.0.1:{port}")).run().await.ok(), "/by-name 0");
    });
}

#[test]
fn our_own_pages_are_read_in_every_way() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let (builder, token) = home(&ca, &service).agent("reader", |_agent| {});
        let nexus = builder.start();
        let pem = std::fs::read_to_string(nexus.ca_file()).expect("the CA");
        let bundle = std::fs::read_to_string(nexus.bundle_file()).expect("the bundle");
        let own = |path: &'static str, fields: String| ask_own(&nexus, path, fields);
        for (path, text) in [("/ca.pem", &pem), ("/ca-bundle.pem", &bundle)] {
            for answer in own(path, String::new()).await {
                assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(text.as_str()), "{path}: {answer:.200}");
            }
        }
        for path in ["/whoami", "/env", "/connections/door"] {
            for answer in own(path, String::new()).await {
                assert!(answer.starts_with("HTTP/1.1 407 "), "{path}: {answer:.200}");
            }
        }
        let shown = basic("reader", &token);
        for (path, part) in [
            ("/whoami", "\"agent\":\"reader\""),
            ("/env", "\"ca_sha256\":\""),
            ("/connections/door", "\"status\":\"active\""),
            ("/connections/github", "\"status\":\"missing\""),
        ] {
            for answer in own(path, shown.clone()).await {
                assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(part), "{path}: {answer:.300}");
            }
        }
        for answer in own("/nothing", shown.clone()).await {
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer:.200}");
        }
        // The files beside the certificate stay where they are (threat 100).
        for path in ["/ca.key", "/ca.key.enc", "/ca.next.key.enc", "/nexus.enc", "/.salt", "/.env", "/agents.toml", "/"] {
            for answer in own(path, shown.clone()).await {
                assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer:.200}");
            }
        }
        for path in ["/ca.pem/../ca.key.enc", "/%2e%2e/ca.key.enc", "/ca.pem%00/ca.key", "//ca.key.enc"] {
            for answer in own(path, shown.clone()).await {
                assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer:.200}");
            }
        }
        let direct = ask(nexus.address, "GET /ca.pem", "Host: nexus.internal\r\n").await;
        assert!(direct.ends_with(&pem), "{direct:.200}");
    });
}

#[test]
fn what_is_read_of_our_own_pages_is_an_answer_on_record_and_no_request_to_a_service() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let (builder, token) = home(&ca, &service).agent("reader", |_agent| {});
        let nexus = builder.start();
        for (path, status) in [("/env", 200), ("/nothing", 404)] {
            for answer in ask_own(&nexus, path, basic("reader", &token)).await {
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer:.200}");
            }
            let line = nexus.closed(path).await;
            let said = (&line["event"], &line["verdict"], &line["status"], line.get("refusal"));
            assert_eq!(said, (&"close".into(), &"answer".into(), &status.into(), None), "{line}");
        }
        let fields = format!("Host: nexus.internal\r\n{}", basic("reader", &token));
        let put = ask(nexus.address, "PUT http://nexus.internal/env", &fields).await;
        assert!(put.starts_with("HTTP/1.1 405 "), "{put:.200}");
        assert_eq!(nexus.audit_line(|line| line["method"] == "PUT" && line["event"] == "close").await["verdict"], "answer");
        // Whoever does not say who they are is refused there as elsewhere.
        assert!(ask_own(&nexus, "/whoami", String::new()).await.iter().all(|answer| answer.starts_with("HTTP/1.1 407 ")));
        assert_eq!(nexus.closed("/whoami").await["verdict"], "refuse");
    });
}

/// Asks by absolute form, inside a CONNECT to port 80, and inside TLS.
async fn ask_own(nexus: &Nexus, path: &str, fields: String) -> [String; 3] {
    let caller = Caller::new(nexus);
    let inner = format!("GET {path} HTTP/1.1\r\nHost: nexus.internal\r\nConnection: close\r\n\r\n");
    let connect = |port: u16| format!("CONNECT nexus.internal:{port} HTTP/1.1\r\nHost: nexus.internal:{port}\r\n{fields}\r\n");
    let absolute =
        ask(nexus.address, &format!("GET http://nexus.internal{path}"), &format!("Host: nexus.internal\r\n{fields}")).await;
    let (mut clear, mut closed) = (caller.tcp().await, caller.tcp().await);
    clear.write_all(connect(80).as_bytes()).await.expect("a write");
    assert!(read_head(&mut clear).await.starts_with("HTTP/1.1 200 "));
    clear.write_all(inner.as_bytes()).await.expect("a write");
    let mut by_80 = String::new();
    clear.read_to_string(&mut by_80).await.expect("an answer");
    closed.write_all(connect(443).as_bytes()).await.expect("a write");
    assert!(read_head(&mut closed).await.starts_with("HTTP/1.1 200 "));
    let mut inside = caller.handshake(closed, "nexus.internal", &["http/1.1"]).await.expect("a handshake");
    inside.write_all(inner.as_bytes()).await.expect("a write");
    let mut by_443 = String::new();
    inside.read_to_string(&mut by_443).await.expect("an answer");
    [absolute, by_80, by_443]
}

#[test]
fn a_challenge_is_answered_on_the_same_stream() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let (builder, token) = home(&ca, &service).agent("ci", |_agent| {});
        let nexus = builder.start();
        let mut stream = Caller::new(&nexus).tcp().await;
        let connect = "CONNECT api.door.test:443 HTTP/1.1\r\nHost: api.door.test:443\r\n";
        stream.write_all(format!("{connect}\r\n").as_bytes()).await.expect("a write");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 407 ") && head.contains("(unknown-agent)"), "{head}");
        assert!(head.to_ascii_lowercase().contains("proxy-authenticate: basic realm=\"nexus\"\r\n"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut document = vec![0; length.parse().expect("a number")];
        stream.read_exact(&mut document).await.expect("a document");
        stream.write_all(format!("{connect}{}\r\n", basic("ci", &token)).as_bytes()).await.expect("a write");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        for shown in [basic("other", &token), basic("ci", "nxa_wrong"), "Proxy-Authorization: Bearer nxa_wrong\r\n".to_owned()]
        {
            let answer = ask(nexus.address, "GET http://api.door.test/", &format!("Host: api.door.test\r\n{shown}")).await;
            assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
        }
    });
}

#[test]
fn curl_git_and_wget2_answer_the_challenge() {
    run(async {
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &["api.door.test"], Offers::Both, |call| async move {
            if call.seen.path.starts_with("/repo.git/info/refs") {
                let mut response = answer(200, advertisement());
                let kind = http::HeaderValue::from_static("application/x-git-upload-pack-advertisement");
                response.headers_mut().insert("content-type", kind);
                return response;
            }
            answer(200, "page")
        })
        .await;
        let (builder, token) = home(&ca, &service).agent("ci", |_agent| {});
        let nexus = builder.start();
        let userinfo = format!("ci:{token}");
        let proxy = format!("http://{}", nexus.address);
        let curl =
            Program::new(&nexus, "curl", None).args(&["-sS", "--fail", "--proxy-anyauth", "-x", &proxy, "-U", &userinfo]);
        assert_eq!(curl.arg("https://api.door.test/curl").run().await.ok(), "page");
        let git = Program::new(&nexus, "git", Some(&userinfo)).args(&["-c", "http.proxyAuthMethod=anyauth", "ls-remote"]);
        let listed = git.arg("https://api.door.test/repo.git").run().await.ok();
        assert!(listed.ends_with("\tHEAD\n"), "{listed}");
        let wget = Program::new(&nexus, "wget2", None).args(&["-q", "-O-", "--no-hsts", "--http-proxy-user=ci"]);
        let wget = wget.arg(format!("--http-proxy-password={token}")).arg("--ca-certificate");
        let done = wget.arg(nexus.bundle_file()).arg("https://api.door.test/wget2").run().await;
        assert!(done.stdout.ends_with("page"), "{}{}", done.stdout, done.stderr);
        for path in ["/curl", "/wget2"] {
            assert_eq!(nexus.closed(path).await["agent"], "ci");
        }
        assert!(service.seen().iter().all(|seen| seen.bearer() == Some(KEY)));
    });
}

/// One ref, as `git-upload-pack` advertises it.
fn advertisement() -> String {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let refs = line("0123456789abcdef0123456789abcdef01234567 HEAD\0symref=HEAD:refs/heads/main object-format=sha1\n");
    format!("{}0000{refs}0000", line("# service=git-upload-pack\n"))
}

/// java.net.http never sends proxy credentials by itself.
#[test]
fn a_listener_of_one_agent_needs_no_token() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let (plain, _heads) = clear_service().await;
        let builder = home(&ca, &service).resolve("plain.test", plain);
        let (builder, _token) = builder.agent("java", |_agent| {});
        let nexus = builder.config("[proxy.agent_listen]\njava = \"127.0.0.1:0\"").start();
        let bound = nexus.addresses[1];
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs/ThroughProxy.java");
        let java = |url: &str| {
            Program::new(&nexus, "java", None)
                .args(&["-XX:TieredStopAtLevel=1", program])
                .arg(bound.port().to_string())
                .arg(nexus.ca_file())
                .arg(url)
        };
        assert_eq!(java("https://api.door.test/java").run().await.ok(), "HTTP_2 200 /java 0\n");
        assert_eq!(java("http://plain.test/java-plain").run().await.ok(), "HTTP_1_1 200 clear\n");
        assert_eq!(nexus.closed("/java").await["agent"], "java");
        assert_eq!(nexus.closed("/java-plain").await["agent"], "java");
        assert_eq!(Caller::new(&nexus).tunnel("api.door.test:443").await.expect_err("another listener").status, 407);
    });
}

/// What curl, run by a user who is not ours, reads at `nexus.internal/whoami` through `proxy`: its status. Only root can become somebody
/// else.
fn as_another_user(proxy: SocketAddr) -> Option<String> {
    use std::os::unix::process::CommandExt as _;
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let mut curl = std::process::Command::new("curl");
    curl.args([
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-x",
        &format!("http://{proxy}"),
        "http://nexus.internal/whoami",
    ]);
    let done = curl.uid(65534).gid(65534).current_dir("/").output().expect("curl");
    Some(String::from_utf8(done.stdout).expect("a status"))
}

#[test]
fn t131_i6_another_user_of_the_machine_is_not_the_agent_of_a_listener() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        for (config, expected) in [("", "407"), ("[proxy]\nagent_listen_any_user = true", "200")] {
            let (builder, _token) = home(&ca, &service).config(config).agent("java", |_agent| {});
            let nexus = builder.config("[proxy.agent_listen]\njava = \"127.0.0.1:0\"").start();
            let bound = nexus.addresses[1];
            assert_eq!(Caller::new(&nexus).through(bound).get("https://api.door.test/ours").await.status, 200);
            let status = tokio::task::spawn_blocking(move || as_another_user(bound)).await.expect("a status");
            assert!(status.as_deref().is_none_or(|status| status == expected), "{status:?} with {config:?}");
        }
    });
}

#[test]
fn t131_i6_another_user_of_the_machine_is_not_local() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca).await;
        let nexus = home(&ca, &service).start();
        assert_eq!(Caller::new(&nexus).get("https://api.door.test/ours").await.status, 200);
        let shared = nexus.address;
        let status = tokio::task::spawn_blocking(move || as_another_user(shared)).await.expect("a status");
        assert!(status.as_deref().is_none_or(|status| status == "407"), "{status:?}");
    });
}

/// A proxy that wants a password and finds every name at `service`; it remembers what it was asked.
async fn parent(service: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _peer) = listener.accept().await.expect("a stream");
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                let known = head.to_ascii_lowercase().contains(&basic("corp", "p@ss:word").to_ascii_lowercase());
                log.lock().expect("a lock").push(head.clone());
                if !known || head.contains("forbidden.test") {
                    let status = if known { "403 Forbidden" } else { "407 Proxy Authentication Required" };
                    let refused = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    return stream.write_all(refused.as_bytes()).await.expect("a write");
                }
                if head.starts_with("GET http://") {
                    return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclear").await.expect("a write");
                }
                let mut there = TcpStream::connect(service).await.expect("the service");
                stream.write_all(b"HTTP/1.1 200 Fine\r\nVia: 1.1 corp\r\n\r\n").await.expect("a write");
                drop(tokio::io::copy_bidirectional(&mut stream, &mut there).await);
            });
        }
    });
    (address, asked)
}

#[test]
fn a_parent_proxy_is_asked_for_everything_but_its_exceptions() {
    run(async {
        let ca = Authority::new();
        let names = ["api.door.test", "near.test"];
        let service = Upstream::serve(&ca, &names, Offers::Both, |call| async { answer(200, call.seen.path) }).await;
        let (address, asked) = parent(service.address).await;
        let builder = Builder::new(&ca).provider("door", PROVIDER).register("door", &[("api_key", KEY)]);
        let password = builder.home().path().join("corp.txt");
        nexus::disk::write_atomic(&password, b"corp:p@ss:word\n", nexus::disk::PRIVATE).expect("a file");
        let port = service.address.port();
        let config = format!(
            "[proxy]\nunmatched = \"intercept\"\nconnect_ports = [{port}]\n\
             [upstream]\nproxy = \"http://{address}\"\nproxy_auth_file = \"corp.txt\"\nproxy_except = [\"localhost\"]\nallow_private = [\"127.0.0.0/8\", \"::1/128\"]"
        );
        let nexus = builder.config(&config).resolve("near.test", service.address).start();
        let caller = Caller::new(&nexus);
        assert_eq!(caller.get("https://api.door.test/far").await.text(), "/far");
        assert_eq!(service.seen()[0].bearer(), Some(KEY));
        let plain = ask(nexus.address, "GET http://plain.test/clear", "Host: plain.test\r\n").await;
        assert!(plain.starts_with("HTTP/1.1 200 OK\r\n") && plain.ends_with("clear"), "{plain}");
        let heads = asked.lock().expect("a lock").clone();
        let lines: Vec<&str> = heads.iter().filter_map(|head| head.lines().next()).collect();
        assert_eq!(lines, ["CONNECT api.door.test:443 HTTP/1.1", "GET http://plain.test/clear HTTP/1.1"]);
        assert!(heads[1].contains("host: plain.test\r\n"), "{heads:?}");
        let count = asked.lock().expect("a lock").len();
        assert_eq!(caller.get("https://near.test/near").await.text(), "/near");
        let stream = caller.tunnel(&format!("localhost:{port}")).await.expect("a tunnel");
        let mut direct = caller.handshake(stream, "localhost", &["http/1.1"]).await.expect("a handshake with us");
        let sent = format!("GET /direct HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        direct.write_all(sent.as_bytes()).await.expect("a write");
        let head = read_head(&mut direct).await;
        assert!(head.contains("nexus-refusal: upstream-tls\r\n"), "reached, and not the service's name: {head}");
        assert_eq!(asked.lock().expect("a lock").len(), count, "exceptions go past the parent");
        let reply = caller.get("https://forbidden.test/").await;
        assert_eq!((reply.status, reply.refusal()), (502, Some("upstream")));
        assert!(!reply.text().contains("p@ss"));
    });
}

#[test]
fn a_drain_lets_responses_finish_and_takes_nothing_new() {
    run(async {
        let ca = Authority::new();
        let go = Arc::new(tokio::sync::Notify::new());
        let wait = Arc::clone(&go);
        let service = Upstream::serve(&ca, &["api.door.test"], Offers::Both, move |_call| {
            let wait = Arc::clone(&wait);
            async move {
                let (mut sender, body) = channel();
                tokio::spawn(async move {
                    sender.send_data("begun ".into()).await.expect("a reader");
                    wait.notified().await;
                    sender.send_data("and ended".into()).await.expect("a reader");
                });
                http::Response::new(body)
            }
        })
        .await;
        let mut nexus = home(&ca, &service).config("[limits]\ndrain_secs = 20").spawn().await;
        let caller = Caller::new(&nexus);
        let idle = caller.tcp().await;
        let mut session = caller.http1("api.door.test").await;
        let response = session.begin(request(Method::GET, "/drain", empty())).await.expect("a head");
        let pid = rustix::process::Pid::from_raw(i32::try_from(nexus.pid()).expect("a pid")).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let address = nexus.address;
        loop {
            // The listener closes; connections that it had taken before are turned away.
            if TcpStream::connect(address).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        go.notify_one();
        let reply = crate::harness::read(response).await.expect("a whole response");
        assert_eq!(reply.text(), "begun and ended");
        assert!(nexus.ended().await.success());
        assert_eq!(nexus.closed("/drain").await["status"], 200);
        drop(idle);
    });
}

#[test]
fn a_second_proxy_on_the_same_port_says_so() {
    run(async {
        let ca = Authority::new();
        let first = Builder::new(&ca).spawn().await;
        let second = Builder::new(&ca);
        let command = Program::new(&first, env!("CARGO_BIN_EXE_nexus"), None)
            .arg("up")
            .env("NEXUS_HOME", &second.home().path().display().to_string());
        let command = command
            .env("NEXUS_SECRET", "a secret for one test")
            .env("NEXUS__PROXY__LISTEN", &format!("[\"{}\"]", first.address));
        let done = command.run().await;
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.stderr.contains(&first.address.to_string()) && done.stderr.contains("listen"), "{}", done.stderr);
    });
}
