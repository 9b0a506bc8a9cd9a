//! The Unix socket: who comes by it is known by the kernel's word (I6).

use std::os::unix::fs::PermissionsExt as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::attack::{HOST, home, service};
use crate::harness::{Authority, Builder, Nexus, Offers, Upstream, read_head, run};

/// A request by the socket for the plain service `plain.test`, with more fields: the whole answer.
async fn ask(nexus: &Nexus, fields: &str) -> String {
    let mut stream = UnixStream::connect(nexus.home().path().join("proxy.sock")).await.expect("the socket");
    let request = format!("GET http://plain.test/x HTTP/1.1\r\nHost: plain.test\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.expect("a write");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).expect("a status")
}

fn bearer(token: &str) -> String {
    format!("Proxy-Authorization: Bearer {token}\r\n")
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A home whose proxy listens at `proxy.sock`, with a plain service.
async fn begin(peers: &str) -> (Authority, Upstream, Builder) {
    let ca = Authority::new();
    let service = service(&ca, Offers::Http1).await;
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = plain.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (mut stream, _peer) = plain.accept().await.expect("a stream");
            tokio::spawn(async move {
                read_head(&mut stream).await;
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await);
            });
        }
    });
    let config = format!("[proxy]\nunix_listen = [\"proxy.sock\"]\npeer = [{peers}]");
    let builder = home(&ca, &service).resolve("plain.test:80", address).config(&config);
    (ca, service, builder)
}

#[test]
fn a_process_is_the_agent_that_the_first_rule_for_it_names() {
    run(async {
        let own = uid();
        let peers = format!(
            "{{ uid = {}, agent = \"b\" }}, {{ uid = {own}, cgroup = \"/nowhere/*\", agent = \"b\" }}, {{ uid = {own}, agent = \"a\" }}",
            own + 1
        );
        let (_ca, _service, builder) = begin(&peers).await;
        let (builder, a) = builder.agent("a", |_agent| {});
        let (builder, b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let mode = std::fs::metadata(nexus.home().path().join("proxy.sock")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(status(&ask(&nexus, "").await), "200");
        let line = nexus.closed("/x").await;
        assert_eq!(line["agent"], "a", "{line}");
        let opened = nexus.audit_line(|line| line["event"] == "open").await;
        let process = format!("uid={own} pid={}", std::process::id());
        assert_eq!((opened["process"].as_str(), opened.get("source")), (Some(process.as_str()), None), "{opened}");
        // Whoever is known in two ways is the same in both.
        assert_eq!(status(&ask(&nexus, &bearer(&a)).await), "200");
        assert_eq!(status(&ask(&nexus, &bearer(&b)).await), "407", "another's token");
        assert_eq!(status(&ask(&nexus, &bearer("nxa_wrong")).await), "407");
    });
}

#[test]
fn i6_another_rule_is_in_force_at_once_and_ends_the_streams_of_whom_it_makes_another() {
    run(async {
        let (_ca, _service, builder) = begin(&format!("{{ uid = {}, agent = \"a\" }}", uid())).await;
        let (builder, _a) = builder.agent("a", |_agent| {});
        let (builder, _b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let mut open = UnixStream::connect(nexus.home().path().join("proxy.sock")).await.expect("the socket");
        open.write_all(b"GET http://plain.test/kept HTTP/1.1\r\nHost: plain.test\r\n\r\n").await.expect("a write");
        assert_eq!(status(&read_head(&mut open).await), "200");
        let file = nexus.home().config_file();
        let text = std::fs::read_to_string(&file).expect("the file").replace("\"a\"", "\"b\"");
        nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        assert_eq!(open.read(&mut [0; 1]).await.expect("an end"), 0, "the stream was another agent's");
        assert_eq!(status(&ask(&nexus, "").await), "200");
        assert_eq!(nexus.closed("/x").await["agent"], "b");
    });
}

#[test]
fn i6_whom_no_rule_names_is_nobody() {
    run(async {
        let peers = format!("{{ uid = {}, agent = \"a\" }}, {{ cgroup = \"/nowhere\", agent = \"a\" }}", uid() + 1);
        let (_ca, service, builder) = begin(&peers).await;
        let (builder, a) = builder.agent("a", |_agent| {});
        let nexus = builder.start();
        assert_eq!(status(&ask(&nexus, "").await), "407");
        assert_eq!(status(&ask(&nexus, &bearer(&a)).await), "200", "a token is still good");
        assert_eq!(service.count(), 0);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_control_group_names_an_agent() {
    run(async {
        let text = std::fs::read_to_string("/proc/self/cgroup").expect("a control group");
        let own = text.lines().find_map(|line| line.strip_prefix("0::")).expect("version 2").to_owned();
        let (_ca, _service, builder) = begin(&format!("{{ cgroup = \"{own}\", agent = \"a\" }}")).await;
        let (builder, _a) = builder.agent("a", |_agent| {});
        let nexus = builder.start();
        assert_eq!(status(&ask(&nexus, "").await), "200");
        assert_eq!(nexus.closed("/x").await["agent"], "a");
    });
}

#[test]
fn a_tunnel_and_a_credential_go_by_it_and_without_agents_it_is_for_our_user() {
    run(async {
        let (_ca, service, builder) = begin("").await;
        let mut nexus = builder.start();
        assert_eq!(status(&ask(&nexus, "").await), "200");
        assert_eq!(nexus.closed("/x").await["agent"], "local");
        let mut stream = UnixStream::connect(nexus.home().path().join("proxy.sock")).await.expect("the socket");
        let head = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("a write");
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let mut stream = crate::harness::Caller::new(&nexus).handshake(stream, HOST, &[]).await.expect("a handshake");
        let request = format!("GET /in HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a write");
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        assert_eq!(service.seen().pop().expect("a request").bearer(), Some(crate::attack::KEY));
        let path = nexus.home().path().join("proxy.sock");
        nexus.stop();
        assert!(!path.exists(), "the file goes with the proxy");
    });
}
