//! Behind a company's proxy: squid and tinyproxy as Debian ships them, each the only one that knows where the services are.
//! `tests/install.sh all` installs them; without them the quick form says so and ends.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::doors::clear_service;
use crate::harness::{Authority, Builder, Nexus, Offers, Program, Upstream, answer, eventually, run};

const HOST: &str = "api.parent.test";
const KEY: &str = "parent-key-0123456789abcdef";
const PASSWORD: &str = "corp:pass-word1";

/// A parent proxy with a port of its own. It finds the names below `parent.test` on loopback, and refuses `refused.parent.test` and
/// `localhost`.
struct Parent {
    port: u16,
    _process: Child,
    _folder: TempDir,
}

/// `None` where the program is not installed and need not be.
fn installed(name: &str) -> Option<PathBuf> {
    let places = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let found = places.iter().chain([&PathBuf::from("/usr/sbin")]).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("NEXUS_TEST_ALL").is_none(), "{name} is not installed: tests/install.sh all");
        writeln!(std::io::stderr(), "skipped: {name} is not installed").expect("a terminal or a pipe");
    }
    found
}

impl Parent {
    /// Starts `command` once `write` has written its configuration for a port, and waits until it listens.
    async fn start(write: impl Fn(u16, &Path), command: impl Fn(&Path) -> Command) -> Self {
        let folder = TempDir::new().expect("a folder");
        // squid gives up root before it reads all of it.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
        let names = ["api.parent.test", "plain.parent.test", "refused.parent.test", "localhost"];
        let hosts: String = names.iter().map(|name| format!("127.0.0.1 {name}\n")).collect();
        std::fs::write(folder.path().join("hosts"), hosts).expect("a file");
        // Neither program can be told to take any free port.
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        write(port, folder.path());
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let mut command = command(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log).kill_on_drop(true);
        let mut process = command.spawn().expect("the program");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        eventually("the parent proxy", || {
            let ended = process.try_wait().expect("a status");
            assert!(ended.is_none(), "{}", std::fs::read_to_string(folder.path().join("log")).unwrap_or_default());
            TcpStream::connect(address).ok()
        })
        .await;
        Self { port, _process: process, _folder: folder }
    }

    async fn squid(program: &Path) -> Self {
        let write = |port: u16, folder: &Path| {
            let text = format!(
                "http_port 127.0.0.1:{port}\nhosts_file {}/hosts\npid_filename none\naccess_log none\ncache_log stdio:/dev/null\n\
                 netdb_filename none\npinger_enable off\ncache deny all\ndns_timeout 2 seconds\nvisible_hostname corp\n\
                 acl refused dstdomain refused.parent.test localhost\nhttp_access deny refused\nhttp_access allow all\n",
                folder.display()
            );
            std::fs::write(folder.join("conf"), text).expect("a file");
        };
        Self::start(write, |folder| {
            let mut command = Command::new(program);
            command.arg("-N").arg("-f").arg(folder.join("conf"));
            command
        })
        .await
    }

    /// It wants [`PASSWORD`] and looks names up in /etc/hosts, of which it gets one of its own.
    async fn tinyproxy(program: &Path) -> Self {
        let write = |port: u16, folder: &Path| {
            let (name, password) = PASSWORD.split_once(':').expect("both");
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nBasicAuth {name} {password}\nFilter \"{}/filter\"\n",
                folder.display()
            );
            std::fs::write(folder.join("conf"), text).expect("a file");
            std::fs::write(folder.join("filter"), "^refused\\.parent\\.test$\n^localhost$\n").expect("a file");
        };
        Self::start(write, |folder| {
            let mut command = Command::new("unshare");
            let script = "mount --bind \"$1/hosts\" /etc/hosts && exec \"$2\" -d -c \"$1/conf\"";
            if !rustix::process::geteuid().is_root() {
                command.arg("--map-root-user");
            }
            command.args(["--mount", "sh", "-c", script, "sh"]).arg(folder).arg(program);
            command
        })
        .await
    }
}

/// The services, and a Nexus behind `parent` that shows it `password`.
struct Scene {
    service: Upstream,
    plain: SocketAddr,
    nexus: Nexus,
}

async fn scene(parent: &Parent, password: Option<&str>) -> Scene {
    scene_at(parent.port, password).await
}

async fn scene_at(parent: u16, password: Option<&str>) -> Scene {
    scene_with(parent, password, "").await
}

async fn scene_with(parent: u16, password: Option<&str>, more: &str) -> Scene {
    let ca = Authority::new();
    let service = Upstream::serve(&ca, &[HOST, "localhost"], Offers::Both, |call| async { answer(200, call.seen.path) }).await;
    let (plain, _heads) = clear_service().await;
    let port = service.address.port();
    let provider = format!(
        "name = \"parent\"\ntitle = \"Parent\"\nslots = [\"authorization\"]\n\
         [[inject]]\nhosts = [\"{HOST}\"]\nport = {port}\nstrategy = {{ bearer = \"{{api_key}}\" }}\n"
    );
    let builder = Builder::new(&ca).provider("parent", &provider).register("parent", &[("api_key", KEY)]);
    let mut config = format!(
        "[proxy]\nunmatched = \"intercept\"\nconnect_ports = [{port}]\n[upstream]\nproxy = \"http://127.0.0.1:{parent}\"\n\
         proxy_except = [\"localhost\"]\nallow_private = [\"127.0.0.0/8\", \"::1/128\"]\n"
    );
    if let Some(password) = password {
        let file = builder.home().path().join("corp.txt");
        nexus::disk::write_atomic(&file, password.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        config.push_str("proxy_auth_file = \"corp.txt\"\n");
    }
    Scene { service, plain, nexus: builder.config(&config).config(more).start() }
}

impl Scene {
    /// What curl shows of `host`, the status behind it.
    async fn ask(&self, host: &str, path: &str) -> String {
        let url = format!("https://{host}:{}{path}", self.service.address.port());
        self.curl(&url).await
    }

    async fn curl(&self, url: &str) -> String {
        let curl = Program::new(&self.nexus, "curl", None).args(&["-sS", "--max-time", "20", "-w", " %{http_code}"]);
        curl.args(&["-H", "Authorization: Bearer of-the-caller", url]).run().await.ok()
    }

    /// What works through every parent: injection, plain HTTP, exceptions; and what the parent says no to.
    async fn works_through_the_parent(&self) {
        assert_eq!(self.ask(HOST, "/far").await, "/far 200");
        assert_eq!(self.service.seen()[0].bearer(), Some(KEY));
        assert_eq!(self.nexus.closed("/far").await["verdict"], "inject");
        let plain = format!("http://plain.parent.test:{}/plain", self.plain.port());
        assert_eq!(self.curl(&plain).await, "clear 200");
        // The parent refuses this one: it was not asked.
        assert_eq!(self.ask("localhost", "/near").await, "/near 200");
        let refused = self.ask("refused.parent.test", "/").await;
        assert!(refused.ends_with(" 502") && refused.contains("urn:nexus:refusal:upstream"), "{refused}");
        assert!(refused.contains("it answered 403") && refused.contains("upstream.proxy_except"), "{refused}");
        assert_eq!(self.service.count(), 2);
    }

    /// Nothing gets past a parent that does not know us, and the problem document says whose matter that is.
    async fn is_told_about_the_password(&self) {
        let refused = self.ask(HOST, "/far").await;
        assert!(refused.ends_with(" 502") && refused.contains("urn:nexus:refusal:upstream"), "{refused}");
        assert!(refused.contains("did not accept the user and password"), "{refused}");
        assert!(refused.contains("upstream.proxy_auth_file") && !refused.contains("pass-word"), "{refused}");
        assert_eq!(self.ask("localhost", "/near").await, "/near 200");
        assert_eq!(self.service.count(), 1);
    }
}

#[test]
fn squid_is_asked_for_everything_but_the_exceptions() {
    run(async {
        let Some(program) = installed("squid") else { return };
        let parent = Parent::squid(&program).await;
        let scene = scene(&parent, None).await;
        scene.works_through_the_parent().await;
        let unknown = scene.ask("nowhere.parent.test", "/").await;
        assert!(unknown.ends_with(" 502") && unknown.contains("it answered 50"), "{unknown}");
    });
}

#[test]
fn a_parent_that_is_down_is_not_blamed_on_the_service() {
    run(async {
        // A port that nobody listens on: it was ours a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let scene = scene_at(port, None).await;
        let refused = scene.ask(HOST, "/far").await;
        let told =
            refused.contains(&format!("annot reach the parent proxy 127.0.0.1:{port}")) && refused.contains("upstream.proxy");
        assert!(refused.ends_with(" 502") && told, "{refused}");
        assert_eq!(scene.ask("localhost", "/near").await, "/near 200");
    });
}

/// What takes connections and says `words` to each, then nothing.
async fn no_proxy(words: &'static [u8]) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::io::AsyncWriteExt::write_all(&mut stream, words).await.expect("a write");
            kept.push(stream);
        }
    });
    port
}

#[test]
fn what_is_there_but_no_proxy_is_not_said_to_be_out_of_reach() {
    run(async {
        for (words, why) in [(&b"SSH-2.0-OpenSSH_9.9\r\n"[..], "does not speak HTTP/1"), (b"", "did not answer in time")] {
            let parent = no_proxy(words).await;
            let scene = scene_with(parent, None, "[upstream]\nconnect_timeout_secs = 1").await;
            let refused = scene.ask(HOST, "/far").await;
            let told =
                refused.contains(&format!("he parent proxy 127.0.0.1:{parent} gave no answer that can be used: it {why}"));
            assert!(refused.ends_with(" 502") && told && !refused.contains("cannot reach"), "{refused}");
            assert!(refused.contains("upstream.proxy"), "{refused}");
        }
    });
}

#[test]
fn tinyproxy_is_shown_the_password_of_the_file() {
    run(async {
        let Some(program) = installed("tinyproxy") else { return };
        let parent = Parent::tinyproxy(&program).await;
        scene(&parent, Some(PASSWORD)).await.works_through_the_parent().await;
    });
}

#[test]
fn a_password_that_tinyproxy_does_not_take_is_said_clearly() {
    run(async {
        let Some(program) = installed("tinyproxy") else { return };
        let parent = Parent::tinyproxy(&program).await;
        scene(&parent, Some("corp:wrong-pass-word")).await.is_told_about_the_password().await;
        scene(&parent, None).await.is_told_about_the_password().await;
    });
}
