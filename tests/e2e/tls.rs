//! Threats 96 to 107: a service's certificate is always verified before a request leaves (I4); tickets stay with their host.

use std::process::Stdio;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::attack::{ACME, HOST, KEY};
use crate::harness::{Authority, Builder, Caller, crypto, run};

/// A CA that the test can make mistakes with.
struct Root {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn root(name: &str) -> Root {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a root").pem();
    Root { issuer: Issuer::new(params, key), pem }
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn leaf(root: &Root, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Chain {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &root.issuer).expect("a leaf");
    (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

fn self_signed(name: &str) -> Chain {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![name.to_owned()]).expect("names").self_signed(&key).expect("a certificate");
    (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

/// Signed by a leaf that is no CA.
fn by_a_leaf(root: &Root, name: &str) -> Chain {
    let params = CertificateParams::new(vec!["other.test".to_owned()]).expect("names");
    let key = KeyPair::generate().expect("a key");
    let middle = params.signed_by(&key, &root.issuer).expect("a leaf");
    let forged = Root { issuer: Issuer::new(params, key), pem: String::new() };
    let (mut chain, key) = leaf(&forged, &[name], |_params| {});
    chain.push(middle.der().clone());
    (chain, key)
}

/// Accepts one TLS stream after the other and says for each whether a request's first byte came through.
async fn serve((chain, key): Chain) -> (std::net::SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let builder = ServerConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().expect("versions");
    let config = builder.with_no_client_auth().with_single_cert(chain, key).expect("a configuration");
    let came = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (acceptor, count) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&came));
    tokio::spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await.expect("a stream");
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut byte = [0];
            if matches!(tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await, Ok(1)) {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
    });
    (address, came)
}

#[test]
fn t96_i4_a_certificate_that_is_not_valid_gets_no_request() {
    run(async {
        let (ca, trusted, stranger) = (Authority::new(), root("trusted"), root("stranger"));
        let year = |year| rcgen::date_time_ymd(year, 1, 1);
        let hosts: Vec<String> = (0..10).map(|number| format!("h{number}.acme.test")).collect();
        let name = |number: usize| [hosts[number].as_str()];
        let rows: Vec<(&str, Chain)> = vec![
            ("expired", leaf(&trusted, &name(0), |params| (params.not_before, params.not_after) = (year(2001), year(2002)))),
            (
                "not yet valid",
                leaf(&trusted, &name(1), |params| (params.not_before, params.not_after) = (year(2090), year(2091))),
            ),
            ("another name", leaf(&trusted, &["evil.test"], |_params| {})),
            ("its parent's name", leaf(&trusted, &["acme.test"], |_params| {})),
            ("*.test", leaf(&trusted, &["*.test"], |_params| {})),
            ("an unknown CA", leaf(&stranger, &name(5), |_params| {})),
            ("self-signed", self_signed(&hosts[6])),
            ("issued by a leaf", by_a_leaf(&trusted, &hosts[7])),
            (
                "a common name only",
                leaf(&trusted, &[], |params| params.distinguished_name.push(DnType::CommonName, hosts[8].as_str())),
            ),
            ("an address only", leaf(&trusted, &["127.0.0.1"], |_params| {})),
        ];
        let provider = ACME.replace(r#"["api.acme.test"]"#, &format!("{hosts:?}"));
        let mut builder = Builder::new(&ca).provider("acme", &provider).register("acme", &[("api_key", KEY)]);
        std::fs::write(builder.home().path().join("trusted.pem"), &trusted.pem).expect("a file");
        let mut services = Vec::new();
        for ((what, chain), host) in rows.into_iter().zip(&hosts) {
            let (address, came) = serve(chain).await;
            builder = builder.resolve(host, address);
            services.push((what, host, came));
        }
        let nexus = builder.config("[upstream]\nextra_roots = [\"services-ca.pem\", \"trusted.pem\"]").start();
        for (what, host, came) in services {
            let reply = Caller::new(&nexus).get(&format!("https://{host}/")).await;
            assert_eq!((reply.status, reply.refusal()), (502, Some("upstream-tls")), "{what}: {reply:?}");
            let said = match what {
                "expired" => "has expired",
                "not yet valid" => "is not valid yet",
                "another name" | "its parent's name" | "*.test" => "is for another name",
                "an unknown CA" => {
                    "authority that is not trusted, so nothing was sent. A private CA goes into upstream.extra_roots"
                }
                _ => "certificate",
            };
            assert!(reply.text().contains(said), "{what}: {reply:?}");
            assert_eq!(came.load(std::sync::atomic::Ordering::SeqCst), 0, "{what}");
            let line = nexus
                .audit_line(|line| line["host"] == host.as_str() && line["event"] == "refuse" || line["event"] == "close")
                .await;
            assert_eq!(line["refusal"], "upstream-tls", "{what}: {line}");
        }
    });
}

#[test]
fn t97_i4_old_versions_of_tls_are_not_spoken_with_services() {
    run(async {
        let ca = Authority::new();
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let root = root("trusted");
        let key = KeyPair::generate().expect("a key");
        let certificate =
            CertificateParams::new(vec![HOST.to_owned()]).expect("names").signed_by(&key, &root.issuer).expect("a leaf");
        std::fs::write(file("leaf.pem"), certificate.pem()).expect("a file");
        std::fs::write(file("key.pem"), key.serialize_pem()).expect("a file");
        // The last one shows that it is the version that is refused, not the server.
        for (version, status) in [("-tls1", 502), ("-tls1_1", 502), ("-tls1_2", 200)] {
            let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
            let mut server = tokio::process::Command::new("openssl")
                .args([
                    "s_server",
                    "-accept",
                    &port.to_string(),
                    "-cert",
                    &file("leaf.pem"),
                    "-key",
                    &file("key.pem"),
                    version,
                    "-www",
                ])
                .args(["-cipher", "ALL:@SECLEVEL=0"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("openssl");
            let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
            while lines.next_line().await.expect("a line").is_some_and(|line| !line.contains("ACCEPT")) {}
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
            let builder = Builder::new(&ca).provider("acme", ACME).register("acme", &[("api_key", KEY)]).resolve(HOST, address);
            std::fs::write(builder.home().path().join("trusted.pem"), &root.pem).expect("a file");
            let nexus = builder.config("[upstream]\nhttp2 = false\nextra_roots = [\"trusted.pem\"]").start();
            let reply = Caller::new(&nexus).get("https://api.acme.test/").await;
            assert_eq!(reply.status, status, "{version}: {reply:?}");
            server.kill().await.expect("a kill");
        }
    });
}

#[test]
fn t106_t105_old_versions_and_garbage_from_callers_are_closed() {
    run(async {
        let scene = crate::attack::scene("[limits]\nhandshake_timeout_secs = 2").await;
        let garbage: [&[u8]; 5] = [
            &[22, 3, 1, 0, 5, 1, 2, 3, 4, 5],
            &[22, 3, 3, 255, 255, 0, 0, 0, 0],
            &[22, 3, 1, 0, 0],
            &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10],
            &[21, 3, 3, 0, 2, 2, 40],
        ];
        for bytes in garbage {
            let stream = scene.caller.tunnel("api.acme.test:443").await.expect("a tunnel");
            let mut stream = stream;
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await);
            let raw = crate::attack::listen(&mut stream, std::time::Duration::from_secs(5)).await;
            assert!(raw.closed, "{bytes:?} {raw:?}");
        }
        for version in ["-tls1", "-tls1_1"] {
            let output = tokio::process::Command::new("openssl")
                .args(["s_client", "-proxy", &scene.nexus.address.to_string(), "-connect", "api.acme.test:443", version])
                .args(["-cipher", "ALL:@SECLEVEL=0", "-CAfile"])
                .arg(scene.nexus.ca_file())
                .stdin(Stdio::null())
                .output()
                .await
                .expect("openssl");
            assert!(!output.status.success(), "{version}: {output:?}");
        }
        assert_eq!(scene.caller.get("https://api.acme.test/").await.status, 200);
        assert!(scene.saw(1));
    });
}

#[test]
fn t107_i6_the_ticket_of_one_tunnel_opens_no_other() {
    run(async {
        let ca = Authority::new();
        let service = crate::attack::service(&ca, crate::harness::Offers::Http1).await;
        let nexus = crate::attack::home(&ca, &service)
            .config("[proxy]\nunmatched = \"intercept\"")
            .resolve("evil.test", service.address)
            .start();
        let folder = tempfile::TempDir::new().expect("a folder");
        let session = folder.path().join("session");
        let connect = async |host: &str, name: &str, option: &str| {
            let output = tokio::process::Command::new("openssl")
                .args([
                    "s_client",
                    "-tls1_2",
                    "-proxy",
                    &nexus.address.to_string(),
                    "-connect",
                    &format!("{host}:443"),
                    "-servername",
                    name,
                    option,
                ])
                .arg(&session)
                .arg("-CAfile")
                .arg(nexus.ca_file())
                .stdin(Stdio::null())
                .output()
                .await
                .expect("openssl");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert!(connect("evil.test", "evil.test", "-sess_out").await.contains("New, TLSv1.2"), "a first session");
        let same = connect("evil.test", "evil.test", "-sess_in").await;
        assert!(same.contains("Reused"), "tickets work at all: {same}");
        let other = connect(HOST, HOST, "-sess_in").await;
        assert!(!other.contains("Reused"), "{other}");
    });
}

#[test]
fn t98_a_service_with_which_no_protocol_is_shared_is_502_and_nothing_breaks() {
    run(async {
        let ca = Authority::new();
        let odd = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = odd.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(ca.server_config(&["odd.test"], &["acme/9"]));
        tokio::spawn(async move {
            loop {
                let (stream, _peer) = odd.accept().await.expect("a stream");
                assert!(acceptor.accept(stream).await.is_err(), "no protocol is shared");
            }
        });
        let service = crate::attack::service(&ca, crate::harness::Offers::Http2).await;
        let nexus = crate::attack::home(&ca, &service)
            .config("[proxy]\nunmatched = \"intercept\"\nworkers = 1")
            .resolve("odd.test", address)
            .start();
        let caller = Caller::new(&nexus);
        let upgrade = format!("GET /up HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        // Only HTTP/1.1 has an Upgrade; before and after an HTTP/2 connection is there.
        for round in 0..2 {
            let raw = crate::attack::talk(caller.tls(HOST, &["http/1.1"]).await, upgrade.as_bytes()).await;
            assert_eq!((raw.status(), raw.refusal()), (502, "upstream-tls"), "{round}: {raw:?}");
            let reply = caller.get("https://odd.test/").await;
            assert_eq!((reply.status, reply.refusal()), (502, Some("upstream-tls")), "{round}: {reply:?}");
            assert_eq!(caller.get("https://api.acme.test/").await.status, 200, "{round}");
        }
        assert!(service.seen().iter().all(|seen| seen.path == "/"));
    });
}
