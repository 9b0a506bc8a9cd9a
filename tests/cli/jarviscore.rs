//! JarvisCore, unmodified, in two versions: its command line, its manager of credentials and its calls, against our gateway and proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::oidc::{Oidc, SECRET};
use crate::world::{Done, World};

const VERSIONS: [&str; 2] = ["1.3.0", "3.0.0"];

fn installed() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-jarviscore");
    assert!(target.join("installed").exists(), "run tests/jarviscore/install.sh");
    target
}

/// JarvisCore in this version, as somebody at a terminal of `world` would start it.
fn python(world: &World, version: &str) -> Command {
    let installed = installed();
    let mut command = world.program(installed.join("venv/bin/python").to_str().unwrap(), &[]);
    command.env("PYTHONPATH", installed.join(version));
    command
}

fn gateway(world: &World) -> String {
    let told: Value = serde_json::from_str(&world.read("gateway.addr")).expect("an announcement");
    format!("http://{}", told["address"].as_str().expect("an address"))
}

/// `jarviscore nexus …`.
fn nexus(world: &World, version: &str, arguments: &[&str]) -> Done {
    let mut command = python(world, version);
    command.args(["-m", "jarviscore.cli", "nexus"]).args(arguments).env("NEXUS_GATEWAY_URL", gateway(world));
    command.output().unwrap().into()
}

#[test]
fn its_command_line_knows_our_gateway() {
    for version in VERSIONS {
        let world = World::new();
        let _up = world.up();
        let said = nexus(&world, version, &["status"]).ok();
        assert!(said.contains("Gateway is reachable and healthy"), "{said}");
        let github = ["register", "github", "--client-id", "Iv1.app", "--client-secret", "ghs_0123456789"];
        let said = nexus(&world, version, &github).ok();
        assert!(said.contains("registered with gateway") && said.contains("Provider ID: github"), "{said}");
        let again = nexus(&world, version, &github);
        assert!(
            again.code == Some(1) && again.out.contains("HTTP 409") && again.out.contains("registered already"),
            "{again:?}"
        );
        let stripe = nexus(&world, version, &["register", "stripe", "--api-key", "sk_live_typed"]);
        assert!(stripe.code == Some(1) && stripe.out.contains("HTTP 409"), "{stripe:?}");
        let page = format!("{}/v1/capture-credential?state=", gateway(&world));
        assert!(stripe.out.contains("type it here") && stripe.out.contains(&page), "it never sent the key: {stripe:?}");
        let said = nexus(&world, version, &["list"]).ok();
        let row = said.lines().find(|line| line.contains('✓') && line.contains("github")).expect("a row");
        assert!(said.contains("Gateway providers") && row.contains("oauth2"), "{said}");
        let said = nexus(&world, version, &["test", "github", "--user-id=alice"]).ok();
        assert!(said.contains("Gateway accepted connection request"), "{said}");
        assert!(said.contains("https://github.com/login/oauth/authorize?") && said.contains("client_id=Iv1.app"), "{said}");
        // Asked again while the person is: the same page, with 409.
        let again = nexus(&world, version, &["test", "github", "--user-id=alice"]).ok();
        let page = |said: &str| said.lines().find(|line| line.contains("auth_url")).map(str::to_owned);
        assert_eq!(page(&said), page(&again));
        let listed = world.nexus(&["list", "--json"]).json();
        assert_eq!(listed["connections"].as_array().map(Vec::len), Some(1), "{listed}");
    }
}

/// Where the app's own page would be: answers whoever comes.
fn landing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/back", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback").ok();
            }
        }
    });
    url
}

#[test]
fn i11_its_manager_and_its_calls_use_an_account_and_hold_placeholders_only() {
    for version in VERSIONS {
        let back = landing();
        let world = World::new().with("NEXUS_RETURN_URL", &back);
        let oidc = Oidc::start(&world);
        world.register(&["acme"], &format!("client_id=app\nclient_secret={SECRET}\n"));
        let key = world.nexus(&["gateway", "key", "add", "crew", "--kind", "app", "--json"]).json();
        let key = key["secret"].as_str().expect("a key").to_owned();
        let _up = world.up();
        // 1.x knows no header.
        let url = if version == "1.3.0" { format!("{}/k/{key}", gateway(&world)) } else { gateway(&world) };
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jarviscore/programs/manager.py");
        let mut command = world.command(&["run", "--"]);
        command.arg(installed().join("venv/bin/python")).arg(program);
        command.args([&url, &key, &back, "acme", "alice", "https://api.acme.example/v1/me"]);
        command.env("PYTHONPATH", installed().join(version));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let Some(page) = first.strip_prefix("page ") else { panic!("{version}: {:?}", child.wait_with_output()) };
        let shown = oidc.browser(&world, "alice").consent(page, "alice");
        assert!(shown.text == "back" && shown.url.contains("status=success&connection_id="), "{shown:?}");
        let last = lines.map_while(Result::ok).find(|line| line.starts_with("{")).unwrap_or_default();
        let ended = child.wait_with_output().unwrap();
        let held: Value = serde_json::from_str(&last).unwrap_or_else(|error| panic!("{version}: {error}: {last} {ended:?}"));
        assert_eq!((&held["status"], &held["body"]["login"]), (&200.into(), &"alice".into()), "{version}: {held}");
        assert_eq!((&held["type"], &held["expires_at"]), (&"oauth2".into(), &Value::Null), "{held}");
        let found =
            if version == "1.3.0" { Value::Null } else { serde_json::json!({ "handle": "resolved:acme", "status": 200 }) };
        assert_eq!(held["discovered"], found, "{held}");
        let token = held["credentials"]["access_token"].as_str().expect("a text");
        assert_eq!(oidc.owner(&world, token), None, "it is worth nothing at the service");
        let listed = world.nexus(&["list", "--json"]).json();
        let names: Vec<&Value> = listed["connections"].as_array().expect("rows").iter().map(|row| &row["connection"]).collect();
        // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "alice"), under which nobody is known by name here.
        assert_eq!(names, ["acme", "acme:c2ef90b9-02bc-5d53-93cd-92652b6e1b41"], "{listed}");
    }
}
