//! Threats 84 to 95: the proxy reaches neither itself nor what lies inside, by any spelling or by DNS (I5).

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::attack::{ACME, HOST, KEY, home, service, talk};
use crate::harness::{Authority, Builder, Caller, Offers, SECRET, run};

/// A loopback listener that nobody may reach; says how often it was.
async fn victim() -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await.expect("a stream"));
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, count)
}

#[test]
fn t85_to_t88_i5_no_spelling_of_an_inside_address_is_dialled() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let (port, reached) = victim().await;
        let (builder, token) =
            home(&ca, &service).config(&format!("[proxy]\nconnect_ports = [{port}]")).agent("a", |_agent| {});
        let nexus = builder.start();
        let caller = Caller::new(&nexus);
        let hosts = [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "[::]",
            "[::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "x.localhost",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::1]",
            "[2001:0:1::80ff:fffe]",
            "169.254.169.254",
            "169.254.170.2",
            "[fd00:ec2::254]",
            "[::ffff:a9fe:a9fe]",
            "metadata.google.internal",
            "metadata.google.internal.",
            "metadata",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "[fc00::1]",
            "[fe80::1]",
            "224.0.0.1",
            "255.255.255.255",
            "[ff02::1]",
            "168.63.129.16",
        ];
        for host in hosts {
            let authority = format!("{host}:{port}");
            let refused = caller.clone().agent("a", &token).tunnel(&authority).await.expect_err("no way in");
            assert!(
                [403, 508, 502].contains(&refused.status) && (refused.status != 502 || host.contains("localhost")),
                "{host}: {refused:?}"
            );
            let bytes = format!(
                "GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            );
            let raw = talk(caller.tcp().await, bytes.as_bytes()).await;
            assert!([403, 508, 502].contains(&raw.status()), "{host}: {raw:?}");
            let bytes = format!("GET /~{token}/{authority}/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", nexus.address);
            let raw = talk(caller.tcp().await, bytes.as_bytes()).await;
            assert!([403, 508, 502].contains(&raw.status()), "{host}: {raw:?}");
        }
        for host in [
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0x7f000001",
            "127.0.0.1.1",
            "[fe80::1%25lo]",
            "[::1",
            "127。0。0。1",
        ] {
            let authority = format!("{host}:{port}");
            assert_eq!(caller.clone().agent("a", &token).tunnel(&authority).await.expect_err("no host").status, 400, "{host}");
            let bytes =
                format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: Bearer {token}\r\n\r\n");
            assert_eq!(talk(caller.tcp().await, bytes.as_bytes()).await.status(), 400, "{host}");
        }
        assert_eq!(reached.load(Ordering::SeqCst), 0);
        let line = nexus.audit_line(|line| line["refusal"] == "private-address").await;
        assert!(line["host"].is_string(), "{line}");
    });
}

#[test]
fn t84_t92_i5_the_proxy_and_its_gateway_are_not_reached_through_the_proxy() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let config = "[proxy]\nconnect_ports = [8090]\n[upstream]\nallow_private = [\"127.0.0.0/8\", \"::1/128\", \"0.0.0.0/0\", \"::/0\"]\n[gateway]\nlisten = \"127.0.0.1:8090\"";
        let nexus = home(&ca, &service).config(config).start();
        let caller = Caller::new(&nexus);
        for host in ["127.0.0.1", "127.0.0.2", "localhost", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"] {
            for port in [nexus.address.port(), 8090] {
                let bytes = format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
                let raw = talk(caller.tcp().await, bytes.as_bytes()).await;
                // Where ::1 is what localhost means, nobody listens.
                let expected = if host == "localhost" { [508, 502] } else { [508, 508] };
                assert!(expected.contains(&raw.status()), "{host}:{port}: {raw:?}");
            }
            let refused = caller.tunnel(&format!("{host}:8090")).await.expect_err("the gateway");
            assert!([508, 502].contains(&refused.status), "{host}: {refused:?}");
        }
        for host in ["0.0.0.0", "[::]", "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal"] {
            let bytes = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let raw = talk(caller.tcp().await, bytes.as_bytes()).await;
            assert_eq!(raw.status(), 403, "even where all is allowed: {host}: {raw:?}");
        }
    });
}

#[test]
fn t94_other_schemes_are_malformed() {
    run(async {
        let scene = crate::attack::scene("").await;
        for target in [
            "file:///etc/passwd",
            "gopher://api.acme.test/",
            "unix:/run/x",
            "ftp://api.acme.test/",
            "https://api.acme.test/",
            "http:/x",
            "http:///x",
            "HTTP//x",
        ] {
            let bytes = format!("GET {target} HTTP/1.1\r\nHost: api.acme.test\r\n\r\n");
            assert_eq!(talk(scene.caller.tcp().await, bytes.as_bytes()).await.status(), 400, "{target}");
        }
        assert!(scene.saw(0));
    });
}

/// Needs root: it makes a network and a mount namespace, so that the test's DNS server is the machine's.
#[test]
#[cfg(target_os = "linux")]
fn t89_t90_t91_t95_i5_the_address_that_was_checked_is_the_one_that_is_dialled() {
    run(async {
        let ca = Authority::new();
        let config = "[proxy]\nlisten = [\"0.0.0.0:8091\"]\nconnect_ports = [8091]\n[policy]\ndefault = \"allow\"";
        let builder = Builder::new(&ca).config(config).provider("acme", ACME).register("acme", &[("api_key", KEY)]);
        let (builder, token) = builder.agent("a", |_agent| {});
        let (builder, modest) =
            builder.agent("modest", |agent| agent.hosts = Some(vec!["allowed.test".parse().expect("a host")]));
        builder.write_config();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/ssrf.py");
        let output = tokio::process::Command::new("unshare")
            .args(["--net", "--mount", "python3", script, env!("CARGO_BIN_EXE_nexus")])
            .arg(builder.home().path())
            .args([SECRET, &token, &modest])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("unshare");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
        let rows = report["results"].as_array().expect("rows");
        let of = |name: &str| -> Vec<&serde_json::Value> { rows.iter().filter(|row| row[0] == name).collect() };
        let status =
            |row: &serde_json::Value| row[1].as_str().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let rebind = of("rebind.test:443");
        assert_eq!((status(rebind[0]).as_str(), status(rebind[1]).as_str()), ("200", "403"), "{report:#}");
        assert_eq!(report["queries"]["rebind.test"], 2, "one question per CONNECT: {report:#}");
        for name in [
            "back.test:443",
            "mixed.test:443",
            "mapped.test:443",
            "six.test:443",
            "meta.test:443",
            "zero.test:443",
            "127.0.0.1:443",
            "[::1]:443",
        ] {
            assert_eq!(status(of(name)[0]), "403", "{name}: {report:#}");
        }
        assert!(["403", "502"].contains(&status(of("localhost:443")[0]).as_str()), "{report:#}");
        assert_eq!(report["inside"], 0, "nothing inside was reached: {report:#}");
        for name in ["self.test:PORT", "93.184.216.34:PORT"] {
            assert_eq!(status(of(name)[0]), "508", "our own port under an address that nobody listed: {report:#}");
        }
        assert!(
            report["poisoned"].as_str().is_some_and(|line| line.contains("200")),
            "the rule host is refused inside: {report:#}"
        );
        assert!(HOST.ends_with("acme.test"));
        let other = report["other"].as_str().is_some_and(|line| line.contains("200"));
        assert!(other && report["waited"].as_f64().is_some_and(|waited| waited < 4.0), "another agent's names: {report:#}");
        assert!(report["stalling"].as_u64().is_some_and(|names| (1..=32).contains(&names)), "16 at once: {report:#}");
        assert!(report["queries"].get("secret-data.refused.test").is_none(), "a refused name is not asked for: {report:#}");
        assert!(report["refused"].is_string(), "{report:#}");
    });
}
