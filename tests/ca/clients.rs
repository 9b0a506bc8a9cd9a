//! The clients: each connects to loopback but asks for, and checks, the host under test.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nexus::model::Host;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{DEADLINE, host, provider};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    OpenSsl,
    Python,
    Node,
    GnuTls,
    Webpki,
}

/// Why a certificate must be refused.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flaw {
    OtherHost,
    Expired,
    UnknownRoot,
}

pub(crate) const ALL: [Client; 5] = [Client::OpenSsl, Client::Python, Client::Node, Client::GnuTls, Client::Webpki];

/// `argv`: file, port, host, `name` or `address`. Prints what the server says.
const PYTHON: &str = r#"
import socket, ssl, sys
file, port, host = sys.argv[1:4]
context = ssl.create_default_context(cafile=file)
context.verify_flags |= ssl.VERIFY_X509_STRICT
context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as plain:
    with context.wrap_socket(plain, server_hostname=host) as stream:
        print(stream.recv(100).decode(), end="")
"#;

const NODE: &str = r#"
const fs = require('node:fs'), net = require('node:net'), tls = require('node:tls');
const [file, port, host, kind] = process.argv.slice(1);
const plain = net.connect(Number(port), '127.0.0.1', () => {
  const servername = kind === 'name' ? host : undefined;
  const stream = tls.connect({ socket: plain, host, servername, ca: fs.readFileSync(file), timeout: 20000 });
  stream.on('data', data => { process.stdout.write(data); stream.end(); });
  stream.on('timeout', () => stream.destroy(new Error('timed out')));
  stream.on('error', error => { console.error(error.code, error.message); process.exit(1); });
});
"#;

impl Client {
    /// Does a verified handshake for `text`, trusting the roots in `file`; the error is what the client says of it.
    pub(crate) fn connect(self, server: SocketAddr, file: &Path, text: &str) -> Result<(), String> {
        let host = host(text);
        let (bare, kind) = match &host {
            Host::Name(name) => (name.to_string(), "name"),
            Host::Ip(address) => (address.to_string(), "address"),
        };
        let port = server.port().to_string();
        let file_text = file.to_str().expect("a path in UTF-8");
        match self {
            Self::OpenSsl => run("openssl", &openssl(&host, &bare, server, file_text), "nexus\n"),
            Self::Python => run("python3", &strings(&["-c", PYTHON, file_text, &port, &bare]), "nexus\n"),
            Self::Node => run("node", &strings(&["-e", NODE, file_text, &port, &bare, kind]), "nexus\n"),
            Self::GnuTls => run("gnutls-cli", &gnutls(&host, &bare, &port, file_text), "Handshake was completed"),
            Self::Webpki => webpki(server, file, &bare),
        }
    }

    /// What the client says when it refuses for this reason.
    pub(crate) fn words(self, flaw: Flaw) -> &'static [&'static str] {
        match (self, flaw) {
            (Self::OpenSsl | Self::Python, Flaw::OtherHost) => {
                &["hostname mismatch", "Hostname mismatch", "IP address mismatch"]
            }
            (Self::OpenSsl | Self::Python, Flaw::Expired) => &["certificate has expired"],
            (Self::OpenSsl | Self::Python, Flaw::UnknownRoot) => &["unable to get local issuer certificate"],
            (Self::Node, Flaw::OtherHost) => &["ERR_TLS_CERT_ALTNAME_INVALID"],
            (Self::Node, Flaw::Expired) => &["CERT_HAS_EXPIRED"],
            (Self::Node, Flaw::UnknownRoot) => &["UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
            (Self::GnuTls, Flaw::OtherHost) => &["The name in the certificate does not match the expected"],
            (Self::GnuTls, Flaw::Expired) => &["The certificate chain uses expired certificate"],
            (Self::GnuTls, Flaw::UnknownRoot) => &["The certificate issuer is unknown"],
            (Self::Webpki, Flaw::OtherHost) => &["NotValidForName"],
            (Self::Webpki, Flaw::Expired) => &["Expired"],
            (Self::Webpki, Flaw::UnknownRoot) => &["UnknownIssuer"],
        }
    }
}

fn strings(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|argument| (*argument).to_owned()).collect()
}

/// `s_client` in its strictest form, with nothing trusted but `file`.
fn openssl(host: &Host, bare: &str, server: SocketAddr, file: &str) -> Vec<String> {
    let server = server.to_string();
    let mut arguments = strings(&["s_client", "-connect", &server, "-CAfile", file, "-no-CApath", "-no-CAstore"]);
    arguments.extend(strings(&["-x509_strict", "-verify_return_error", "-purpose", "sslserver", "-quiet"]));
    arguments.extend(match host {
        Host::Name(_) => strings(&["-servername", bare, "-verify_hostname", bare]),
        Host::Ip(_) => strings(&["-noservername", "-verify_ip", bare]),
    });
    arguments
}

fn gnutls(host: &Host, bare: &str, port: &str, file: &str) -> Vec<String> {
    let mut arguments = strings(&["--x509cafile", file, "--verify-hostname", bare, "--port", port]);
    match host {
        Host::Name(_) => arguments.extend(strings(&["--sni-hostname", bare])),
        Host::Ip(_) => arguments.push(String::from("--disable-sni")),
    }
    arguments.push(String::from("127.0.0.1"));
    arguments
}

/// Runs a program to its end; success is exit code 0 and `expected` in its output.
pub(crate) fn run(program: &str, arguments: &[String], expected: &str) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} must be installed for this test: {error}"));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.success() && said.contains(expected) { Ok(()) } else { Err(format!("{}: {said}", output.status)) }
}

/// A rustls client that trusts the roots in `file`.
pub(crate) fn trusting(file: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).expect("a file") {
        roots.add(certificate.expect("a certificate")).expect("a root");
    }
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Handshakes and reads the greeting; hands back the connection to be looked at.
pub(crate) fn handshake(config: ClientConfig, server: SocketAddr, name: &str) -> Result<ClientConnection, String> {
    shared_handshake(&Arc::new(config), server, name)
}

/// The same with a configuration that keeps its sessions.
pub(crate) fn shared_handshake(config: &Arc<ClientConfig>, server: SocketAddr, name: &str) -> Result<ClientConnection, String> {
    let name = match name.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        Err(_name) => ServerName::try_from(name.to_owned()).expect("a name"),
    };
    let stream = TcpStream::connect(server).expect("a stream");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("a connection"), stream);
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(|error| format!("{error:?}"))?;
    if said == "nexus\n" { Ok(stream.conn) } else { Err(format!("the server said {said:?}")) }
}

fn webpki(server: SocketAddr, file: &Path, bare: &str) -> Result<(), String> {
    handshake(trusting(file), server, bare).map(|_connection| ())
}
