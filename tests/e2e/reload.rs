//! What changes while the proxy runs: a file that is damaged, emptied or gone opens nothing, and holds up no other file.

use std::path::Path;

use nexus::agent::Token;

use crate::attack::{ACME, KEY, home, service};
use crate::harness::{Authority, Builder, Caller, Nexus, Offers, Upstream, eventually, run};

const STRANGER: &str = "stranger.test";

fn put(file: &Path, text: &str) {
    nexus::disk::write_atomic(file, text.as_bytes(), nexus::disk::PRIVATE).expect("a file");
}

fn row(name: &str, token: &Token) -> nexus::agent::Registered {
    nexus::agent::Registered::unlimited(name.parse().expect("a name"), token)
}

/// A home whose strangers are refused by `nexus.toml` alone.
async fn closed(ca: &Authority) -> (Upstream, Builder) {
    let service = service(ca, Offers::Http1).await;
    let builder = home(ca, &service).config("[policy]\ndefault = \"deny\"\n[proxy]\nunmatched = \"refuse\"");
    let builder = builder.resolve(STRANGER, service.address);
    (service, builder)
}

/// What becomes of a CONNECT to a stranger: refused inside, or let through.
async fn stranger(nexus: &Nexus) -> &'static str {
    let caller = Caller::new(nexus);
    let stream = caller.tunnel("stranger.test:443").await.expect("accepted either way");
    // Only our own refusal has a certificate that the caller trusts: the service's is signed by another.
    match caller.handshake(stream, STRANGER, &["http/1.1"]).await {
        Ok(_ours) => "refused",
        Err(_theirs) => "tunnelled",
    }
}

#[test]
fn an_emptied_or_vanished_configuration_leaves_the_old_one_live() {
    run(async {
        let ca = Authority::new();
        let (_service, builder) = closed(&ca).await;
        let nexus = builder.start();
        let file = nexus.home().config_file();
        let written = std::fs::read_to_string(&file).expect("the file");
        assert_eq!(stranger(&nexus).await, "refused");
        let unusable = "[policy]\ndefault = \"allow\"\n[upstream]\nextra_roots = [\"nope.pem\"]\n";
        for text in ["", "\n  \n", "[policy]\ndefault = \"de", unusable] {
            put(&file, text);
            nexus.reload();
            assert_eq!(stranger(&nexus).await, "refused", "{text:?}");
        }
        std::fs::remove_file(&file).expect("gone");
        nexus.reload();
        assert_eq!(stranger(&nexus).await, "refused");
        // What is written takes effect, the shipped values too.
        put(&file, &written.replace("\"deny\"", "\"allow\"").replace("\"refuse\"", "\"tunnel\""));
        nexus.reload();
        assert_eq!(stranger(&nexus).await, "tunnelled");
    });
}

#[test]
fn i6_emptied_or_vanished_agents_are_still_the_only_ones() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let (builder, token) = home(&ca, &service).agent("a", |_agent| {});
        let nexus = builder.start();
        let file = nexus.home().agents_file();
        let nobody = Caller::new(&nexus);
        let agent = nobody.clone().agent("a", &token);
        let both = async |what: &str| {
            let refused = nobody.tunnel("api.acme.test:443").await.expect_err(what);
            assert_eq!(refused.status, 407, "{what}");
            assert_eq!(agent.get("https://api.acme.test/").await.status, 200, "{what}");
        };
        both("as started").await;
        put(&file, "");
        nexus.reload();
        both("emptied").await;
        std::fs::remove_file(&file).expect("gone");
        nexus.reload();
        both("gone").await;
        // What comes and goes meanwhile is known as long as it lives, and defines nobody.
        let passing = Token::random().expect("random numbers");
        let command = nobody.clone().agent("run-1", passing.text().expose());
        let row = nexus::agent::Registered { ephemeral: true, ..row("run-1", &passing) };
        let living = nexus::app::Passing::add(nexus.home(), &row).expect("an agent");
        nexus.reload();
        both("gone, with a command").await;
        assert_eq!(command.get("https://api.acme.test/").await.status, 200);
        drop(living);
        nexus.reload();
        both("gone, after a command").await;
        assert_eq!(command.tunnel("api.acme.test:443").await.expect_err("its time is up").status, 407);
        assert!(!file.exists());
        // Revoking the last one says so in the file, and only then callers of our own user need no token.
        put(&file, &nexus::agent::write(&[]).expect("text"));
        assert!(!std::fs::read_to_string(&file).expect("the file").trim().is_empty());
        nexus.reload();
        assert_eq!(nobody.get("https://api.acme.test/").await.status, 200);
        assert_eq!(agent.tunnel("api.acme.test:443").await.expect_err("revoked").status, 407);
    });
}

#[test]
fn a_start_with_an_emptied_list_of_agents_is_refused() {
    let (builder, _token) = Builder::new(&Authority::new()).agent("a", |_agent| {});
    put(&builder.home().agents_file(), "\n");
    let error = builder.home().agents().expect_err("damaged");
    assert!(error.to_string().contains("agents.toml is gone or empty; put it back"), "{error}");
}

#[test]
fn a_bad_provider_file_keeps_neither_policy_nor_other_providers_from_changing() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let builder = home(&ca, &service).config("[policy]\ndefault = \"allow\"").resolve(STRANGER, service.address);
        let nexus = builder.start();
        let caller = Caller::new(&nexus);
        assert_eq!(stranger(&nexus).await, "tunnelled");
        // A mistake in the file of a provider that is in use, a broken newcomer, and policy that got stricter at once.
        let providers = nexus.home().providers();
        put(&providers.join("acme.toml"), &ACME.replace("hosts =", "hosst ="));
        put(&providers.join("broken.toml"), "name = ");
        let config = nexus.home().config_file();
        let stricter = std::fs::read_to_string(&config).expect("the file").replace("\"allow\"", "\"deny\"");
        put(&config, &stricter);
        nexus.reload();
        assert_eq!(stranger(&nexus).await, "refused", "the policy is taken");
        assert_eq!(caller.get("https://api.acme.test/old").await.status, 200);
        assert_eq!(service.seen().last().and_then(|seen| seen.bearer()), Some(KEY), "the old rule is in force");
        // Another file's change is taken beside them.
        put(
            &providers.join("other.toml"),
            "name = \"other\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"stranger.test\"]\nstrategy = { bearer = \"{api_key}\" }\n",
        );
        nexus.reload();
        let reply = caller.get("https://stranger.test/").await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("auth_required")), "{reply:?}");
        // A provider whose file is taken away is gone.
        std::fs::remove_file(providers.join("acme.toml")).expect("gone");
        nexus.reload();
        assert_eq!(caller.get("https://api.acme.test/gone").await.refusal(), Some("policy"));
    });
}

#[test]
fn t135_i1_a_mistake_in_the_configuration_is_logged_without_its_line() {
    run(async {
        let password = "parent-proxy-password-0123456789";
        let log = tempfile::NamedTempFile::new().expect("a file");
        let nexus = Builder::new(&Authority::new()).spawn_logged(&[("NEXUS_LOG", "trace")], log.path()).await;
        let said = || std::fs::read_to_string(log.path()).expect("the log");
        let broken = [
            format!("[upstream]\nproxy = \"http://corp:{password}@proxy.corp.test:3128\n"),
            format!("[upstream]\nhttp2 = \"http://corp:{password}@proxy.corp.test:3128\"\n"),
            format!("[upstream]\nproxxy = \"http://corp:{password}@proxy.corp.test:3128\"\n"),
        ];
        for (number, text) in broken.iter().enumerate() {
            put(&nexus.home().config_file(), text);
            let told = || (said().matches("nexus.toml was not taken").count() > number).then_some(());
            eventually("a word about the mistake", told).await;
        }
        assert!(!said().contains(password), "{}", said());
        assert!(said().contains("line 2, column"), "{}", said());
        assert!(!said().contains("configuration taken"), "{}", said());
    });
}

#[test]
fn t144_an_old_vault_put_back_under_a_running_proxy_is_an_error_in_the_log() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let log = tempfile::NamedTempFile::new().expect("a file");
        let nexus = home(&ca, &service).spawn_logged(&[], log.path()).await;
        let told = || std::fs::read_to_string(log.path()).expect("the log").matches("the vault is older than").count();
        let caller = Caller::new(&nexus);
        let used = async |path: &str| {
            assert_eq!(caller.get(&format!("https://api.acme.test{path}")).await.status, 200);
            service.seen().last().and_then(|seen| seen.bearer().map(str::to_owned))
        };
        let vault = nexus.home().vault().file;
        let old = std::fs::read(&vault).expect("the vault");
        assert_eq!(used("/old").await.as_deref(), Some(KEY));
        nexus.register("acme", &[("api_key", "a-fresh-key-0123456789abcdef")], None);
        assert_eq!(used("/fresh").await.as_deref(), Some("a-fresh-key-0123456789abcdef"));
        assert_eq!(told(), 0);
        nexus::disk::write_atomic(&vault, &old, nexus::disk::PRIVATE).expect("put back");
        assert_eq!(used("/back").await.as_deref(), Some(KEY));
        eventually("the alarm", || (told() == 1).then_some(())).await;
        assert!(std::fs::read_to_string(log.path()).expect("the log").contains("ERROR"));
        // Once, not with every request.
        used("/again").await;
        assert_eq!(told(), 1);
    });
}

#[test]
fn t144_a_vault_that_is_damaged_under_a_running_proxy_is_told_of_and_its_repair_is_live() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let log = tempfile::NamedTempFile::new().expect("a file");
        let nexus = home(&ca, &service).spawn_logged(&[], log.path()).await;
        let caller = Caller::new(&nexus);
        assert_eq!(caller.get("https://api.acme.test/sound").await.status, 200);
        let vault = nexus.home().vault().file;
        let sound = std::fs::read(&vault).expect("the vault");
        nexus::disk::write_atomic(&vault, b"no vault", nexus::disk::PRIVATE).expect("damaged");
        let reply = caller.get("https://api.acme.test/damaged").await;
        assert_eq!((reply.status, reply.refusal()), (503, Some("vault")), "{reply:?}");
        let said = || std::fs::read_to_string(log.path()).expect("the log");
        eventually("a word about the vault", || said().contains("cannot read the vault").then_some(())).await;
        assert!(said().contains("ERROR") && !said().contains(KEY), "{}", said());
        assert_eq!(service.seen().len(), 1, "nothing left without its credential");
        nexus::disk::write_atomic(&vault, &sound, nexus::disk::PRIVATE).expect("repaired");
        assert_eq!(caller.get("https://api.acme.test/repaired").await.status, 200);
    });
}

#[test]
fn a_folder_of_providers_that_is_made_later_is_watched_and_so_is_another_in_its_place() {
    run(async {
        let builder = Builder::new(&Authority::new()).gateway();
        let folder = builder.home().providers();
        std::fs::remove_dir(&folder).expect("gone");
        let nexus = builder.start();
        let path = "/v1/providers/acme";
        assert_eq!(nexus.gateway().get(path).await.status, 404);
        for turn in ["first", "second"] {
            nexus::disk::create_private_dir(&folder).expect("a folder");
            nexus.write_provider("acme", ACME);
            until(&nexus, path, 200).await;
            std::fs::remove_file(folder.join("acme.toml")).expect("gone");
            until(&nexus, path, 404).await;
            std::fs::rename(&folder, folder.with_extension(turn)).expect("gone");
        }
    });
}

/// Writes rules, and waits until requests are answered so.
async fn ruled(nexus: &Nexus, file: &Path, text: &str, status: u16) {
    put(file, text);
    let caller = Caller::new(nexus);
    let begun = std::time::Instant::now();
    while caller.get("https://api.acme.test/x").await.status != status {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{} is not seen", file.display());
    }
}

const DENY: &str = "[[rule]]\nname = \"shut\"\nhosts = [\"api.acme.test\"]\naction = \"deny\"\n";
const NONE: &str = "# No rules.\n";

#[test]
fn rules_in_a_folder_that_comes_later_or_comes_again_are_in_force() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let builder = home(&ca, &service);
        let folder = builder.home().policies();
        let file = folder.join("shut.toml");
        std::fs::remove_dir(&folder).expect("gone");
        let nexus = builder.start();
        let caller = Caller::new(&nexus);
        assert_eq!(caller.get("https://api.acme.test/x").await.status, 200);
        let make = |folder: &Path| nexus::disk::create_private_dir(folder).expect("a folder");
        // The old one is moved away or removed, and the new one may have its number in the file system.
        for turn in 0..6 {
            make(&folder);
            ruled(&nexus, &file, DENY, 403).await;
            ruled(&nexus, &file, NONE, 200).await;
            let next = folder.with_extension("next");
            make(&next);
            put(&next.join("shut.toml"), NONE);
            if turn % 2 == 0 {
                std::fs::remove_dir_all(&folder).expect("gone");
            } else {
                std::fs::rename(&folder, folder.with_extension(turn.to_string())).expect("away");
            }
            std::fs::rename(&next, &folder).expect("another");
            ruled(&nexus, &file, DENY, 403).await;
            ruled(&nexus, &file, NONE, 200).await;
            std::fs::remove_dir_all(&folder).expect("gone");
        }
    });
}

#[test]
fn a_folder_of_rules_behind_links_is_seen_to_change_by_the_link_alone() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Http1).await;
        let builder = home(&ca, &service);
        // As a ConfigMap is mounted: what is swapped is `..data`, in a folder that is not the home.
        let mount = builder.home().path().join("mount");
        let versions = [("..one", DENY), ("..two", NONE), ("..three", DENY)];
        for (version, text) in versions {
            nexus::disk::create_private_dir(&mount.join(version)).expect("a folder");
            put(&mount.join(version).join("rules.toml"), text);
        }
        let swap = |to: &str| {
            std::os::unix::fs::symlink(to, mount.join("..tmp")).expect("a link");
            std::fs::rename(mount.join("..tmp"), mount.join("..data")).expect("a swap");
        };
        swap("..one");
        std::fs::remove_dir(builder.home().policies()).expect("gone");
        std::os::unix::fs::symlink("mount/..data", builder.home().policies()).expect("a link");
        let nexus = builder.start();
        let caller = Caller::new(&nexus);
        let until = async |status: u16| {
            let begun = std::time::Instant::now();
            while caller.get("https://api.acme.test/x").await.status != status {
                assert!(begun.elapsed() < std::time::Duration::from_secs(20), "not seen");
            }
        };
        for (version, status) in [("..one", 403), ("..two", 200), ("..three", 403), ("..two", 200)] {
            swap(version);
            until(status).await;
        }
        // What is in the folder that the link leads to now is watched too.
        ruled(&nexus, &mount.join("..two/rules.toml"), DENY, 403).await;
    });
}

/// Waits until the gateway answers so.
async fn until(nexus: &Nexus, path: &str, status: u16) {
    while nexus.gateway().get(path).await.status != status {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
