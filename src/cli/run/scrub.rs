//! What of our own environment the command gets: no credential, nothing of Nexus, nothing that leads around the proxy.

use std::ffi::{OsStr, OsString};

use super::Job;

/// What `--clean` starts from.
const CLEAN: [&str; 7] = ["PATH", "HOME", "TERM", "LANG", "USER", "SHELL", "TMPDIR"];

/// Variables in which well-known tools and SDKs look for a credential, or for a file with one.
const CREDENTIALS: &str = "\
    BUNDLE_RUBYGEMS__PKG__GITHUB__COM COMPOSER_AUTH DD_APP_KEY DOCKER_AUTH_CONFIG GITHUB_PAT MYSQL_PWD OPENAI_ADMIN_KEY \
    PGPASSWORD REDISCLI_AUTH SSHPASS";

/// What the names of credentials end in, whoever made them up. Compared without case.
const ENDINGS: [&str; 9] =
    ["_ACCESS_KEY", "_API_KEY", "_CREDENTIALS", "_PASSPHRASE", "_PASSWORD", "_PRIVATE_KEY", "_SECRET", "_SECRET_KEY", "_TOKEN"];

/// Families of variables: what they begin with and end in.
const FAMILIES: [(&str, &str); 9] = [
    ("AWS_", ""),
    ("AZURE_", "_KEY"),
    ("GIT_CONFIG_", ""), // `http.extraHeader` with a token, or `http.proxy`
    ("SLACK_WEBHOOK", ""),
    ("STRIPE_", ""),
    ("npm_config_", "_auth"),
    ("npm_config_", "_authToken"),
    ("npm_config_", "_password"),
    ("npm_config_//", ""),
];

/// Members of a family that say no secret.
const HARMLESS: &str = "\
    AWS_CLI_AUTO_PROMPT AWS_DEFAULT_OUTPUT AWS_DEFAULT_REGION AWS_MAX_ATTEMPTS AWS_PAGER AWS_REGION AWS_RETRY_MODE \
    GIT_CONFIG_GLOBAL GIT_CONFIG_NOSYSTEM GIT_CONFIG_SYSTEM";

/// Variables that beat the proxy and CA variables we set. Compared without case.
const AROUND: &str = "\
    CARGO_HTTP_PROXY FTP_PROXY GIT_PROXY_COMMAND GIT_SSL_CAPATH GIT_SSL_NO_VERIFY GLOBAL_AGENT_HTTP_PROXY GRPC_PROXY \
    HTTPS_CA_FILE NO_GRPC_PROXY NODE_TLS_REJECT_UNAUTHORIZED NPM_CONFIG_HTTPS_PROXY NPM_CONFIG_NOPROXY \
    NPM_CONFIG_PROXY PIP_PROXY";

/// What of Nexus `--keep` brings back: a program of JarvisCore finds the gateway by these, which gives it placeholders.
const FOR_PROGRAMS: [&str; 2] = ["NEXUS_GATEWAY_API_KEY", "NEXUS_GATEWAY_URL"];

/// # Errors
/// When `keep` names a variable of Nexus that no command may have.
pub(super) fn may_keep(keep: &[String]) -> anyhow::Result<()> {
    let refused = keep.iter().find(|name| name.starts_with("NEXUS_") && !FOR_PROGRAMS.contains(&name.as_str()));
    let Some(name) = refused else { return Ok(()) };
    anyhow::bail!("--keep takes no {name}: of Nexus's own variables a command gets {} alone", FOR_PROGRAMS.join(" and "))
}

/// The variables of `all` that the command gets; those of the proxy are put on top.
pub(super) fn passed_on(all: impl Iterator<Item = (OsString, OsString)>, job: &Job<'_>) -> Vec<(OsString, OsString)> {
    all.filter(|(name, _)| passes(name, job)).collect()
}

fn passes(name: &OsStr, job: &Job<'_>) -> bool {
    // A name that is not text is none of the known ones.
    let Some(name) = name.to_str() else { return !job.clean };
    let kept = job.keep.iter().any(|kept| kept == name);
    if name.starts_with("NEXUS_") {
        return kept && FOR_PROGRAMS.contains(&name);
    }
    if kept {
        return true;
    }
    if job.clean {
        return CLEAN.contains(&name);
    }
    let upper = name.to_ascii_uppercase();
    let credential = is_credential(name) || job.credentials.iter().any(|known| known == name);
    !credential && !lists(AROUND, &upper)
}

fn lists(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|known| known == name)
}

fn is_credential(name: &str) -> bool {
    let family = |(start, end): &(&str, &str)| name.starts_with(start) && name.ends_with(end);
    let upper = name.to_ascii_uppercase();
    let ending = ENDINGS.iter().any(|end| upper.ends_with(end) || end.strip_prefix('_') == Some(upper.as_str()));
    lists(CREDENTIALS, name) || ((ending || FAMILIES.iter().any(family)) && !lists(HARMLESS, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::env::Inputs;
    use crate::cli::run::Confine;

    fn job() -> Job<'static> {
        let inputs = Inputs {
            proxy: "127.0.0.1:8091".into(),
            java_proxy: None,
            agent: None,
            bundle: "/h/ca-bundle.pem".into(),
            ca: "/h/ca.pem".into(),
            helpers: "/h/env".into(),
            no_proxy_extra: Vec::new(),
            placeholders: Vec::new(),
            inherited: &|_| None,
        };
        Job {
            inputs,
            home: "/h".into(),
            command: "true".into(),
            args: Vec::new(),
            clean: false,
            keep: Vec::new(),
            credentials: vec!["ACME_KEY".into()],
            confine: Confine::Off,
            warn: &|_| (),
        }
    }

    fn passed(names: &[&str], job: &Job<'_>) -> Vec<String> {
        let all = names.iter().map(|name| (OsString::from(name), OsString::from("x")));
        passed_on(all, job).into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn credentials_and_what_is_nexus_own_stay_behind() {
        let names = [
            "NEXUS_SECRET",
            "NEXUS__PROXY__LISTEN",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_PROFILE",
            "SLACK_BOT_TOKEN",
            "STRIPE_SECRET_KEY",
            "ACME_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "AWS_REGION",
            "EDITOR",
            "SLACK_CHANNEL",
        ];
        assert_eq!(passed(&names, &job()), ["AWS_REGION", "EDITOR", "SLACK_CHANNEL"]);
    }

    #[test]
    fn a_name_that_nobody_knows_is_a_credential_by_its_ending() {
        let names = [
            "TOKEN",
            "MY_TOKEN",
            "my_service_password",
            "npm_config__authToken",
            "npm_config__auth",
            "PGPASSWORD",
            "SLACK_WEBHOOK_URL",
            "ACME_API_KEY",
            "DATABASE_URL",
            "SSH_AUTH_SOCK",
            "TOKENIZERS_PARALLELISM",
            "npm_config_registry",
        ];
        let stays = ["DATABASE_URL", "SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM", "npm_config_registry"];
        assert_eq!(passed(&names, &job()), stays);
    }

    #[test]
    fn what_leads_around_the_proxy_stays_behind_in_either_case() {
        assert_eq!(
            passed(&["npm_config_https_proxy", "GRPC_PROXY", "grpc_proxy", "npm_config_registry"], &job()),
            ["npm_config_registry"]
        );
    }

    #[test]
    fn keep_brings_a_credential_back_but_nothing_of_nexus() {
        let job = Job { keep: vec!["GH_TOKEN".into(), "NEXUS_SECRET".into()], ..job() };
        assert_eq!(passed(&["GH_TOKEN", "NEXUS_SECRET", "NPM_TOKEN"], &job), ["GH_TOKEN"]);
    }

    #[test]
    fn keep_brings_back_what_a_program_finds_the_gateway_by() {
        let names =
            ["NEXUS_GATEWAY_URL", "NEXUS_GATEWAY_API_KEY", "NEXUS_GATEWAY_KEY", "NEXUS_GATEWAY_KEY_FILE", "NEXUS_SECRET"];
        assert!(passed(&names, &job()).is_empty());
        let all = || names.map(str::to_owned).to_vec();
        for clean in [false, true] {
            assert_eq!(passed(&names, &Job { keep: all(), clean, ..job() }), names[..2]);
        }
        may_keep(&all()[..2]).unwrap();
        for name in &names[2..] {
            let error = may_keep(&["GH_TOKEN".into(), (*name).into()]).unwrap_err().to_string();
            assert!(error.contains(&format!("no {name}:")), "{error}");
        }
    }

    #[test]
    fn clean_passes_seven_names_and_what_is_kept() {
        let job = Job { clean: true, keep: vec!["EDITOR".into()], ..job() };
        assert_eq!(passed(&["PATH", "EDITOR", "PWD", "LANG"], &job), ["PATH", "EDITOR", "LANG"]);
    }

    #[test]
    fn no_name_is_listed_twice() {
        let mut names: Vec<_> = [CREDENTIALS, HARMLESS, AROUND].iter().flat_map(|list| list.split_ascii_whitespace()).collect();
        let before = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
