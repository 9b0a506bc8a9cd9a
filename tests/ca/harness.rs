//! An authority with its root in a file, and a TLS server on loopback that shows one configuration.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use nexus::ca::{Issuer, Root, Settings};
use nexus::model::Host;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// No handshake on loopback takes this long; past it, a test fails instead of hanging.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// A host as users write it.
pub(crate) fn host(text: &str) -> Host {
    text.parse().expect("a host")
}

/// A root, its issuer, and a folder with `ca.pem`.
pub(crate) struct Authority {
    pub(crate) root: Root,
    pub(crate) issuer: Issuer,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::made_at(SystemTime::now())
    }

    /// As if everything had happened at `moment`.
    pub(crate) fn made_at(moment: SystemTime) -> Self {
        let root = Root::create("test", moment).expect("a root");
        let issuer = Issuer::new(&root, provider(), Settings { cache_hosts: 100 }, moment).expect("an issuer");
        let authority = Self { root, issuer, folder: TempDir::new().expect("a folder") };
        authority.write("ca.pem", &authority.root.certificate_pem());
        authority
    }

    /// The file with the root.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Writes a file beside it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Serves the leaf for `host` as an intercepted tunnel would, to callers that send its name if it has one.
    pub(crate) fn serve(&self, text: &str) -> Server {
        let host = host(text);
        Server::start(self.issuer.server_config(&host, host.name().is_some()).expect("a configuration"))
    }
}

/// Accepts on loopback until dropped; says `nexus` to everyone whose handshake succeeds.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let config = Arc::clone(&config);
                let stream = stream.expect("a stream");
                thread::spawn(move || greet(stream, config));
            }
        });
        Self { address, stopped, acceptor: Some(acceptor) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let woken = TcpStream::connect(self.address).is_ok();
        if let (true, Some(acceptor)) = (woken, self.acceptor.take()) {
            acceptor.join().expect("the acceptor ends");
        }
    }
}

/// One handshake, one greeting, an orderly end. A caller that refuses us is not our error.
fn greet(stream: TcpStream, config: Arc<ServerConfig>) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a connection"), stream);
    if stream.write_all(b"nexus\n").is_err() {
        return;
    }
    stream.conn.send_close_notify();
    if stream.flush().is_ok() {
        // What the caller says until it leaves is of no interest, nor is how it leaves.
        let _left = stream.read_to_end(&mut Vec::new());
    }
}
