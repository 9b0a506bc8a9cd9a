//! Which fields of a connection go on its requests, for whoever hands it on without the rest.

use std::collections::BTreeSet;

use super::pattern::HostPattern;
use super::rule::{InjectRule, Provider};
use super::strategy::{Fields, Placement, present};
use super::template::Template;

impl Provider {
    /// The names of the fields that the rules put on the requests of a connection with these fields, each once: of alternatives the
    /// one that is taken. What is for renewals only is never among them: the parser of provider files sees to that.
    pub fn placed(&self, fields: Fields<'_>) -> BTreeSet<&str> {
        let has = |name: &str| present(fields, name);
        let filled = |rule: &&InjectRule| rule.placements.iter().all(|placement| placement.is_filled_by(&has));
        let templates = self.inject.iter().filter(filled).flat_map(|rule| &rule.placements).flat_map(Placement::templates);
        templates.flat_map(Template::holes).filter_map(|names| names.iter().find(|name| has(name))).map(AsRef::as_ref).collect()
    }

    /// The names of the fields that are no secret: tenants, and what the file declares to be none.
    pub fn open_fields(&self) -> BTreeSet<&str> {
        let declared = self.fields.iter().filter(|field| !field.secret && !field.file).map(|field| field.name.as_str());
        self.hosts().filter_map(HostPattern::tenant).chain(declared).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Provider, parse};
    use crate::model::{Credential, Secret};

    fn placed(provider: &Provider, fields: &[&str]) -> Vec<String> {
        let mut credential = Credential::default();
        fields.iter().for_each(|name| credential.set(name, Secret::new((*name).to_owned())));
        provider.placed(&|name| credential.field(name)).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn i11_of_keys_that_make_others_only_the_made_ones_go_on_requests() {
        let aws = parse("aws.toml", include_str!("../../config/providers/aws.toml")).expect("a provider");
        let long_lived = ["access_key_id", "secret_access_key", "region"];
        assert_eq!(placed(&aws, &long_lived), ["access_key_id", "region", "secret_access_key"]);
        let role = ["role_access_key_id", "role_secret_access_key", "role_session_token"];
        let all: Vec<&str> = long_lived.into_iter().chain(role).chain(["role_arn"]).collect();
        assert_eq!(placed(&aws, &all), ["region", "role_access_key_id", "role_secret_access_key", "role_session_token"]);
    }

    #[test]
    fn i11_what_only_renewals_need_goes_on_no_request() {
        let github = parse("github.toml", include_str!("../../config/providers/github.toml")).expect("a provider");
        assert_eq!(placed(&github, &["access_token", "refresh_token", "client_id", "client_secret"]), ["access_token"]);
        assert!(placed(&github, &["refresh_token"]).is_empty());
    }
}
