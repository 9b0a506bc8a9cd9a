//! Client certificates at the TLS of the proxy port, shown by curl (I6).

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::attack::{HOST, home, service};
use crate::harness::{Authority, Builder, Nexus, Offers, Upstream, crypto, read_head, run};

/// Who signs for callers.
struct Clients {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Clients {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "the callers' authority");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes `NAME.pem` and `NAME.key` into the home.
    fn sign(&self, nexus: &Nexus, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(nexus.home().path().join(format!("{name}.pem")), signed.pem()).expect("a file");
        std::fs::write(nexus.home().path().join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    }

    fn revoked(&self, serial: u64) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4096, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("a URI"))
}

async fn begin(clients: &Clients, more: &str) -> (Authority, Upstream, Builder) {
    let ca = Authority::new();
    let service = service(&ca, Offers::Http1).await;
    let builder = home(&ca, &service);
    std::fs::write(builder.home().path().join("clients.pem"), &clients.pem).expect("a file");
    std::fs::write(builder.home().path().join("clients.crl"), clients.revoked(13)).expect("a file");
    let config = format!(
        "[proxy]\nclient_ca = \"clients.pem\"\nclient_crl = \"clients.crl\"\n{more}\n\
         [[proxy.client_certificate]]\nsan = \"spiffe://prod/a\"\nagent = \"a\"\n\
         [[proxy.client_certificate]]\nsan = \"b.clients.test\"\nagent = \"b\"\n\
         [[proxy.client_certificate]]\ncn = \"by-name\"\nagent = \"b\"\n\
         [[proxy.client_certificate]]\ncn = \"nobody\"\nagent = \"ghost\"\n"
    );
    (ca, service, builder.config(&config))
}

/// The status of a request by curl that shows `certificate` (and a name and token): 0 where there was no answer.
async fn curl(nexus: &Nexus, certificate: Option<&str>, user: Option<&str>) -> String {
    let home = nexus.home().path();
    let mut command = tokio::process::Command::new("curl");
    command.args(["-q", "-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_connect} %{http_code}"]);
    command.arg("--proxy").arg(format!("https://127.0.0.1:{}", nexus.address.port()));
    command.arg("--proxy-cacert").arg(nexus.ca_file()).arg("--cacert").arg(nexus.ca_file());
    if let Some(name) = certificate {
        command.arg("--proxy-cert").arg(home.join(format!("{name}.pem")));
        command.arg("--proxy-key").arg(home.join(format!("{name}.key")));
    }
    if let Some(user) = user {
        command.args(["--proxy-user", user]);
    }
    let done = command.arg(format!("https://{HOST}/x")).env_clear().env("PATH", "/usr/bin:/bin").output().await.expect("curl");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn i6_a_certificate_is_the_agent_that_its_name_is_mapped_to() {
    run(async {
        let (clients, others) = (Clients::new(), Clients::new());
        let (_ca, service, builder) = begin(&clients, "").await;
        let (builder, a) = builder.agent("a", |_agent| {});
        let (builder, b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        clients.sign(&nexus, "spiffe", |params| params.subject_alt_names.push(uri("spiffe://prod/a")));
        clients.sign(&nexus, "host", |params| {
            params.subject_alt_names.push(SanType::DnsName("B.clients.test".try_into().expect("a name")));
        });
        clients.sign(&nexus, "by-name", |_params| ());
        for (certificate, agent) in [("spiffe", "a"), ("host", "b"), ("by-name", "b")] {
            assert_eq!(curl(&nexus, Some(certificate), None).await, "200 200", "{certificate}");
            let line = nexus.audit_line(|line| line["event"] == "open" && line["agent"] == agent).await;
            assert_eq!(line["path"], "/x");
        }
        // Whoever is known in two ways is the same in both.
        let (a, b) = (format!("a:{a}"), format!("b:{b}"));
        assert_eq!(curl(&nexus, Some("spiffe"), Some(&a)).await, "200 200");
        assert_eq!(curl(&nexus, Some("spiffe"), Some(&b)).await, "407 000");
        // A name in a place where another kind of name belongs is not that name, nor is one that only begins so.
        clients.sign(&nexus, "odd", |params| {
            params.subject_alt_names.push(SanType::Rfc822Name("spiffe://prod/a".try_into().expect("a name")));
            params.subject_alt_names.push(SanType::DnsName("b.clients.test.evil.test".try_into().expect("a name")));
            params.subject_alt_names.push(uri("spiffe://prod/a/b"));
        });
        clients.sign(&nexus, "old", |params| {
            params.subject_alt_names.push(uri("spiffe://prod/a"));
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        });
        clients.sign(&nexus, "revoked", |params| {
            params.subject_alt_names.push(uri("spiffe://prod/a"));
            params.serial_number = Some(SerialNumber::from(13));
        });
        others.sign(&nexus, "foreign", |params| params.subject_alt_names.push(uri("spiffe://prod/a")));
        let before = service.count();
        assert_eq!(curl(&nexus, Some("odd"), None).await, "407 000");
        assert_eq!(curl(&nexus, None, None).await, "407 000");
        for certificate in ["old", "revoked", "foreign"] {
            assert_eq!(curl(&nexus, Some(certificate), Some(&a)).await, "000 000", "{certificate}");
        }
        assert_eq!(service.count(), before);
        // It is optional: a token alone is enough.
        assert_eq!(curl(&nexus, None, Some(&a)).await, "200 200");
    });
}

#[test]
fn i6_where_a_certificate_is_required_a_token_alone_is_not_enough() {
    run(async {
        let clients = Clients::new();
        let (_ca, service, builder) = begin(&clients, "client_auth = \"required\"").await;
        let (builder, a) = builder.agent("a", |_agent| {});
        let (builder, _b) = builder.agent("b", |_agent| {});
        let nexus = builder.start();
        let user = format!("a:{a}");
        assert_eq!(curl(&nexus, None, Some(&user)).await, "000 000");
        let plain = crate::harness::Caller::new(&nexus).agent("a", &a);
        assert_eq!(plain.tunnel("api.acme.test:443").await.expect_err("no TLS, no certificate").status, 407);
        assert_eq!(service.count(), 0);
        clients.sign(&nexus, "spiffe", |params| params.subject_alt_names.push(uri("spiffe://prod/a")));
        assert_eq!(curl(&nexus, Some("spiffe"), Some(&user)).await, "200 200");
    });
}

/// An open tunnel to a service, by TLS to the proxy with `certificate`.
async fn tunnel(nexus: &Nexus, certificate: &str) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let file = |ending: &str| std::fs::read(nexus.home().path().join(format!("{certificate}.{ending}"))).expect("a file");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&std::fs::read(nexus.ca_file()).expect("a root")).expect("PEM")).expect("a root");
    let own = vec![CertificateDer::from_pem_slice(&file("pem")).expect("PEM")];
    let builder =
        rustls::ClientConfig::builder_with_provider(crypto()).with_safe_default_protocol_versions().expect("versions");
    let key = PrivateKeyDer::from_pem_slice(&file("key")).expect("a key");
    let config = builder.with_root_certificates(roots).with_client_auth_cert(own, key).expect("a certificate");
    let stream = tokio::net::TcpStream::connect(nexus.address).await.expect("a stream");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let mut stream = connector.connect(name, stream).await.expect("a handshake");
    let head = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("a write");
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    stream
}

/// Asks until the answer is `wanted`.
async fn until(nexus: &Nexus, certificate: &str, wanted: &str) {
    let begun = std::time::Instant::now();
    while curl(nexus, Some(certificate), None).await != wanted {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{certificate}: {wanted} in time");
    }
}

#[test]
fn i6_a_list_or_a_rule_that_changes_holds_at_once_and_ends_what_is_open() {
    run(async {
        let clients = Clients::new();
        let (_ca, _service, builder) = begin(&clients, "").await;
        let (builder, _a) = builder.agent("a", |_agent| {});
        let (builder, _b) = builder.agent("b", |_agent| {});
        let log = tempfile::NamedTempFile::new().expect("a file");
        let nexus = builder.spawn_logged(&[], log.path()).await;
        for (name, serial) in [("one", 21), ("two", 22)] {
            clients.sign(&nexus, name, |params| {
                params.subject_alt_names.push(uri("spiffe://prod/a"));
                params.serial_number = Some(SerialNumber::from(serial));
            });
        }
        let said = || std::fs::read_to_string(log.path()).expect("the log");
        assert!(said().contains("names ghost, which is no agent"), "{}", said());
        let (mut one, mut two) = (tunnel(&nexus, "one").await, tunnel(&nexus, "two").await);
        let list = nexus.home().path().join("clients.crl");
        std::fs::write(&list, clients.revoked(21)).expect("a file");
        assert!(!matches!(one.read(&mut [0; 1]).await, Ok(1..)), "what is open ends");
        until(&nexus, "one", "000 000").await;
        // A list that can't be used leaves the one before.
        std::fs::write(&list, "-----BEGIN X509 CRL-----\nnot one").expect("a file");
        crate::harness::eventually("a word", || said().contains("who callers are was not taken").then_some(())).await;
        assert_eq!(curl(&nexus, Some("one"), None).await, "000 000");
        assert_eq!(curl(&nexus, Some("two"), None).await, "200 200");
        // Rules of `nexus.toml` are taken beside it, once it can be used.
        std::fs::write(&list, clients.revoked(22)).expect("a file");
        until(&nexus, "one", "200 200").await;
        assert!(!matches!(two.read(&mut [0; 1]).await, Ok(1..)));
        let mut one = tunnel(&nexus, "one").await;
        let file = nexus.home().config_file();
        let text = std::fs::read_to_string(&file).expect("the file").replace("spiffe://prod/a", "spiffe://prod/another");
        nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        assert!(!matches!(one.read(&mut [0; 1]).await, Ok(1..)), "no rule names it any more");
        until(&nexus, "one", "407 000").await;
    });
}
