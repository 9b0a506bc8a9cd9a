//! Consents through the gateway against a certified authorization server, curl being the browser.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::oidc::{ACME, Oidc, SECRET};
use crate::world::{Up, World, eventually};

struct House {
    world: World,
    oidc: Oidc,
    _up: Up,
    gateway: String,
    admin: String,
}

/// A page of the app: gives the address that a browser came with.
fn page() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).ok();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback").ok();
            sender.send(line.split(' ').nth(1).unwrap_or_default().to_owned()).ok();
        }
    });
    (url, asked)
}

impl House {
    fn new(back: &str) -> Self {
        let world = World::new().with("NEXUS_RETURN_URL", back);
        let oidc = Oidc::start(&world);
        world.register(&["acme"], &format!("client_id=app\nclient_secret={SECRET}\n"));
        let up = world.up();
        let told: Value = serde_json::from_str(&world.read("gateway.addr")).expect("an announcement");
        let text = |name: &str| told[name].as_str().expect("a text").to_owned();
        let (gateway, admin) = (format!("http://{}", text("address")), text("key"));
        Self { world, oidc, _up: up, gateway, admin }
    }

    /// A program of our own user at the gateway.
    fn ask(&self, method: &str, path: &str, more: &[&str]) -> Value {
        let url = format!("{}{path}", self.gateway);
        let whole = [&["-sS", "-X", method, &url, "-H", "Content-Type: application/json"][..], more].concat();
        let output = self.world.program("curl", &whole).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    fn begin(&self, user: &str) -> Value {
        self.ask("POST", "/v1/request-connection", &["-d", &json!({ "user_id": user, "provider_name": "acme" }).to_string()])
    }

    fn status(&self, begun: &Value) -> Value {
        self.ask("GET", &format!("/v1/check-connection/{}", text(begun, "connection_id")), &[])["status"].clone()
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[test]
fn an_account_is_connected_used_renewed_and_revoked() {
    let (url, asked) = page();
    let house = House::new(&format!("{url}/done?tab=1"));
    let begun = house.begin("alice");
    let shown = house.oidc.browser(&house.world, "alice").consent(text(&begun, "authUrl"), "alice");
    let came = asked.recv().unwrap();
    let state = text(&begun, "state");
    let expected =
        format!("/done?tab=1&status=success&connection_id={}&provider=acme&state={state}", text(&begun, "connection_id"));
    assert_eq!((shown.text.as_str(), came), ("back", expected));
    assert_eq!(house.status(&begun), "active");
    let call = || {
        house.world.nexus(&["run", "--", "curl", "-sS", "-H", "Nexus-Connection: acme:alice", "https://api.acme.example/v1/me"])
    };
    assert!(call().ok().contains("\"login\":\"alice\""));
    house.oidc.expire(&house.world);
    assert!(call().ok().contains("\"login\":\"alice\""), "renewed");
    let path = format!("/v1/connections/{}", text(&begun, "connection_id"));
    let key = format!("X-API-Key: {}", house.admin);
    assert_eq!(house.ask("DELETE", &path, &["-H", &key]), json!({ "removed": "acme:alice", "revoked": true }));
    assert_eq!(house.ask("GET", &path.replace("connections", "check-connection"), &[])["code"], "not_found");
}

/// A node of the house's gateway that holds its connections, and its proxy.
fn node(house: &House, key: &str) -> (World, Up) {
    let node = World::new().with("NEXUS_GATEWAY_URL", &house.gateway).with("NEXUS_GATEWAY_KEY", key);
    house.oidc.known_to(&node);
    node.provider("acme", ACME);
    let up = node.up();
    eventually(|| {
        let note = std::fs::read_to_string(node.home("node.json")).unwrap_or_default();
        note.contains("\"connected\":true") && note.contains("acme:alice")
    });
    (node, up)
}

#[test]
fn a_thousand_requests_at_three_nodes_spend_one_refresh_token_of_an_expired_account() {
    let (url, _asked) = page();
    let house = House::new(&url);
    let begun = house.begin("alice");
    house.oidc.browser(&house.world, "alice").consent(text(&begun, "authUrl"), "alice");
    let shown = house.world.nexus(&["gateway", "key", "add", "nodes", "--kind", "node"]).ok();
    let key = shown.lines().nth(1).expect("a key").trim();
    let nodes = [(); 3].map(|()| node(&house, key));
    house.oidc.expire(&house.world);
    let before = house.oidc.refreshes(&house.world);
    let crowd = |(world, up): &(World, Up), last: usize| {
        let (proxy, bundle) = (format!("http://{}", up.address), world.home("ca-bundle.pem"));
        let url = format!("https://api.acme.example/v1/me#n=[1-{last}]");
        let more = ["-H", "Nexus-Connection: acme:alice", "-o", "/dev/null", "-w", "%{http_code}\n", &url];
        let mut curl = world.program("curl", &["-sS", "--parallel", "--parallel-max", "50", "-x", &proxy, "--cacert"]);
        curl.arg(bundle).args(more).stdout(std::process::Stdio::piped()).spawn().expect("curl")
    };
    let crowds = [crowd(&nodes[0], 334), crowd(&nodes[1], 333), crowd(&nodes[2], 333)];
    let answers: Vec<String> = crowds
        .into_iter()
        .flat_map(|curl| {
            let told = curl.wait_with_output().expect("an end").stdout;
            String::from_utf8_lossy(&told).lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let odd: Vec<&String> = answers.iter().filter(|answer| *answer != "200").collect();
    assert!(answers.len() == 1000 && odd.is_empty(), "{} answers, {odd:?}", answers.len());
    assert_eq!(house.oidc.refreshes(&house.world) - before, 1);
    // A refresh token that was shown twice would have ended the grant: it still renews.
    house.oidc.expire(&house.world);
    let again = crowd(&nodes[1], 3).wait_with_output().expect("an end").stdout;
    assert_eq!(String::from_utf8_lossy(&again), "200\n200\n200\n");
    assert_eq!(house.oidc.refreshes(&house.world) - before, 2);
}

#[test]
fn who_says_no_is_sent_back_with_that() {
    let (url, asked) = page();
    let house = House::new(&url);
    let begun = house.begin("alice");
    house.oidc.browser(&house.world, "alice").refuse(text(&begun, "authUrl"));
    let came = asked.recv().unwrap();
    assert!(came.contains("status=error") && came.contains("error=access_denied"), "{came}");
    assert_eq!(house.status(&begun), "failed");
}

#[test]
fn t118_a_code_of_another_session_connects_nobody() {
    let (url, asked) = page();
    let house = House::new(&url);
    let (alice, eve) = (house.begin("alice"), house.begin("eve"));
    // The service takes any port of loopback, so eve has her code sent to a page of her own.
    let (own, hers) = page();
    let to_her = text(&eve, "authUrl").replace(&encoded(&house.gateway), &encoded(&own));
    assert_ne!(to_her, text(&eve, "authUrl"));
    house.oidc.browser(&house.world, "eve").consent(&to_her, "eve");
    let came = hers.recv().unwrap();
    let code = came.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code").to_owned();
    // And has it brought back as if it were the answer to alice's question.
    let injected =
        format!("{}/oauth/callback?code={code}&state={}&iss=https://login.acme.example", house.gateway, text(&alice, "state"));
    let shown = house.oidc.browser(&house.world, "mallory").fetch(&injected, &[]);
    let came = asked.recv().unwrap();
    assert!(shown.text == "back" && came.contains("error=connection_failed"), "{shown:?} {came}");
    assert_eq!((house.status(&alice), house.status(&eve)), (json!("failed"), json!("pending")));
    let listed = house.world.nexus(&["list", "--json"]).json();
    assert_eq!(listed["connections"].as_array().map(Vec::len), Some(1), "{listed}");
}

/// As it stands in a query.
fn encoded(url: &str) -> String {
    url.replace(':', "%3A").replace('/', "%2F")
}

#[test]
fn t_mix_up_an_answer_that_names_another_service_sends_its_code_nowhere() {
    let (url, asked) = page();
    let house = House::new(&url);
    // A second service of the same file but another name and issuer: what an attacker's would be.
    let other =
        crate::oidc::ACME.replace("login.acme.example", "login.evil.example").replace("name = \"acme\"", "name = \"evil\"");
    house.world.provider("evil", &other.replace("api.acme.example", "api.evil.example"));
    house.world.register(&["evil"], "client_id=app\nclient_secret=x-0123456789\n");
    let wish = json!({ "user_id": "alice", "provider_name": "evil" }).to_string();
    let begun = {
        let mut begun = Value::Null;
        crate::world::eventually(|| {
            begun = house.ask("POST", "/v1/request-connection", &["-d", &wish]);
            begun["authUrl"].is_string()
        });
        begun
    };
    // The person thinks to be at evil's and consents at acme's, whose code then comes with evil's state.
    let page = text(&begun, "authUrl").replace("login.evil.example", "login.acme.example");
    house.oidc.browser(&house.world, "alice").consent(&page, "alice");
    let came = asked.recv().unwrap();
    assert!(came.contains("provider=evil") && came.contains("error=connection_failed"), "{came}");
    assert_eq!(house.status(&begun), "failed");
}
