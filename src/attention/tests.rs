//! The list by itself: what is one item, what has room, what is told.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::list::{MOST, MOST_OF_AGENT};
use super::need::State;
use super::nodes::{MOST_OF_NODE, MOST_OF_NODES, Report, Reported, SILENCE, TOLD_OF_NODE};
use super::*;
use crate::model::Secret;

const HOUR: Duration = Duration::from_secs(3600);

fn list(hold_limit: usize) -> (Arc<Attention>, mpsc::Receiver<Notice>) {
    Attention::new(Settings { hold: Duration::from_secs(60), hold_limit, agent_hold_limit: 2, tells: true })
}

fn need(agent: &str, connection: &str) -> Need {
    Need {
        agent: agent.parse().expect("a name"),
        user: None,
        connection: connection.parse().expect("a handle"),
        named: false,
        reason: Reason::NotRegistered,
        registered_at: None,
        words: Words {
            title: "Acme needs a credential".to_owned(),
            content: "Ask.".to_owned(),
            command: format!("nexus register {connection}"),
        },
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// The kinds of the notices that wait.
fn told(notices: &mut mpsc::Receiver<Notice>) -> Vec<String> {
    let mut words = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        let document: serde_json::Value = serde_json::from_str(&notice.body).expect("JSON");
        words.push(document["type"].as_str().expect("a word").to_owned());
    }
    words
}

#[test]
fn refusals_for_one_need_are_one_item_until_it_is_met() {
    let (attention, mut notices) = list(0);
    let first = attention.note(need("ci", "acme"), "R1", now());
    let again = attention.note(need("ci", "acme"), "R2", now() + HOUR / 2);
    let other = attention.note(need("bob", "acme"), "R3", now());
    assert_eq!((&*first, &*again, &*other), ("R1", "R1", "R3"));
    let (_, shown) = attention.find("R1").expect("an item");
    assert_eq!((shown.count, shown.status, shown.first_seen.as_str()), (2, State::Open, "2027-01-15T08:00:00Z"));
    assert_eq!(told(&mut notices), ["attention.opened", "attention.opened"]);

    attention.settle(&[(first, Standing::Met)], now() + HOUR / 2);
    assert_eq!(attention.find("R1").expect("an item").1.status, State::Resolved);
    assert_eq!(attention.find("R3").expect("an item").1.status, State::Open);
    assert_eq!(told(&mut notices), ["attention.resolved"]);
    assert_eq!(&*attention.note(need("ci", "acme"), "R4", now() + HOUR), "R1", "the same need again");
    assert_eq!(attention.find("R1").expect("an item").1.status, State::Open);
}

#[test]
fn an_item_lapses_after_an_hour_and_is_forgotten_after_another() {
    let (attention, mut notices) = list(0);
    attention.note(need("ci", "acme"), "R1", now());
    let status = || attention.find("R1").map(|(_, shown)| shown.status);
    for (after, expected) in [
        (HOUR - Duration::from_secs(1), Some(State::Open)),
        (HOUR, Some(State::Lapsed)),
        (2 * HOUR - Duration::from_secs(1), Some(State::Lapsed)),
        (2 * HOUR, None),
    ] {
        attention.settle(&[], now() + after);
        assert_eq!(status(), expected, "{after:?}");
    }
    assert_eq!(told(&mut notices), ["attention.opened", "attention.lapsed"]);
    assert_eq!(attention.pause(), None, "nothing is looked at any more");
}

#[test]
fn what_comes_and_goes_within_a_minute_is_told_once() {
    let (attention, mut notices) = list(0);
    for round in 0..10 {
        let id = attention.note(need("ci", "acme"), "R1", now() + Duration::from_secs(round));
        attention.settle(&[(id, Standing::Met)], now() + Duration::from_secs(round));
    }
    assert_eq!(told(&mut notices), ["attention.opened", "attention.resolved"]);
    for secs in [59, 60, 61] {
        attention.note(need("ci", "acme"), "R1", now() + Duration::from_secs(secs));
    }
    assert_eq!(told(&mut notices), ["attention.opened"], "it came back to stay");
}

/// Advice about acme, of a credential registered `secs` after now.
fn advice(secs: u64) -> Need {
    let registered_at = Some(now() + Duration::from_secs(secs));
    Need { reason: Reason::Refused, named: true, registered_at, ..need("ci", "acme") }
}

#[test]
fn advice_that_comes_and_goes_is_told_less_and_less() {
    let (attention, mut notices) = list(0);
    let mut calls = 0;
    for minute in 0..180 {
        let at = now() + Duration::from_secs(minute * 61);
        let item = attention.note(advice(0), "R1", at);
        attention.settle(&[(item, Standing::Met)], at + Duration::from_secs(1));
        calls += told(&mut notices).iter().filter(|word| *word == "attention.opened").count();
    }
    assert!((2..=5).contains(&calls), "{calls}");
}

#[test]
fn what_blocks_requests_ends_the_advice_about_it() {
    let (attention, _notices) = list(0);
    attention.note(advice(0), "R1", now());
    attention.note(Need { user: Some("bob".parse().expect("a name")), ..advice(0) }, "R2", now());
    attention.note(Need { reason: Reason::Attention, ..advice(0) }, "R3", now());
    let state = |id| attention.find(id).expect("an item").1.status;
    assert_eq!((state("R1"), state("R2"), state("R3")), (State::Lapsed, State::Open, State::Open));
    attention.note(advice(0), "R4", now());
    assert_eq!(state("R1"), State::Open, "what still blocks is another item");
}

#[test]
fn another_credential_that_is_no_better_is_what_the_item_is_about() {
    let (attention, _notices) = list(0);
    attention.note(advice(0), "R1", now());
    attention.note(advice(5), "R2", now());
    let (need, shown) = attention.find("R1").expect("an item");
    assert_eq!((need.registered_at, shown.count), (advice(5).registered_at, 2));
    attention.still_needed(&advice(9), now());
    assert_eq!(attention.find("R1").expect("an item").0.registered_at, advice(9).registered_at);
}

#[test]
fn i7_an_agent_that_asks_for_everything_pushes_out_its_own_and_calls_nobody_about_it() {
    let (attention, mut notices) = list(0);
    attention.note(need("quiet", "acme"), "Q", now());
    for number in 0..10_000_u64 {
        attention.note(
            need("greedy", &format!("acme:u{number}")),
            &format!("G{number}"),
            now() + Duration::from_millis(number),
        );
    }
    let all = attention.all();
    assert_eq!(all.len(), MOST_OF_AGENT + 1);
    assert!(attention.find("Q").is_some() && attention.find("G9999").is_some() && attention.find("G0").is_none());
    assert_eq!(told(&mut notices).len(), MOST_OF_AGENT + 1);
}

#[test]
fn i7_many_agents_have_a_bound_together_and_the_one_with_most_gives_way() {
    let (attention, _notices) = list(0);
    attention.note(need("quiet", "acme"), "Q", now());
    for agent in 0..2 * MOST / MOST_OF_AGENT {
        for number in 0..MOST_OF_AGENT {
            attention.note(need(&format!("a{agent}"), &format!("acme:u{number}")), &format!("{agent}-{number}"), now());
        }
    }
    assert_eq!(attention.all().len(), MOST);
    assert!(attention.find("Q").is_some());
}

#[test]
fn i7_notices_that_nobody_takes_are_counted_and_not_kept() {
    let (attention, _notices) = list(0);
    for number in 0..500 {
        attention.note(need(&format!("a{number}"), "acme"), &format!("R{number}"), now());
    }
    assert_eq!(attention.delivery.fared().dropped, 500 - 256);
}

#[tokio::test(start_paused = true)]
async fn i7_only_so_many_requests_are_held_and_of_one_agent_fewer() {
    let (attention, _notices) = list(3);
    let name = |text: &str| text.parse().expect("a name");
    let mut first = attention.hold(&name("ci")).expect("a place");
    let second = attention.hold(&name("ci")).expect("a place");
    assert!(attention.hold(&name("ci")).is_none(), "two of one agent");
    let third = attention.hold(&name("bob")).expect("a place");
    assert!(attention.hold(&name("eve")).is_none(), "three in all");
    drop((second, third));
    assert_eq!(attention.held(), 1);
    attention.vault_changed();
    assert!(first.changed().await);
    let began = tokio::time::Instant::now();
    assert!(!first.changed().await, "its time is over");
    assert_eq!(began.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_need_that_is_met_wakes_those_who_wait_whoever_found_it_met() {
    let (attention, _notices) = list(3);
    let mut held = attention.hold(&"ci".parse().expect("a name")).expect("a place");
    let id = attention.note(need("ci", "acme"), "R1", now());
    attention.settle(&[(id, Standing::Met)], now());
    assert!(held.changed().await);
    attention.still_needed(&need("ci", "acme"), now());
    assert_eq!(attention.open().len(), 1, "it was something else that was met");
}

#[test]
fn a_signature_is_that_of_the_standards_own_example() {
    let key = Key::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())).expect("a key");
    let notice = Notice { id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(), body: r#"{"test": 2432232314}"#.to_owned() };
    assert_eq!(key.sign(&notice, 1_614_265_330), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!"] {
        assert!(Key::parse(&Secret::new(text.to_owned())).is_none(), "{text}");
    }
    assert_eq!(format!("{key:?}"), "Key(..)");
}

/// What a node would tell of `connection`, as the gateway reads it.
fn told_of(attention: &Attention, (node, id): (&str, &str), connection: &str, status: State, at: SystemTime) {
    let reported = Reported {
        id: id.to_owned(),
        status,
        reason: "not_registered".to_owned(),
        connection: connection.to_owned(),
        agent: "ci".to_owned(),
        user: None,
        first_seen: 0.0,
        last_seen: f64::NAN,
        count: f64::INFINITY,
    };
    let words = |connection: &crate::model::ConnectionId, reason| Words::new("Acme", connection, reason, None, true);
    let one = reported.read(at, words).expect("an item");
    attention.take(&node.parse().expect("a name"), vec![one], at);
}

#[test]
fn what_a_node_tells_is_an_item_until_it_says_otherwise_or_nothing_any_more() {
    let (attention, mut notices) = list(0);
    told_of(&attention, ("laptop", "R1"), "acme:alice", State::Open, now());
    let (_, shown) = attention.find("R1@laptop").expect("an item");
    assert_eq!((shown.node.as_deref(), shown.command.as_str()), (Some("laptop"), "nexus login acme --user alice"));
    assert!(attention.find("R1").is_none() && attention.find("R1@other").is_none());
    assert!(attention.open().is_empty() && attention.pause().is_some(), "the vault here says nothing about it");
    told_of(&attention, ("laptop", "R2"), "acme", State::Open, now());
    attention.settle(&[], now() + SILENCE / 2);
    told_of(&attention, ("laptop", "R1"), "acme:alice", State::Open, now() + SILENCE / 2);
    attention.settle(&[], now() + SILENCE);
    let status = |id: &str| attention.find(id).map(|(_, shown)| shown.status);
    assert_eq!((status("R1@laptop"), status("R2@laptop")), (Some(State::Open), Some(State::Lapsed)), "it was silent of one");
    told_of(&attention, ("laptop", "R1"), "acme:alice", State::Resolved, now() + SILENCE);
    assert_eq!(status("R1@laptop"), Some(State::Resolved));
    assert_eq!(told(&mut notices), ["attention.opened", "attention.opened", "attention.lapsed", "attention.resolved"]);
    attention.settle(&[], now() + 2 * HOUR);
    assert_eq!((attention.all().len(), attention.pause()), (0, None));
}

#[test]
fn i7_nodes_have_a_bound_each_and_together_and_take_no_room_of_this_proxy() {
    let (attention, _notices) = list(0);
    attention.note(need("ci", "acme"), "Q", now());
    for node in 0..12 {
        for number in 0..MOST_OF_NODE + 10 {
            told_of(&attention, (&format!("n{node}"), &format!("R{number}")), "acme", State::Open, now());
        }
        let of_one = attention.all().iter().filter(|(_, shown)| shown.node == Some(format!("n{node}"))).count();
        assert_eq!(of_one, if node < 8 { MOST_OF_NODE } else { of_one });
    }
    assert_eq!(attention.all().len(), MOST_OF_NODES + 1);
    assert!(attention.find("Q").is_some());
}

#[test]
fn i7_a_node_calls_people_so_often_a_minute_whatever_it_tells() {
    let (attention, mut notices) = list(0);
    let minute = Duration::from_secs(60);
    for number in 0..300 {
        told_of(&attention, ("laptop", &format!("R{number}")), &format!("acme:u{number}"), State::Open, now());
    }
    assert_eq!(told(&mut notices).len(), TOLD_OF_NODE);
    told_of(&attention, ("other", "R1"), "acme", State::Open, now());
    assert_eq!(told(&mut notices), ["attention.opened"], "one node says nothing of another");
    for second in 0..60 {
        for state in [State::Resolved, State::Open] {
            for number in 285..300 {
                let at = now() + minute + Duration::from_secs(second);
                told_of(&attention, ("laptop", &format!("R{number}")), "acme", state, at);
            }
        }
    }
    assert!(told(&mut notices).len() <= 2 * TOLD_OF_NODE);
    attention.settle(&[], now() + HOUR);
    let ends = told(&mut notices);
    assert!(ends.len() <= 2 * TOLD_OF_NODE + 1 && ends.iter().all(|word| word == "attention.lapsed"), "{ends:?}");
}

#[test]
fn what_a_node_tells_comes_in_pieces_that_a_gateway_reads() {
    let (attention, _notices) = list(0);
    for agent in 0..3 {
        for number in 0..60 {
            let id = format!("{agent}N{number}");
            attention.note(need(&format!("a{agent}"), &format!("acme:{}{number}", "u".repeat(120))), &id, now());
        }
    }
    let reports = attention.reports();
    assert_eq!(reports.iter().map(|report| report.items.len()).sum::<usize>(), MOST_OF_NODE);
    for report in reports {
        let text = serde_json::to_vec(&report).expect("JSON");
        assert!(text.len() < 60_000, "{}", text.len());
        let read: Report = serde_json::from_slice(&text).expect("a report");
        let words = |connection: &crate::model::ConnectionId, reason| Words::new("Acme", connection, reason, None, false);
        assert!(read.items.iter().all(|one| one.read(now(), words).is_some()));
    }
}

#[test]
fn a_restart_forgets_nothing_that_somebody_may_ask_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("attention.json");
    let (before, _notices) = list(0);
    let unfit = Need { reason: Reason::Unfit, registered_at: Some(now()), ..need("ci", "acme:alice") };
    before.note(unfit, "R1", now());
    let met = before.note(need("ci", "other"), "R2", now());
    before.settle(&[(met, Standing::Met)], now());
    told_of(&before, ("laptop", "R3"), "acme", State::Open, now());
    before.write(&file).expect("a file");

    let (after, mut notices) = list(0);
    after.note(need("ci", "other"), "R9", now());
    after.take_up(&file, now()).expect("a file");
    let same = |id: &str| assert_eq!(after.find(id), before.find(id), "{id}");
    same("R1");
    same("R3@laptop");
    assert_eq!(after.find("R2"), None, "what was refused since is the same need");
    assert_eq!(read_list(&file, now()).expect("a list").len(), 3);
    let open: Vec<_> = after.open().into_iter().map(|(id, _)| (id, Standing::Met)).collect();
    told(&mut notices);
    after.settle(&open, now());
    assert_eq!(told(&mut notices), ["attention.resolved", "attention.resolved"], "nobody is called twice about what they know");
    let (late, _notices) = list(0);
    late.take_up(&file, now() + HOUR).expect("a file");
    assert!(late.find("R2").is_none() && late.find("R1").is_some(), "an hour is an hour");
}

#[test]
fn i9_a_list_that_is_damaged_is_an_empty_one_and_odd_names_in_it_are_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("attention.json");
    let (attention, _notices) = list(0);
    attention.take_up(&file, now()).expect("no file");
    attention.note(need("ci", "acme"), "R1", now());
    attention.write(&file).expect("a file");
    let text = std::fs::read_to_string(&file).expect("text");
    for (text, left) in [
        (text.clone(), 1),
        (text.replace("\"ci\"", "\"c\\u001bi\""), 0),
        (text.replace("\"acme\"", "\"a b\""), 0),
        (text[..text.len() / 2].to_owned(), 0),
        (String::new(), 0),
    ] {
        crate::disk::write_atomic(&file, text.as_bytes(), crate::disk::PRIVATE).expect("a file");
        let (attention, _notices) = list(0);
        attention.take_up(&file, now()).expect("a file");
        assert_eq!(attention.all().len(), left, "{text}");
    }
}
