//! Where a file of the user's own stands before a provider that ships: allowed, and worth a word.

use std::fmt;

use super::catalogue::Catalogue;
use super::path::PathPattern;
use super::rule::InjectRule;
use crate::model::ProviderId;

/// Paths of one host that another provider takes over, since it spells out more of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    /// The user's own provider.
    pub provider: ProviderId,
    /// The one that ships, whose credential stops there.
    pub from: ProviderId,
    /// The host.
    pub host: String,
    /// The paths, as the user's file writes them.
    pub paths: Vec<String>,
}

impl fmt::Display for Takeover {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, from, host, paths } = self;
        let paths = paths.join(", ");
        write!(
            formatter,
            "{provider} takes {paths} of {host} over from {from}: the credential of {from} does not go there any more"
        )
    }
}

impl Catalogue {
    /// What the user's own providers take over from those that ship.
    pub fn takeovers(&self) -> Vec<Takeover> {
        let mut found = Vec::new();
        for own in self.iter().filter(|provider| !self.is_builtin(&provider.id)) {
            for shipped in self.iter().filter(|provider| self.is_builtin(&provider.id)) {
                let pairs = own.inject.iter().flat_map(|one| shipped.inject.iter().map(move |two| (one, two)));
                for (one, two) in pairs.filter(|(one, two)| one.port == two.port) {
                    let paths = before(one, two);
                    if paths.is_empty() {
                        continue;
                    }
                    let host = one.hosts.iter().find(|host| two.hosts.iter().any(|other| host.overlaps(other)));
                    if let Some(host) = host {
                        let host = host.to_string();
                        found.push(Takeover { provider: own.id.clone(), from: shipped.id.clone(), host, paths });
                    }
                }
            }
        }
        found.dedup();
        found
    }
}

/// The paths of `one` that meet a path of `two` and spell out more of it.
fn before(one: &InjectRule, two: &InjectRule) -> Vec<String> {
    let wins = |own: &PathPattern| {
        let over = |other: &PathPattern| own.specificity() > other.specificity() && own.overlaps(other);
        if two.paths.is_empty() { own.specificity() > 0 } else { two.paths.iter().any(over) }
    };
    one.paths.iter().filter(|path| wins(path)).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme(host: &str, paths: &str) -> Vec<String> {
        let mut catalogue = Catalogue::builtin();
        let text = format!(
            "name = \"acme\"\ntitle = \"Acme\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"{host}\"]\npaths = [{paths}]\nstrategy = {{ bearer = \"{{api_key}}\" }}\n"
        );
        catalogue.add("acme.toml", &text).unwrap();
        catalogue.takeovers().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_that_stands_before_one_that_ships_is_told_of_by_host_and_path() {
        let said = acme("api.openai.com", "\"/v1/**\"");
        assert_eq!(
            said,
            ["acme takes /v1/** of api.openai.com over from openai: the credential of openai does not go there any more"]
        );
        assert_eq!(acme("api.acme.example", "\"/v1/**\""), Vec::<String>::new());
        assert_eq!(Catalogue::builtin().takeovers(), []);
    }
}
