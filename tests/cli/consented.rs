//! `nexus login` against a certified authorization server, curl being the browser.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Stdio};

use nexus::vault::Status;
use rustix::process::Signal;

use crate::oidc::{ACME, Browser, Oidc, SECRET, Shown};
use crate::world::{Done, World, eventually, signal};

/// A `nexus login` that waits for a person.
pub(crate) struct LoggingIn {
    pub(crate) child: Child,
    talk: BufReader<ChildStderr>,
    pub(crate) said: String,
}

impl LoggingIn {
    pub(crate) fn start(world: &World, arguments: &[&str]) -> Self {
        let whole = [&["login", "acme", "--no-browser", "--json"], arguments].concat();
        let mut command = world.command(&whole);
        Self::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// One that was started otherwise.
    pub(crate) fn of(mut child: Child) -> Self {
        let talk = BufReader::new(child.stderr.take().unwrap());
        Self { child, talk, said: String::new() }
    }

    /// The first line it says that `find` finds something in.
    pub(crate) fn says<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let mut line = String::new();
            let read = self.talk.read_line(&mut line).unwrap();
            self.said.push_str(&line);
            assert_ne!(read, 0, "it never said so: {}", self.said);
            if let Some(found) = find(line.trim()) {
                return found;
            }
        }
    }

    /// The page's address, once it waits for the answer.
    pub(crate) fn page(&mut self) -> String {
        let url = self.says(|line| line.starts_with("https://").then(|| line.to_owned()));
        self.says(|line| line.contains("Nexus waits ").then_some(()));
        url
    }

    pub(crate) fn end(mut self) -> Done {
        self.talk.read_to_string(&mut self.said).unwrap();
        let mut done: Done = self.child.wait_with_output().unwrap().into();
        done.err = self.said;
        // Neither what is secret nor what could be used.
        for word in [SECRET, "code="] {
            assert!(!done.err.replace("response_type=code", "").contains(word) && !done.out.contains(word), "{done:?}");
        }
        done
    }
}

/// A home with the app's client in it.
pub(crate) fn with_app() -> (World, Oidc) {
    let world = World::new();
    let oidc = Oidc::start(&world);
    world.register(&["acme"], &format!("client_id=app\nclient_secret={SECRET}\n"));
    (world, oidc)
}

pub(crate) fn log_in(world: &World, browser: &Browser<'_>, user: &str, more: &[&str]) -> (Shown, Done) {
    let mut session = LoggingIn::start(world, &[&["--user", user, "--port", "0"], more].concat());
    let url = session.page();
    let shown = browser.consent(&url, user);
    (shown, session.end())
}

/// What the vault of `world` holds, by what opens it.
fn field(world: &World, connection: &str, name: &str) -> Option<String> {
    let entry = entry(world, connection)?;
    entry.fields.field(name).map(|value| value.expose().clone())
}

pub(crate) fn entry(world: &World, connection: &str) -> Option<std::sync::Arc<nexus::vault::Entry>> {
    store(world).get(&connection.parse().unwrap()).unwrap()
}

/// Changes what it holds.
pub(crate) fn edit(world: &World, connection: &str, change: impl FnOnce(&mut nexus::vault::Entry)) {
    store(world).update(&connection.parse().unwrap(), change).unwrap().expect("an entry");
}

pub(crate) fn store(world: &World) -> nexus::vault::Store {
    let home = nexus::app::Home::new(world.home(""));
    let (passphrase, _) = nexus::app::passphrase(&home, &|_| None).unwrap();
    nexus::vault::Store::open(home.vault(), &passphrase).unwrap()
}

fn call(world: &World, user: &str) -> Done {
    world.nexus(&["run", "--user", user, "--", "curl", "-sS", "https://api.acme.example/v1/me"])
}

#[test]
fn a_person_consents_and_the_account_is_used_renewed_and_revoked() {
    let (world, oidc) = with_app();
    let (shown, done) = log_in(&world, &oidc.browser(&world, "alice"), "alice", &[]);
    assert!(shown.status == "200" && shown.text.contains("Acme is connected as alice@acme.example"), "{shown:?}");
    assert!(shown.text.contains("You can close this page") && shown.url.starts_with("http://127.0.0.1:"), "{shown:?}");
    let said = done.json();
    assert_eq!(
        said,
        serde_json::json!({
            "connected": "acme:alice", "account": "alice@acme.example", "scopes": ["openid", "email"],
            "hosts": ["api.acme.example"], "renewable": true,
        })
    );
    for name in ["access_token", "refresh_token"] {
        let secret = field(&world, "acme:alice", name).unwrap();
        assert!(!shown.text.contains(&secret) && !said.to_string().contains(&secret), "{name}");
    }
    let shown = world.nexus(&["show", "acme:alice", "--json"]).json();
    assert_eq!(shown["scopes"], serde_json::json!(["openid", "email"]));
    let of_alice = world.nexus(&["list", "--user", "alice", "--json"]).json();
    assert_eq!(of_alice["connections"].as_array().map(Vec::len), Some(1), "{of_alice}");
    assert_eq!(field(&world, "acme", "access_token"), None, "the app's own connection is left alone");
    assert_eq!((&shown["status"], &shown["last_used_at"]), (&"active".into(), &serde_json::Value::Null));
    assert!(call(&world, "alice").ok().contains("\"login\":\"alice\""));
    times(&world);
    tested(&world);
    // Rotation: each renewal spends the refresh token that the one before it gave.
    let mut last = field(&world, "acme:alice", "refresh_token");
    for _ in 0..2 {
        oidc.expire(&world);
        assert!(call(&world, "alice").ok().contains("\"login\":\"alice\""));
        let next = field(&world, "acme:alice", "refresh_token");
        assert!(next.is_some() && next != last);
        last = next;
    }
    let token = field(&world, "acme:alice", "access_token").unwrap();
    assert_eq!(oidc.owner(&world, &token).as_deref(), Some("alice"));
    let said = world.nexus(&["remove", "acme:alice", "--json"]).json();
    assert_eq!((said["removed"].as_str(), said["revoked"].as_bool()), (Some("acme:alice"), Some(true)));
    assert_eq!(oidc.owner(&world, &token), None);
    assert!(entry(&world, "acme:alice").is_none());
}

#[test]
fn what_a_person_ends_and_keeps_serves_nobody_until_the_next_log_in() {
    let (world, oidc) = with_app();
    log_in(&world, &oidc.browser(&world, "alice"), "alice", &[]).1.ok();
    let token = field(&world, "acme:alice", "access_token").unwrap();
    let said = world.nexus(&["remove", "acme:alice", "--keep", "--json"]).json();
    assert_eq!((said["kept"].as_str(), said["revoked"].as_bool()), (Some("acme:alice"), Some(true)));
    assert_eq!(oidc.owner(&world, &token), None);
    let kept = entry(&world, "acme:alice").unwrap();
    assert_eq!((kept.status, kept.fields.names().any(|name| name.ends_with("token"))), (Status::Revoked, false));
    let refused = call(&world, "alice");
    assert!(refused.out.contains("auth_required") && refused.out.contains("was revoked"), "{refused:?}");
    assert!(world.nexus(&["list"]).err.contains("acme:alice was revoked"));
    log_in(&world, &oidc.browser(&world, "alice-returns"), "alice", &[]).1.ok();
    assert!(call(&world, "alice").ok().contains("\"login\":\"alice\""), "its app was kept");
    let up = world.up();
    world.nexus(&["test", "acme:alice"]).ok();
    log_in(&world, &oidc.browser(&world, "alice-once-more"), "alice", &[]).1.ok();
    oidc.expire(&world);
    let said = world.nexus(&["test", "acme:alice"]).ok();
    assert!(said.contains("answered 200"), "a log-in is no renewal, so what it gave and meets 401 is renewed: {said}");
    up.kill();
    world.register(&["stripe"], "api_key=sk_test_0123456789\n");
    let said = world.nexus(&["remove", "stripe", "--keep"]).failed(1);
    assert!(said.contains("nothing of it can be kept") && said.contains("nexus remove stripe"), "{said}");
}

/// When it was connected, used last, and is to be renewed.
fn times(world: &World) {
    let shown = world.nexus(&["show", "acme:alice", "--json"]).json();
    let listed = world.nexus(&["list", "--user", "c2ef90b9-02bc-5d53-93cd-92652b6e1b41", "--json"]).json();
    let time = |name: &str| {
        assert_eq!(shown[name], listed["connections"][0][name], "{name}");
        shown[name].as_str().unwrap_or_else(|| panic!("{name} in {shown}")).parse::<jiff::Timestamp>().unwrap()
    };
    let (made, used, renewal, end) = (time("registered_at"), time("last_used_at"), time("next_renewal_at"), time("expires_at"));
    assert!(made <= used && used < renewal, "{shown}");
    assert_eq!(end.as_second() - renewal.as_second(), 60);
    let kept: serde_json::Value = serde_json::from_str(&world.read("used.json")).unwrap();
    assert_eq!(kept, serde_json::json!({ "unix_secs": { "acme:alice": used.as_second() } }));
    let table = world.nexus(&["list"]).ok();
    assert!(table.lines().next().unwrap().contains("Registered") && table.contains("Renews"), "{table}");
}

/// Through a private proxy and through one that is up, by name and by number.
fn tested(world: &World) {
    let up = world.up();
    // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "alice").
    let number = "c2ef90b9-02bc-5d53-93cd-92652b6e1b41";
    for arguments in [&["--user", "alice"][..], &["--user-id=alice"], &["--user-id", number]] {
        let said = world.nexus(&[&["test", "acme", "--json"], arguments].concat()).json();
        assert_eq!((said["connection"].as_str(), said["status"].as_u64()), (Some("acme:alice"), Some(200)));
        assert_eq!((said["account"].as_str(), said["works"].as_bool()), (Some("alice"), Some(true)));
    }
    up.kill();
    let said = world.nexus(&["test", "acme:alice"]).ok();
    assert_eq!(said, "acme:alice: Acme answered 200 to GET https://api.acme.example/v1/me, as alice\n");
    let tried = |whoami: &str| {
        world.provider("acme", &Oidc::file("whoami = \"GET https://api.acme.example/v1/me\"", whoami));
        world.nexus(&["test", "acme:alice"])
    };
    let graphql =
        |query: &str| format!("{{ at = \"POST https://api.acme.example/v1/graphql\", json = '{{\"query\":\"{query}\"}}' }}");
    let several = format!("whoami = [\"GET https://api.acme.example/v1/elsewhere\", {}]", graphql("{ viewer { login } }"));
    let said = tried(&several).ok();
    assert_eq!(said, "acme:alice: Acme answered 200 to POST https://api.acme.example/v1/graphql, as alice\n");
    assert!(
        tried(&format!("whoami = {}", graphql("{ nobody }"))).out.contains("answered 200"),
        "a mistake, which is told with 200"
    );
    assert_eq!(tried(&format!("whoami = {}", graphql("{ nobody }"))).code, Some(1));
    let said = tried("whoami = { none = \"every request is billed\" }").failed(1);
    assert!(said.contains("no request to Acme would be harmless: every request is billed"), "{said}");
    world.provider("acme", ACME);
    let said = world.nexus(&["test", "acme", "--user", "bob"]).failed(1);
    assert!(said.contains("acme:bob is not registered") && said.contains("nexus login acme --user bob"), "{said}");
    let said = world.nexus(&["test", "acme"]);
    assert!(said.code == Some(1) && said.out.contains("acme: Acme answered 401"), "the app's secret is no token: {said:?}");
}

#[test]
fn a_refresh_token_that_is_used_twice_ends_the_grant_and_asks_for_a_person() {
    let (world, oidc) = with_app();
    log_in(&world, &oidc.browser(&world, "alice"), "alice", &[]).1.ok();
    let stolen = field(&world, "acme:alice", "refresh_token").unwrap();
    let thief = World::new();
    oidc.known_to(&thief);
    thief.provider("acme", ACME);
    thief.register(
        &["acme", "--user", "alice"],
        &format!("client_id=app\nclient_secret={SECRET}\naccess_token=gone-0123456789\nrefresh_token={stolen}\n"),
    );
    oidc.expire(&world);
    assert!(call(&world, "alice").ok().contains("\"login\":\"alice\""));
    assert!(!call(&thief, "alice").out.contains("\"login\""), "a spent refresh token");
    assert_eq!(entry(&thief, "acme:alice").unwrap().status, Status::Attention);
    let after = call(&world, "alice");
    assert!(!after.out.contains("\"login\""), "the whole grant is over: {after:?}");
    assert_eq!(entry(&world, "acme:alice").unwrap().status, Status::Attention);
    let tested = world.nexus(&["test", "acme", "--user", "alice"]);
    assert!(tested.code == Some(1) && tested.out.contains("Nexus refused GET https://api.acme.example/v1/me (auth_required)"));
    assert!(tested.err.contains("hint: run `nexus login acme --user alice`"), "{tested:?}");
    let status = world.nexus(&["status"]);
    assert!(
        status.code == Some(1) && status.out.contains("connect again: acme:alice (`nexus login acme --user alice`)"),
        "{status:?}"
    );
    log_in(&world, &oidc.browser(&world, "alice-again"), "alice", &[]).1.ok();
    assert_eq!(entry(&world, "acme:alice").unwrap().status, Status::Active);
    assert!(call(&world, "alice").ok().contains("\"login\":\"alice\""));
}

#[test]
fn what_the_service_does_not_end_is_removed_here_all_the_same_and_told() {
    let (world, oidc) = with_app();
    log_in(&world, &oidc.browser(&world, "alice"), "alice", &[]).1.ok();
    let token = field(&world, "acme:alice", "access_token").unwrap();
    let vault = world.read("nexus.enc");
    let put_back = || nexus::disk::write_atomic(&world.home("nexus.enc"), vault.as_bytes(), nexus::disk::PRIVATE).unwrap();
    let said = world.nexus(&["remove", "acme:alice", "--no-revoke"]);
    assert_eq!((said.out.as_str(), oidc.owner(&world, &token).as_deref()), ("removed acme:alice\n", Some("alice")));
    put_back();
    // Another service of the same vendor, by the same app.
    let mail = Oidc::file("name = \"acme\"", "name = \"acme_mail\"").replace("api.acme", "mail.acme");
    world.provider("acme_mail", &mail);
    world.register(
        &["acme_mail", "--user", "alice"],
        &format!("client_id=app\nclient_secret={SECRET}\naccess_token=another-0123456789\n"),
    );
    let said = world.nexus(&["remove", "acme:alice"]);
    assert!(said.code == Some(0) && said.err.contains("acme_mail:alice was made by the same app"), "{said:?}");
    assert_eq!(oidc.owner(&world, &token).as_deref(), Some("alice"));
    put_back();
    drop(oidc);
    let said = world.nexus(&["remove", "acme:alice", "--json"]);
    assert!(
        said.err.contains("the tokens of acme:alice may still be good: the service's token endpoint could not be asked"),
        "{said:?}"
    );
    assert!(said.err.contains("https://acme.example/apps"), "{said:?}");
    assert_eq!(said.json()["revoked"], false);
    assert!(entry(&world, "acme:alice").is_none());
}

#[test]
fn a_no_ends_it_with_one_sentence_and_stores_nothing() {
    let (world, oidc) = with_app();
    let before = world.read("nexus.enc");
    let mut session = LoggingIn::start(&world, &["--port", "0"]);
    let url = session.page();
    let shown = oidc.browser(&world, "no").refuse(&url);
    assert!(shown.status == "400" && shown.text.contains("Acme is not connected"), "{shown:?}");
    let done = session.end();
    assert_eq!((done.code, done.out.as_str()), (Some(1), ""));
    assert_eq!(done.err.matches("error:").count(), 1, "{}", done.err);
    assert!(
        done.err.contains("no account was connected: the consent was denied (End-User aborted interaction)"),
        "{}",
        done.err
    );
    assert_eq!(world.read("nexus.enc"), before);
}

#[test]
fn an_interrupt_and_the_end_of_patience_store_nothing() {
    let (world, _oidc) = with_app();
    let before = world.read("nexus.enc");
    let mut session = LoggingIn::start(&world, &["--port", "0"]);
    session.page();
    signal(&session.child, Signal::INT);
    let done = session.end();
    assert!(done.code == Some(130) && done.err.contains("interrupted; nothing was stored"), "{done:?}");
    let done = LoggingIn::start(&world, &["--port", "0", "--timeout", "1"]).end();
    assert!(done.code == Some(1) && done.err.contains("nobody consented in time"), "{done:?}");
    assert_eq!(world.read("nexus.enc"), before);
}

#[test]
fn i6_answers_of_other_sessions_pages_and_names_end_nothing() {
    let (world, oidc) = with_app();
    let mut session = LoggingIn::start(&world, &["--user", "alice", "--port", "0"]);
    let url = session.page();
    let own = session.said.split("Nexus waits at ").nth(1).unwrap().trim().to_owned();
    let browser = oidc.browser(&world, "evil");
    let fetch = |path: &str, more: &[&str]| browser.fetch(path, more);
    let strange = fetch(&format!("{own}?code=theirs&state=theirs"), &[]);
    assert!(strange.status == "400" && strange.text.contains("its state is not the one of this log-in"), "{strange:?}");
    let twice = fetch(&format!("{own}?code=a&code=b&state=x"), &[]);
    assert!(twice.text.contains("more than once"), "{twice:?}");
    let forged = fetch(&format!("{own}?error=access_denied&error_description=%3Cscript%3E&state=x"), &[]);
    assert!(forged.status == "400" && !forged.text.contains("<script"), "{forged:?}");
    for (url, more) in [
        (own.clone(), &["-H", "Host: rebound.example"][..]),
        (own.clone(), &["-X", "POST"]),
        (own.replace("/callback", "/"), &[]),
        (own.replace("/callback", "/callback/x"), &[]),
    ] {
        assert_eq!(fetch(&url, more).status, "404", "{url} {more:?}");
    }
    // A code of another session of the same app: an attacker's, who wants Alice to write into an account of theirs.
    let mut other = LoggingIn::start(&world, &["--user", "eve", "--port", "0"]);
    let theirs = other.page();
    let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let injected =
        theirs.split('&').map(|pair| if pair.starts_with("state=") { format!("state={state}") } else { pair.to_owned() });
    let injected = injected.collect::<Vec<_>>().join("&");
    let port = |uri: &str| uri.split("127.0.0.1%3A").nth(1).unwrap().split("%2F").next().unwrap().to_owned();
    let injected = injected.replace(&format!("127.0.0.1%3A{}", port(&theirs)), &format!("127.0.0.1%3A{}", port(&url)));
    let shown = browser.consent(&injected, "eve");
    assert!(shown.status == "400" && shown.text.contains("Acme is not connected"), "another verifier: {shown:?}");
    let done = session.end();
    assert!(done.code == Some(1) && done.err.contains("the service gave no token"), "{done:?}");
    assert!(entry(&world, "acme:alice").is_none());
    signal(&other.child, Signal::INT);
    assert_eq!(other.end().code, Some(130));
}

#[test]
fn i2_an_answer_that_names_another_server_is_thrown_away() {
    let (world, oidc) = with_app();
    world.provider("acme", &Oidc::file("issuer = \"https://login.acme.example\"", "issuer = \"https://other.acme.example\""));
    let (shown, done) = log_in(&world, &oidc.browser(&world, "mixed"), "alice", &[]);
    assert!(shown.status == "400" && done.code == Some(1), "{shown:?} {done:?}");
    assert!(done.err.contains("the answer came from another service (https://login.acme.example)"), "{}", done.err);
}

#[test]
fn a_code_is_entered_on_another_device_while_nexus_slows_down() {
    let (world, oidc) = with_app();
    oidc.slow(&world);
    let mut session = LoggingIn::start(&world, &["--user", "bob", "--device"]);
    let page = session.says(|line| Some(line.strip_prefix("Open ")?.split(' ').next()?.to_owned()));
    let code = session.says(|line| Some(line.strip_prefix('\u{2502}')?.trim_end_matches('\u{2502}').trim().to_owned()));
    assert_eq!(page, "https://login.acme.example/device");
    oidc.browser(&world, "bob").enter(&page, &code, Some("bob"));
    let said = session.end().json();
    assert_eq!((said["connected"].as_str(), said["account"].as_str()), (Some("acme:bob"), Some("bob@acme.example")));
    assert!(call(&world, "bob").ok().contains("\"login\":\"bob\""));
}

#[test]
fn a_no_on_the_other_device_ends_it_and_a_public_client_needs_no_registration() {
    let world = World::new();
    let oidc = Oidc::start(&world);
    let arguments = ["--device", "--client-id", "public"];
    let mut session = LoggingIn::start(&world, &arguments);
    let code = session.says(|line| Some(line.strip_prefix('\u{2502}')?.trim_end_matches('\u{2502}').trim().to_owned()));
    oidc.browser(&world, "no").enter("https://login.acme.example/device", &code, None);
    let done = session.end();
    assert!(done.code == Some(1) && done.err.contains("the consent was denied"), "{done:?}");
    let (_, done) = log_in(&world, &oidc.browser(&world, "carol"), "carol", &["--client-id", "public"]);
    assert_eq!(done.json()["connected"], "acme:carol");
    oidc.expire(&world);
    assert!(call(&world, "carol").ok().contains("\"login\":\"carol\""), "renewed without a secret");
}

#[test]
fn the_desktops_own_launcher_opens_the_page_and_gets_no_secret() {
    let (world, oidc) = with_app();
    let launcher = world.path("bin/xdg-open");
    std::fs::create_dir(world.path("bin")).unwrap();
    let heard = world.path("heard");
    std::fs::write(
        &launcher,
        format!("#!/bin/sh\n{{ echo \"$1\"; env; }} >'{0}.part'; mv '{0}.part' '{0}'\n", heard.display()),
    )
    .unwrap();
    std::fs::set_permissions(&launcher, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = world.command(&["login", "acme", "--user", "alice", "--port", "0", "--json"]);
    let command = command.env("PATH", path).env("NEXUS_ACCESS_TOKEN", "not-for-a-browser");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let talk = BufReader::new(child.stderr.take().unwrap());
    let mut session = LoggingIn { child, talk, said: String::new() };
    let url = session.page();
    assert!(session.said.starts_with("The browser opens this page"), "{}", session.said);
    eventually(|| heard.exists());
    let given = std::fs::read_to_string(heard).unwrap();
    assert!(given.starts_with(&url) && !given.contains("NEXUS_"), "{given}");
    oidc.browser(&world, "alice").consent(&url, "alice");
    assert_eq!(session.end().json()["connected"], "acme:alice");
}

#[test]
fn where_the_answer_goes_to_another_machine_its_address_is_pasted() {
    let (world, _oidc) = with_app();
    let arguments = ["login", "acme", "--no-browser", "--redirect-uri", "https://acme.example/done"];
    let done = world.nexus_with(&arguments, "\nhttps://acme.example/done?code=x&state=y\nhttps://evil.example/done?code=x\n");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("redirect_uri=https%3A%2F%2Facme.example%2Fdone"), "{done:?}");
    assert!(
        done.err.contains("its state is not the one") && done.err.contains("another address than the redirect URI"),
        "{done:?}"
    );
    assert!(done.err.contains("standard input has ended"), "{done:?}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let (world, _oidc) = with_app();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = world.nexus(&["login", "acme", "--no-browser", "--port", &port]).failed(1);
    assert!(
        said.contains(&format!("cannot listen at http://127.0.0.1:{port}/callback")) && said.contains("--port N"),
        "{said}"
    );
}

#[test]
fn what_is_missing_is_told_before_anybody_is_asked() {
    let world = World::new();
    world.provider("acme", ACME);
    let said = world.nexus(&["login", "acme", "--user", "alice"]).failed(1);
    for word in ["https://acme.example/apps", "http://127.0.0.1:8093/callback", "nexus login acme --user alice --client-id ID"]
    {
        assert!(said.contains(word), "{said}");
    }
    let said = world.nexus(&["login", "stripe"]).failed(1);
    assert!(said.contains("has no log-in that Nexus knows") && said.contains("nexus register stripe"), "{said}");
    let said = world.nexus(&["login", "jira", "--client-id", "x", "--redirect-uri", "http://evil.example/"]).failed(1);
    assert!(said.contains("a redirect URI is"), "{said}");
    let said = world.nexus(&["login", "acme", "--client-id", "x", "--field", "access_token=y"]).failed(1);
    assert!(said.contains("access_token is what the log-in gives"), "{said}");
    let said = world.nexus(&["login", "acme", "--client-id", "x", "--field", "sight=y"]).failed(1);
    assert!(said.contains("takes no --field") || said.contains("has no field sight"), "{said}");
}

/// What a terminal shows and what becomes of it: a secret that is typed is stored whole, never shown, and an interrupt leaves the echo on.
#[test]
fn i1_a_secret_that_is_typed_is_never_shown_and_an_interrupt_leaves_the_terminal_as_it_was() {
    let world = World::new();
    world.provider("acme", ACME);
    let line = format!(
        "trap : INT; {} login acme --no-browser --port 0 --client-id x; echo code $?; stty -a",
        env!("CARGO_BIN_EXE_nexus")
    );
    let secret = "s3cr3t-".repeat(1000);
    let done = world.on_terminal(&line, &[("client secret", &format!("{secret}\r")), ("Nexus waits at", "\u{3}")]);
    assert!(!done.out.contains("s3cr3t") && done.out.contains("code 130"), "{}", done.out);
    let done = world.on_terminal(&line, &[("client secret", "s3cr3t\u{3}")]);
    assert!(!done.out.contains("s3cr3t") && done.out.contains("code 130") && done.out.contains(" echo "), "{}", done.out);
}
