//! The ends of every range in `nexus.toml`: what is not refused works.

use crate::attack::{home, service};
use crate::harness::{Authority, Caller, Offers, Upstream, run};

/// Section, key, lowest and highest value of every number, as the example file documents them.
fn ranges() -> Vec<(String, String, String, String)> {
    let text = include_str!("../../config/nexus.example.toml");
    let (_, table) = text.split_once("From where to where").expect("the table");
    let mut section = String::new();
    let mut found = Vec::new();
    for line in table.lines().skip(1).take_while(|line| line.starts_with("#   ")) {
        let (name, entries) = line.trim_start_matches('#').split_at(14);
        if !name.trim().is_empty() {
            name.trim().clone_into(&mut section);
        }
        for entry in entries.split(" · ") {
            let words: Vec<&str> = entry.split_whitespace().collect();
            let value = |text: &str| if text.parse::<u64>().is_ok() { text.to_owned() } else { format!("\"{text}\"") };
            found.push((section.clone(), words[0].to_owned(), value(words[1]), value(words[3])));
        }
    }
    assert!(found.len() > 45, "{found:?}");
    found
}

async fn works(ca: &Authority, service: &Upstream, config: &str) {
    let nexus = home(ca, service).config("[limits]\ndrain_secs = 0").config(config).start();
    let reply = Caller::new(&nexus).get("https://api.acme.test/").await;
    assert_eq!(reply.status, 200, "{config}: {reply:?}");
}

#[test]
fn i7_the_least_of_every_number_serves_a_request() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        for (section, key, low, _high) in ranges() {
            let more = match key.as_str() {
                "head_size" => "target_size = \"256B\"",
                "spool" => "spool_file = \"64KiB\"",
                _ => "",
            };
            works(&ca, &service, &format!("[{section}]\n{key} = {low}\n{more}")).await;
        }
    });
}

#[test]
fn i7_the_most_of_every_number_at_once_serves_a_request() {
    run(async {
        let ca = Authority::new();
        let service = service(&ca, Offers::Both).await;
        let mut config = String::new();
        // More threads than a machine may give are no bound of ours, and the test does not wait a day for its end.
        for (section, key, _low, high) in ranges().into_iter().filter(|(_, key, ..)| key != "workers" && key != "drain_secs") {
            config.push_str(&format!("{section}.{key} = {high}\n"));
        }
        works(&ca, &service, &config).await;
    });
}
