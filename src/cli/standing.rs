//! How each connection stands: from the vault, the providers' files, and what proxies noted of its use.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use nexus::app::Standing;
use nexus::app::config::Config;
use nexus::model::ConnectionId;
use nexus::provider::Catalogue;
use nexus::vault::{Entry, Status};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::terminal::Terminal;
use super::when;

/// What it takes to say it.
pub(super) struct Standings {
    catalogue: Catalogue,
    used: HashMap<ConnectionId, SystemTime>,
    now: SystemTime,
    ahead: Duration,
}

/// What is told of one.
pub(super) struct Told {
    pub(super) status: Status,
    /// It is an app that people log in by, and no credential.
    pub(super) app: bool,
    used_at: Option<SystemTime>,
    renews_at: Option<SystemTime>,
    now: SystemTime,
}

/// For people who look at one app.
pub(super) fn app_in_words() -> String {
    "app: no credential until somebody runs `nexus login`".to_owned()
}

impl Standings {
    /// As of now. What can't be read besides the vault is told of, or left out: a list is there for trouble too.
    pub(super) fn look(context: &Context, terminal: &Terminal) -> Self {
        let (catalogue, _mistakes) = Catalogue::with_user_folder(&context.home.providers());
        let used = context.home.uses().read().unwrap_or_else(|error| {
            terminal.warn(&format!("when connections were used last is not known: {error}"));
            HashMap::new()
        });
        let config = context.config().unwrap_or_else(|_told_elsewhere| Config::default());
        Self { catalogue, used, now: SystemTime::now(), ahead: Duration::from_secs(config.renewal.ahead_secs) }
    }

    pub(super) fn of(&self, id: &ConnectionId, entry: &Entry) -> Told {
        let Standing { status, renews_at } =
            Standing::of(entry, self.catalogue.get(id.provider()).map(|provider| &**provider), self.now, self.ahead);
        // What was used before it was registered anew was another credential; the file knows whole seconds.
        let begun = entry.registered_at.and_then(|at| at.checked_sub(Duration::from_secs(1)));
        let used = self.used.get(id).copied().filter(|at| begun.is_none_or(|begun| *at >= begun));
        Told { status, app: entry.is_app_alone(), used_at: used, renews_at, now: self.now }
    }
}

impl Told {
    /// Adds it to what is told in JSON.
    pub(super) fn write(&self, facts: &mut Map<String, Value>) {
        let time = |time: Option<SystemTime>| json!(time.map(when::show));
        facts.insert("status".to_owned(), json!(self.status.as_str()));
        facts.insert("app".to_owned(), json!(self.app));
        facts.insert("last_used_at".to_owned(), time(self.used_at));
        facts.insert("next_renewal_at".to_owned(), time(self.renews_at));
    }

    /// For columns of a table.
    pub(super) fn cells(&self) -> [String; 3] {
        let status = if self.app { "app" } else { self.status.as_str() };
        [status.to_owned(), when::minute(self.used_at), self.renewal()]
    }

    /// For lines of their own.
    pub(super) fn lines(&self) -> [(&'static str, String); 3] {
        let [status, _, renewal] = self.cells();
        let status = if self.app { app_in_words() } else { status };
        [("Status", status), ("Last used", when::or_dash(self.used_at)), ("Renews", renewal)]
    }

    fn renewal(&self) -> String {
        if self.renews_at == Some(self.now) { "at its next use".to_owned() } else { when::minute(self.renews_at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_alone_does_not_look_alive() {
        let told = |app| Told { status: Status::Active, app, used_at: None, renews_at: None, now: SystemTime::UNIX_EPOCH };
        assert_eq!(told(false).cells()[0], "active");
        assert_eq!(told(true).cells()[0], "app");
        assert!(told(true).lines()[0].1.contains("nexus login"));
        let mut facts = Map::new();
        told(true).write(&mut facts);
        assert_eq!((&facts["status"], &facts["app"]), (&json!("active"), &json!(true)));
    }
}
