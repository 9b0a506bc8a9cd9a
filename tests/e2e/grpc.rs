//! Real gRPC (grpcio) through the proxy: every kind of call, with trailers, against its own server.

use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Authority, Builder, Program, run};

const PROVIDER: &str = r#"
name = "calls"
title = "Calls"
slots = ["authorization"]
[[inject]]
hosts = ["api.grpc.test"]
strategy = { bearer = "{api_key}" }
"#;
const KEY: &str = "grpc-key-0123456789abcdef";

/// Python with `tests/requirements.txt` installed.
pub(crate) fn python() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")), PathBuf::from);
    let python = target.join("test-venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: python3 -m venv target/test-venv and install tests/requirements.txt",
        python.display()
    );
    python
}

pub(crate) fn program(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/programs")).join(name)
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

/// The server with a certificate of `ca`, and its port.
async fn server(ca: &Authority, folder: &tempfile::TempDir) -> (Child, u16) {
    let (chain, key) = ca.leaf(&["api.grpc.test"]);
    let (chain_file, key_file) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain_file, pem("CERTIFICATE", &chain[0])).expect("a file");
    std::fs::write(&key_file, pem("PRIVATE KEY", key.secret_der())).expect("a file");
    let mut command = Command::new(python());
    command.arg(program("grpc_server.py")).arg(chain_file).arg(key_file);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("a server");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let port = lines.next_line().await.expect("a line").expect("grpcio is installed").parse().expect("a port");
    (child, port)
}

#[test]
fn every_kind_of_call_passes_with_its_trailers() {
    run(async {
        let (ca, folder) = (Authority::new(), tempfile::TempDir::new().expect("a folder"));
        let (_server, port) = server(&ca, &folder).await;
        let builder = Builder::new(&ca).resolve("api.grpc.test", ([127, 0, 0, 1], port).into()).provider("calls", PROVIDER);
        let (builder, token) = builder.register("calls", &[("api_key", KEY)]).agent("rpc", |_agent| {});
        let nexus = builder.start();
        let python = python().display().to_string();
        let client = Program::new(&nexus, &python, Some(&format!("rpc:{token}")))
            .arg(program("grpc_client.py"))
            .arg("api.grpc.test:443");
        let client = client.env("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", &nexus.bundle_file().display().to_string());
        assert_eq!(client.run().await.ok(), "unary, failed, server, client and both streams\n");
        for path in ["/test.Calls/Upper", "/test.Calls/Fail", "/test.Calls/Count", "/test.Calls/Total", "/test.Calls/Echo"] {
            let line = nexus.closed(path).await;
            let facts =
                (line["agent"].as_str(), line["verdict"].as_str(), line["upstream_http"].as_str(), line["status"].as_u64());
            assert_eq!(facts, (Some("rpc"), Some("inject"), Some("2"), Some(200)), "{line}");
            assert!(line["notes"].is_null(), "{line}");
        }
    });
}
