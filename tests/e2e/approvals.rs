//! Requests that a rule holds for a person's word: what the person sees, what an answer does, and what nobody gets around.

use std::time::{Duration, Instant};

use http::{Method, Request};
use nexus::app::GatewayKeyKind;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::attack::{HOST, KEY, home, service};
use crate::harness::{
    Authority, Body, Builder, Caller, Gateway, Nexus, Offers, Program, Reply, SECRET, Upstream, channel, eventually, full,
    request, run,
};

mod answers;
mod bounds;
mod hook;
mod later;
mod watched;

const RULE: &str = "[[rule]]\nname = \"ask first\"\nprovider = \"acme\"\nmethods = [\"POST\", \"DELETE\"]\naction = \"approve\"\ntimeout = \"50s\"\nsummary = \"Writes to the shop\"\n";

/// A proxy whose rules want a person's word, the service behind it, and the person.
struct Scene {
    service: Upstream,
    nexus: Nexus,
    person: Gateway,
    caller: Caller,
    token: String,
}

async fn scene(rules: &str) -> Scene {
    scene_with(rules, |builder| builder).await
}

async fn scene_with(rules: &str, more: impl FnOnce(Builder) -> Builder) -> Scene {
    let ca = Authority::new();
    let service = service(&ca, Offers::Both).await;
    let (builder, token) = more(home(&ca, &service).config(rules)).gateway().agent("ci", |agent| {
        agent.user = Some("alice".parse().expect("a name"));
    });
    let (builder, admin) = builder.key("boss", GatewayKeyKind::Admin, |_key| {});
    let nexus = builder.register("acme:alice", &[("api_key", KEY)]).start();
    nexus.home().announce_gateway(&nexus.local_gateway()).expect("a file");
    let (person, caller) = (nexus.gateway().key(&admin), Caller::new(&nexus).agent("ci", &token));
    Scene { service, nexus, person, caller, token }
}

impl Scene {
    /// The questions that wait, once there are so many.
    async fn waiting(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let all = self.person.get("/api/approvals").await.json();
            let items = all["items"].as_array().expect("a list").iter().filter(|item| item["status"] == "waiting");
            let items: Vec<Value> = items.cloned().collect();
            if items.len() == count && all["waiting"] == count {
                return items;
            }
            assert!(Instant::now() < deadline, "{count} wait: {all}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The one that waits.
    async fn question(&self) -> (String, Value) {
        let item = self.waiting(1).await.remove(0);
        (item["id"].as_str().expect("an id").to_owned(), item)
    }

    async fn answer(&self, id: &str, body: Value) -> Value {
        let said = self.person.ask("POST", &format!("/api/approvals/{id}"), Some(&body)).await;
        assert_eq!(said.status, 200, "{said:?}");
        said.json()
    }

    /// Sends it on a stream of its own, which waits.
    fn send(&self, request: Request<Body>) -> JoinHandle<Reply> {
        let caller = self.caller.clone();
        tokio::spawn(async move { caller.send(request).await })
    }

    fn post(&self, path: &str, body: &str) -> JoinHandle<Reply> {
        self.send(post(path, body))
    }
}

fn post(path: &str, body: &str) -> Request<Body> {
    let mut request = request(Method::POST, &format!("https://{HOST}{path}"), full(body.to_owned()));
    request.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    request
}

fn document(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}

/// The note that says why it was refused.
async fn refused(scene: &Scene, path: &str, reply: &Reply) -> String {
    assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{reply:?}");
    assert_eq!(document(reply)["rule"], "ask first");
    scene.nexus.notes(path).await.pop().expect("a note")
}

/// What a command of this machine says, and whether it went well.
async fn command(nexus: &Nexus, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    command.args(arguments).env("NEXUS_HOME", nexus.home().path()).env("NEXUS_SECRET", SECRET);
    let output = command.kill_on_drop(true).output().await.expect("the binary");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}
