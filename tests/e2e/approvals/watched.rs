//! Held requests as who watches sees them: before the log has a line of them, among what is under way, and without the time of persons.

use super::*;
use crate::gateway::events::Events;

#[test]
fn a_held_request_is_seen_as_it_waits_and_becomes_the_one_that_went_on() {
    run(async {
        let scene = scene(RULE).await;
        let mut events = Events::of(&scene.person, "?agent=ci").await;
        let held = scene.post("/orders?token=1", "{}");
        let (none, told) = events.one("held").await;
        let (id, item) = scene.question().await;
        assert_eq!((none, &told["id"], &told["approval"]), (None, &json!(id), &json!(id)), "{told}");
        let said = ["event", "verdict", "agent", "method", "host", "path", "connection", "provider", "rule"];
        let said = said.map(|name| told[name].as_str().unwrap_or("-"));
        let words = ["held", "held", "ci", "POST", HOST, "/orders?token=", "acme:alice", "acme", "ask first"];
        assert_eq!(said, words, "{told}");
        assert!(told["expires_at"].as_str() > told["time"].as_str() && item["asked_at"].is_string(), "{told}");
        // Whoever comes later is told as well, and whoever asks for others is not.
        let mut late = Events::of(&scene.person, "?verdict=held&text=ORDERS&host=*.acme.test").await;
        assert_eq!(late.one("held").await.1["id"], told["id"]);
        let mut other = Events::of(&scene.person, "?verdict=inject").await;
        scene.answer(&id, json!({ "decision": "allow" })).await;
        assert_eq!(held.await.expect("an answer").status, 200);
        assert_eq!(events.one("released").await.1["id"], told["id"]);
        assert_eq!(events.ended().await.1["id"], told["id"]);
        assert_eq!(late.one("released").await.1["id"], told["id"]);
        assert_eq!(other.one("request").await.1["id"], told["id"], "it was never told to be held");
    });
}

#[test]
fn what_is_held_is_under_way_and_the_time_of_persons_is_nobodys_latency() {
    run(async {
        let scene = scene(RULE).await;
        let of = |totals: &Value| ["requests", "unfinished", "held", "timed"].map(|name| totals[name].as_u64().unwrap_or(99));
        let held = scene.post("/orders", "{}");
        let (id, _) = scene.question().await;
        let seen = Instant::now();
        // Whoever comes back for the answer has one already.
        let mut later = post("/later", "{}");
        later.headers_mut().insert("prefer", "respond-async".parse().expect("a value"));
        assert_eq!(scene.caller.send(later).await.status, 202);
        scene.nexus.closed("/later").await;
        let told = numbers(&scene, |totals| totals["requests"] == 2).await;
        assert_eq!(of(&told), [2, 1, 1, 0], "{told}");
        let waited = seen.elapsed();
        scene.answer(&id, json!({ "decision": "allow" })).await;
        assert_eq!(held.await.expect("an answer").status, 200);
        let line = scene.nexus.closed("/orders").await;
        let [took, persons] = ["duration_us", "held_us"].map(|name| line[name].as_u64().unwrap_or_default());
        assert!(u128::from(persons) >= waited.as_micros() && persons <= took, "{waited:?}: {line}");
        let told = numbers(&scene, |totals| totals["timed"] == 1).await;
        assert_eq!(of(&told), [2, 0, 0, 1], "{told}");
        let ours = (took - persons) + (took - persons) / 16 + 1;
        assert!(told["p99_us"].as_u64().is_some_and(|slowest| slowest <= ours), "{told} {line}");
    });
}

/// What the overview counts, once it is as `wanted`.
async fn numbers(scene: &Scene, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let totals = scene.person.get("/api/stats?range=1h").await.json()["totals"].clone();
        if wanted(&totals) {
            return totals;
        }
        assert!(Instant::now() < deadline, "{totals}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
