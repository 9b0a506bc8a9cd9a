//! The rule that lets on what another one asks a person about, and no more than the request that was asked about.

use super::file::read;
use super::rule::Rule;
use crate::model::{AgentName, Authority, Glob};

/// What the rule speaks of: these words, and all that the one says which asks.
#[derive(Debug)]
pub(crate) struct Narrow<'a> {
    pub(crate) agent: &'a AgentName,
    pub(crate) authority: &'a Authority,
    pub(crate) method: &'a str,
    pub(crate) paths: &'a Glob,
}

impl Rule {
    /// A rule, as TOML, that lets on what this one speaks of and `narrow` too. It keeps this one's other conditions, so it lets on nothing
    /// that this one does not ask about. `None` where no rule can say it: of paths that this one says nothing of, of a method in small
    /// letters, and of parts of paths that this one names unless all of the path is said.
    pub(crate) fn allowing(&self, narrow: &Narrow<'_>) -> Option<String> {
        let Narrow { agent, authority, method, paths } = narrow;
        // A pattern may reach beyond the paths that the rule asks about.
        if !self.row.paths.is_empty() && !paths.is_literal() && !self.row.paths.iter().any(|own| own.covers(paths)) {
            return None;
        }
        let paths = paths.to_string();
        let mut table: toml::Table = toml::from_str(&self.text()).ok()?;
        let mut keys = table.remove("rule")?.as_array()?.first()?.as_table()?.clone();
        for of_asking in ["name", "timeout", "summary", "reason", "mode"] {
            keys.remove(of_asking);
        }
        if keys.remove("parts").is_some() && paths.contains(['*', '{']) {
            return None;
        }
        let said = [("agents", agent.as_str()), ("hosts", &authority.host.to_string()), ("methods", method), ("paths", &paths)];
        keys.extend(said.map(|(key, word)| (key.to_owned(), word.into())));
        keys.insert("ports".to_owned(), i64::from(authority.port).into());
        keys.insert("action".to_owned(), "allow".into());
        let rules = toml::Table::from_iter([("rule".to_owned(), toml::Value::Array(vec![keys.into()]))]);
        // Read as any other, so what is shown is a rule.
        Some(read("suggested", &rules.to_string()).ok()?.first()?.text())
    }
}

#[cfg(test)]
mod tests {
    use super::super::gather;
    use super::*;

    fn allowing(asking: &str, method: &str, paths: &str) -> Option<String> {
        let rows = read("p.toml", &format!("[[rule]]\n{asking}\naction = \"approve\"\n")).expect("rules");
        let rules = gather(vec![("p.toml".to_owned(), rows)]).expect("rules");
        let (agent, authority) = ("ci".parse().expect("a name"), Authority::parse("api.a.test:8443", None).expect("a place"));
        let narrow = Narrow { agent: &agent, authority: &authority, method, paths: &paths.parse().expect("a pattern") };
        rules.first()?.allowing(&narrow)
    }

    #[test]
    fn it_is_narrower_than_the_rule_that_asks() {
        let asking = "name = \"big\"\nhosts = \"*.a.test\"\nmethods = [\"POST\", \"PUT\"]\nlarger_than = \"1MiB\"\ncontent_types = \"text/*\"\n\
                      timeout = \"9m\"\nsummary = \"large ones\"\nreason = \"no\"";
        let text = allowing(asking, "PUT", "/x/*").expect("a rule");
        for line in [
            "agents = \"ci\"",
            "hosts = \"api.a.test\"",
            "ports = 8443",
            "methods = \"PUT\"",
            "paths = \"/x/*\"",
            "content_types = \"text/*\"",
            "action = \"allow\"",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert!(text.starts_with("[[rule]]\n") && text.contains("larger_than = "), "{text}");
        assert!(["name", "timeout", "summary", "reason", "POST"].iter().all(|word| !text.contains(word)), "{text}");
        assert_eq!(read("again", &text).map(|rows| rows.len()).ok(), Some(1));
    }

    #[test]
    fn i2_it_speaks_of_no_path_that_nobody_would_be_asked_about() {
        let pay = "paths = [\"/pay/**\", \"/refund/*\"]";
        for (paths, said) in [
            ("/pay/*", true),
            ("/pay/a/**", true),
            ("/refund/*", true),
            ("/**", false),
            ("/refund/**", false),
            ("/*/z2", false),
        ] {
            assert_eq!(allowing(pay, "POST", paths).is_some(), said, "{paths}");
        }
        assert!(allowing("hosts = \"api.a.test\"", "POST", "/**").is_some(), "the rule asks about every path");
    }

    #[test]
    fn what_no_rule_can_say_is_none() {
        let parts = "paths = \"/repos/{owner}/**\"\nparts = { owner = [\"acme\"] }";
        assert_eq!(allowing(parts, "GET", "/repos/*/x"), None, "it would let on other owners");
        assert!(allowing(parts, "GET", "/repos/acme/x").is_some_and(|text| !text.contains("parts")));
        assert_eq!(allowing("hosts = \"api.a.test\"", "get", "/x"), None);
    }
}
