//! Keys: kept as hashes, taken and dropped while the gateway runs, never in anything that is written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus::app::GatewayKeyKind::{Admin, App};

use crate::harness::{Authority, Builder, Gateway, Nexus, run};

/// Asks until the answer is `status`; a change of the file is noticed by and by.
async fn becomes(gateway: &Gateway, status: u16) {
    for _ in 0..2000 {
        if gateway.get("/api/whoami").await.status == status {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("it never was {status}");
}

#[test]
fn a_key_that_is_made_or_revoked_while_it_runs_counts_at_once() {
    run(async {
        let config = "[gateway]\nwrong_keys_per_minute = 100000";
        let nexus = Builder::new(&Authority::new()).gateway().config(config).start();
        let key = nexus.gateway().key(&nexus.add_key("late", App));
        becomes(&key, 200).await;
        nexus.home().change_gateway_keys(|keys| keys.clear()).expect("a file");
        becomes(&key, 401).await;
    });
}

#[test]
fn i9_a_file_of_keys_that_is_damaged_or_gone_changes_nothing() {
    run(async {
        let (builder, key) = Builder::new(&Authority::new()).gateway().key("crew", App, |_key| ());
        let nexus = builder.start();
        let (gateway, file) = (nexus.gateway().key(&key), nexus.home().gateway_keys_file());
        let good = std::fs::read_to_string(&file).expect("the file");
        for damaged in ["", "[[key]]\nname = \"crew\"", "not TOML", &good.replace("app", "owner"), &good.repeat(2)] {
            nexus::disk::write_atomic(&file, damaged.as_bytes(), nexus::disk::PRIVATE).expect("a file");
            nexus.reload();
            assert_eq!(gateway.get("/api/whoami").await.status, 200, "{damaged}");
        }
        std::fs::remove_file(&file).expect("removed");
        nexus.reload();
        assert_eq!(gateway.get("/api/whoami").await.status, 200, "gone");
        nexus::disk::write_atomic(&file, b"key = []\n", nexus::disk::PRIVATE).expect("a file");
        nexus.reload();
        assert_eq!(gateway.get("/api/whoami").await.status, 401, "an empty list is meant");
    });
}

#[test]
fn i1_a_key_is_in_no_file_and_in_no_log() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let (builder, app) = Builder::new(&Authority::new()).gateway().key("crew", App, |_key| ());
        let (builder, admin) = builder.key("root", Admin, |_key| ());
        let nexus = builder.spawn_logged(&[("NEXUS_LOG", "trace")], &log).await;
        let (gateway, wrong) = (nexus.gateway(), "nxk_WrongWrongWrongWrongWrongWrongWr");
        let own = nexus.local_gateway().key.expose().clone();
        for key in [&app, &admin, &own, wrong] {
            let basic = format!("Basic {}", STANDARD.encode(format!("x:{key}")));
            let bearer = format!("Bearer {key}");
            for caller in [gateway.key(key), gateway.with("Authorization", &basic), gateway.with("Authorization", &bearer)] {
                for path in ["/api/whoami", "/metrics", "/nope"] {
                    let said = caller.get(path).await;
                    assert!(!format!("{said:?}").contains(key), "{said:?}");
                }
            }
            for path in [format!("/k/{key}/api/whoami"), format!("/k/{key}/nope"), format!("/k/{key}")] {
                let said = gateway.get(&path).await;
                assert!(!format!("{said:?}").contains(key), "{said:?}");
            }
        }
        nexus.audit_line(|line| line["event"] == "gateway_refused").await;
        hold_none(&nexus, &log, &[&app, &admin, wrong]);
        let file = nexus.home().gateway_keys_file();
        assert_eq!(std::fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&log).expect("the log");
        assert!(!text.contains(&own) && text.contains("nexus"), "{text}");
        let announced = std::fs::metadata(nexus.home().gateway_file()).expect("a file");
        assert_eq!(announced.permissions().mode() & 0o777, 0o600, "it holds the key of this run's command line");
    });
}

/// No file of the home, nor the log, holds any of `keys`, as it is or in base64.
fn hold_none(nexus: &Nexus, log: &Path, keys: &[&str]) {
    let mut folders = vec![nexus.home().path().to_owned()];
    let mut files = vec![log.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(&file).expect("a file")).into_owned();
        for key in keys {
            let inside = STANDARD.encode(key);
            assert!(!text.contains(*key) && !text.contains(&inside[..20]), "{} holds {key}", file.display());
        }
    }
}
