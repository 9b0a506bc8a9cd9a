//! `Nexus`: the real thing in a temporary home. [`Builder`] writes configuration, provider files, connections and agents;
//! [`Builder::start`] runs `nexus::App` on port 0 inside the test, [`Builder::spawn`] the built binary as a child process that can be
//! killed. Both answer what the audit log and the vault hold.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use nexus::app::{App, GatewayKey, GatewayKeyKind, Home, LocalGateway, Planes, Running, Setup};
use nexus::model::{ConnectionId, Credential, Secret};
use nexus::provider::Catalogue;
use nexus::seal::{DataKey, Passphrase};
use nexus::vault::{AuthType, Entry, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::authority::Authority;
use super::eventually;
use super::gateway::Gateway;
use super::kept::kept;

/// The `NEXUS_SECRET` of every home.
pub(crate) const SECRET: &str = "a secret for one test";

/// The bytes 0 to 31, as a salt file has them.
const SALT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What the two make, by Python: `hashlib.pbkdf2_hmac("sha256", SECRET, bytes(range(32)), 260_000)`. A wrong one opens no home.
const KEY: [u8; 32] = [
    0xf1, 0x7f, 0xd8, 0xf4, 0xad, 0x89, 0xd3, 0x16, 0xf2, 0xac, 0xb5, 0xa8, 0x3d, 0xbe, 0x0c, 0xcf, 0xda, 0xf6, 0x73, 0xc8,
    0xfb, 0x26, 0x06, 0x6a, 0xdc, 0x54, 0x75, 0x8d, 0x49, 0x51, 0xe1, 0x3d,
];

/// What a home is made of before Nexus starts.
pub(crate) struct Builder {
    folder: TempDir,
    home: Home,
    config: toml::Table,
    agents: Vec<nexus::agent::Registered>,
}

/// A running Nexus.
pub(crate) struct Nexus {
    pub(crate) address: SocketAddr,
    /// All listening addresses, in the order of the configuration.
    pub(crate) addresses: Vec<SocketAddr>,
    home: Home,
    store: Arc<Store>,
    life: Life,
    folder: Option<TempDir>,
}

enum Life {
    Library(Option<Running>),
    Process(Child),
    Ended,
}

impl Builder {
    /// An initialised home that trusts `ca` and listens on port 0.
    pub(crate) fn new(ca: &Authority) -> Self {
        let folder = TempDir::new().expect("a folder");
        let home = Home::new(folder.path().join("home"));
        Template::get().copy_to(&home);
        std::fs::write(home.path().join("services-ca.pem"), ca.pem()).expect("a file");
        let builder = Self { folder, home, config: toml::Table::new(), agents: Vec::new() };
        builder.config(
            "[proxy]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[limits]\ndrain_secs = 1\n[gateway]\nenabled = false\nlisten = \"127.0.0.1:0\"\n\
             [upstream]\nextra_roots = [\"services-ca.pem\"]\n[upstream.resolve]\n",
        )
    }

    /// Lays `text` over `nexus.toml`, key by key.
    pub(crate) fn config(mut self, text: &str) -> Self {
        merge(&mut self.config, toml::from_str(text).expect("TOML"));
        self
    }

    /// `upstream.resolve`.
    pub(crate) fn resolve(self, name: &str, address: SocketAddr) -> Self {
        self.config(&format!("[upstream.resolve]\n\"{name}\" = \"{address}\""))
    }

    /// `providers/NAME.toml`.
    pub(crate) fn provider(self, name: &str, text: &str) -> Self {
        nexus::disk::write_atomic(&self.home.providers().join(format!("{name}.toml")), text.as_bytes(), nexus::disk::PRIVATE)
            .expect("a file");
        self
    }

    /// Registers `connection` with `fields`, its hosts sealed.
    pub(crate) fn register(self, connection: &str, fields: &[(&str, &str)]) -> Self {
        self.register_until(connection, fields, None)
    }

    /// As [`Builder::register`], with the end of the access token.
    pub(crate) fn register_until(self, connection: &str, fields: &[(&str, &str)], expires_at: Option<SystemTime>) -> Self {
        register(&self.home, &self.store(), connection, fields, expires_at);
        self
    }

    /// Adds an agent to `agents.toml` and returns its token.
    pub(crate) fn agent(mut self, name: &str, change: impl FnOnce(&mut nexus::agent::Registered)) -> (Self, String) {
        let token = nexus::agent::Token::random().expect("random numbers");
        let mut agent = nexus::agent::Registered::unlimited(name.parse().expect("a name"), &token);
        change(&mut agent);
        if agent.ephemeral {
            // Of a command that lives as long as the test's process.
            std::mem::forget(nexus::app::Passing::add(&self.home, &agent).expect("an agent"));
            return (self, token.text().expose().clone());
        }
        self.agents.push(agent);
        let text = nexus::agent::write(&self.agents).expect("text");
        nexus::disk::write_atomic(&self.home.agents_file(), text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        (self, token.text().expose().clone())
    }

    /// Has a gateway, on a port of its own.
    pub(crate) fn gateway(self) -> Self {
        self.config("[gateway]\nenabled = true")
    }

    /// Adds a key to `gateway-keys.toml` and returns it.
    pub(crate) fn key(self, name: &str, kind: GatewayKeyKind, change: impl FnOnce(&mut GatewayKey)) -> (Self, String) {
        let text = add_key(&self.home, name, kind, change);
        (self, text)
    }

    /// The home folder.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// The vault, as another process would open it.
    pub(crate) fn store(&self) -> Store {
        Store::with_key(self.home.vault(), key())
    }

    /// Runs the built binary with more variables, its log in `log`.
    pub(crate) async fn spawn_logged(self, variables: &[(&str, &str)], log: &Path) -> Nexus {
        self.write_config();
        let store = Arc::new(self.store());
        let mut command = command(&self.home);
        command.envs(variables.iter().copied()).stderr(std::fs::File::create(log).expect("a file"));
        let (child, addresses) = announced(command).await;
        let life = Life::Process(child);
        Nexus { address: addresses[0], addresses, home: self.home, store, life, folder: Some(self.folder) }
    }

    /// Writes `nexus.toml`, for whoever starts the binary in this home.
    pub(crate) fn write_config(&self) {
        let text = toml::to_string(&self.config).expect("TOML");
        nexus::disk::write_atomic(&self.home.config_file(), text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
    }

    /// Runs it inside the test's process.
    pub(crate) fn start(self) -> Nexus {
        self.write_config();
        let config = self.home.config(&[]).expect("a configuration");
        let passphrase = Passphrase::new(SECRET).expect("a passphrase");
        let setup =
            Setup { home: self.home.clone(), config, passphrase, weak_secret: false, agents: Vec::new(), planes: Planes::Both };
        nexus::app::warm_up();
        let running = App::with_key(setup, Vec::new(), &key()).expect("an application").start().expect("a start");
        let store = Arc::new(self.store());
        let addresses = running.addresses().to_vec();
        let life = Life::Library(Some(running));
        Nexus { address: addresses[0], addresses, home: self.home, store, life, folder: Some(self.folder) }
    }

    /// Runs it inside the test's process, as a node of the gateway that `variables` name.
    pub(crate) fn start_as_node(self, variables: &[(&str, &str)]) -> Nexus {
        self.write_config();
        let config = self.home.config(&[]).expect("a configuration");
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let node = nexus::app::Node::find(&self.home, &variable).expect("a gateway").expect("one that is named");
        assert!(node.lends(&self.home, &config).expect("keys"), "no node");
        let passphrase = Passphrase::new(SECRET).expect("a passphrase");
        let planes = Planes::Both;
        let setup = Setup { home: self.home.clone(), config, passphrase, weak_secret: false, agents: Vec::new(), planes };
        nexus::app::warm_up();
        let app = App::with_key(setup, Vec::new(), &key()).expect("an application").lent_by(&node).expect("a node");
        let running = app.start().expect("a start");
        let store = Arc::new(self.store());
        let addresses = running.addresses().to_vec();
        let life = Life::Library(Some(running));
        Nexus { address: addresses[0], addresses, home: self.home, store, life, folder: Some(self.folder) }
    }

    /// Runs the built binary, and waits until it listens.
    pub(crate) async fn spawn(self) -> Nexus {
        self.write_config();
        let store = Arc::new(self.store());
        let (child, addresses) = spawn(&self.home).await;
        let life = Life::Process(child);
        Nexus { address: addresses[0], addresses, home: self.home, store, life, folder: Some(self.folder) }
    }
}

impl Nexus {
    /// Somebody at its gateway.
    pub(crate) fn gateway(&self) -> Gateway {
        Gateway::at(self.local_gateway().address)
    }

    /// What this machine's command line knows of its gateway.
    pub(crate) fn local_gateway(&self) -> LocalGateway {
        match &self.life {
            Life::Library(Some(running)) => running.gateway().expect("a gateway"),
            _ => self.home.local_gateway().expect("a file").expect("a gateway"),
        }
    }

    /// Whether it has a gateway, which runs in the test's process.
    pub(crate) fn has_gateway(&self) -> bool {
        matches!(&self.life, Life::Library(Some(running)) if running.gateway().is_some())
    }

    /// Makes a key while it runs, as another process would.
    pub(crate) fn add_key(&self, name: &str, kind: GatewayKeyKind) -> String {
        add_key(&self.home, name, kind, |_key| ())
    }

    /// The root that callers trust.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.home.ca()
    }

    /// System roots and ours.
    pub(crate) fn bundle_file(&self) -> PathBuf {
        self.home.bundle()
    }

    /// Its home.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Streams that are being served (library only).
    pub(crate) fn connections(&self) -> usize {
        match &self.life {
            Life::Library(Some(running)) => running.connections(),
            _ => panic!("only the library counts"),
        }
    }

    /// What placeholders are made with.
    pub(crate) fn placeholder_key(&self) -> nexus::agent::PlaceholderKey {
        nexus::agent::PlaceholderKey::new(key().subkey("placeholders"))
    }

    /// The part behind the prefix of `agent`'s placeholders for a connection that it obtained itself, or that a person registered.
    pub(crate) fn placeholder(&self, agent: &str, connection: &str) -> String {
        let (agent, connection) = (agent.parse().expect("a name"), connection.parse().expect("a handle"));
        let entry = self.store.get(&connection).expect("a vault");
        let since = entry.and_then(|entry| entry.captured.as_ref()?.since);
        self.placeholder_key().tail_since(&agent, &connection, since)
    }

    /// The vault, as another process would open it.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// What the vault holds of `connection`.
    pub(crate) fn entry(&self, connection: &str) -> Arc<Entry> {
        self.store.get(&connection.parse().expect("a name")).expect("a vault").expect("an entry")
    }

    /// Whether `field` of `connection` has this value on disk.
    pub(crate) fn holds(&self, connection: &str, field: &str, value: &str) -> bool {
        self.entry(connection).fields.field(field).is_some_and(|found| found.matches(value))
    }

    /// Registers as another process would.
    pub(crate) fn register(&self, connection: &str, fields: &[(&str, &str)], expires_at: Option<SystemTime>) {
        register(&self.home, &self.store, connection, fields, expires_at);
    }

    /// Changes `providers/NAME.toml`, as a person would, and returns what it said before.
    pub(crate) fn write_provider(&self, name: &str, text: &str) -> String {
        let file = self.home.providers().join(format!("{name}.toml"));
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        nexus::disk::write_atomic(&file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
        before
    }

    /// Reads configuration, providers and agents again (library only).
    pub(crate) fn reload(&self) {
        match &self.life {
            Life::Library(Some(running)) => running.reload(),
            _ => panic!("only the library reloads at once"),
        }
    }

    /// Kills the child as `kill -9` does, and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        let Life::Process(child) = &mut self.life else { panic!("only a process can be killed") };
        child.kill().await.expect("a kill");
        self.life = Life::Ended;
    }

    /// Waits until the child has ended by itself.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let Life::Process(child) = &mut self.life else { panic!("only a process ends") };
        child.wait().await.expect("a status")
    }

    /// Starts the binary again after [`Nexus::kill`], in the same home.
    pub(crate) async fn respawn(&mut self) {
        assert!(matches!(self.life, Life::Ended), "still running");
        let (child, addresses) = spawn(&self.home).await;
        (self.life, self.address, self.addresses) = (Life::Process(child), addresses[0], addresses);
    }

    /// A second process in the same home, on a port of its own.
    pub(crate) async fn join(&self) -> Self {
        let (child, addresses) = spawn(&self.home).await;
        let (home, store) = (self.home.clone(), Arc::clone(&self.store));
        Self { address: addresses[0], addresses, home, store, life: Life::Process(child), folder: None }
    }

    /// The child's process number.
    pub(crate) fn pid(&self) -> u32 {
        let Life::Process(child) = &self.life else { panic!("not a process") };
        child.id().expect("alive")
    }

    /// Stops as SIGTERM does (library only).
    pub(crate) fn stop(&mut self) {
        if let Life::Library(running) = &mut self.life
            && let Some(running) = running.take()
        {
            running.stop();
        }
    }

    /// All lines that the log has chained so far.
    pub(crate) fn audit(&self) -> Vec<Value> {
        read_audit(&self.home.audit())
    }

    /// Waits for a line that satisfies `wanted`.
    pub(crate) async fn audit_line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let folder = self.home.audit();
        eventually("an audit line", || read_audit(&folder).into_iter().find(|line| wanted(line))).await
    }

    /// Waits for the closing (or refusing) line of the request whose path is `path`.
    pub(crate) async fn closed(&self, path: &str) -> Value {
        self.audit_line(|line| line["path"] == path && (line["event"] == "close" || line["event"] == "refuse")).await
    }

    /// The notes of that line.
    pub(crate) async fn notes(&self, path: &str) -> Vec<String> {
        let line = self.closed(path).await;
        let notes = line["notes"].as_array().cloned().unwrap_or_default();
        notes.iter().filter_map(|note| note.as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Nexus {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            let kept = folder.keep();
            drop(std::fs::remove_dir_all(kept));
        }
    }
}

/// An initialised home, made once for all tests, since deriving its key takes a while.
struct Template {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Template {
    fn get() -> &'static Self {
        static TEMPLATE: OnceLock<Template> = OnceLock::new();
        TEMPLATE.get_or_init(|| {
            let folder = kept("home", |folder| {
                let home = Home::new(folder);
                nexus::disk::write_atomic(&home.vault().salt, SALT.as_bytes(), nexus::disk::PRIVATE).expect("a file");
                let variable = |name: &str| (name == "NEXUS_SECRET").then(|| SECRET.to_owned());
                nexus::app::init(&home, &variable, "", "test").expect("a home");
            });
            let entries = std::fs::read_dir(folder).expect("the home").map(|entry| entry.expect("an entry").path());
            let files = entries.filter(|path| path.is_file());
            let read = |path: PathBuf| (path.file_name().expect("a name").into(), std::fs::read(&path).expect("a file"));
            Self { files: files.map(read).collect() }
        })
    }

    fn copy_to(&self, home: &Home) {
        for folder in [home.path().to_owned(), home.helpers(), home.providers(), home.policies(), home.audit()] {
            nexus::disk::create_private_dir(&folder).expect("a folder");
        }
        for (name, bytes) in &self.files {
            nexus::disk::write_atomic(&home.path().join(name), bytes, nexus::disk::PRIVATE).expect("a file");
        }
    }
}

fn key() -> DataKey {
    DataKey::from_bytes(KEY)
}

async fn spawn(home: &Home) -> (Child, Vec<SocketAddr>) {
    announced(command(home)).await
}

fn command(home: &Home) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.args(["up", "--announce"]).env("NEXUS_HOME", home.path()).env("NEXUS_SECRET", SECRET);
    let quiet = std::env::var_os("NEXUS_TEST_LOG").is_none();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(if quiet { Stdio::null() } else { Stdio::inherit() });
    command
}

async fn announced(mut command: Command) -> (Child, Vec<SocketAddr>) {
    let mut child = command.kill_on_drop(true).spawn().expect("the binary");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let line = lines.next_line().await.expect("a line").expect("it listens");
    let addresses = line.strip_prefix("listening ").expect("an announcement").split(' ');
    let addresses = addresses.map(|address| address.parse().expect("an address")).collect();
    (child, addresses)
}

fn add_key(home: &Home, name: &str, kind: GatewayKeyKind, change: impl FnOnce(&mut GatewayKey)) -> String {
    let token = nexus::agent::Token::key().expect("random numbers");
    let name = name.parse().expect("a name");
    let key_sha256 = token.hash();
    let mut key = GatewayKey { name, kind, key_sha256, user: None, providers: None, expires: None, created: None };
    change(&mut key);
    home.change_gateway_keys(|keys| keys.push(key)).expect("a file");
    token.text().expose().clone()
}

fn register(home: &Home, store: &Store, connection: &str, fields: &[(&str, &str)], expires_at: Option<SystemTime>) {
    let id: ConnectionId = connection.parse().expect("a name");
    let mut credential = Credential::default();
    for (name, value) in fields {
        credential.set(name, Secret::new((*value).to_owned()));
    }
    let has = |name: &str| fields.iter().any(|(field, _)| *field == name);
    let auth_type = match () {
        () if has("access_token") || has("refresh_token") || has("client_id") => AuthType::OAuth2,
        () if has("username") => AuthType::BasicAuth,
        () => AuthType::ApiKey,
    };
    let (catalogue, mistakes) = Catalogue::with_user_folder(&home.providers());
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let provider = catalogue.get(id.provider()).expect("a provider");
    let mut entry = Entry::new(id.provider().clone(), auth_type, credential);
    nexus::app::registration::Reach::named(provider, &entry).expect("hosts").seal(&mut entry);
    entry.expires_at = expires_at;
    store.register(&id, entry).expect("a registration");
}

fn read_audit(folder: &Path) -> Vec<Value> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap_or_default());
    texts.flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>()).collect()
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}
