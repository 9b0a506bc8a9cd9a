//! What of our own environment the command gets: no credential, nothing of Nexus, nothing that leads around the proxy.

use std::ffi::{OsStr, OsString};

use super::Job;

/// What `--clean` starts from.
const CLEAN: [&str; 7] = ["PATH", "HOME", "TERM", "LANG", "USER", "SHELL", "TMPDIR"];

/// Variables in which well-known tools and SDKs look for a credential, or for a file with one.
const CREDENTIALS: &str = "\
    ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_RUNTIME_TOKEN AIRTABLE_API_KEY AIRTABLE_TOKEN ANTHROPIC_API_KEY \
    ANTHROPIC_AUTH_TOKEN APOLLO_API_KEY ASANA_ACCESS_TOKEN ATLASSIAN_API_TOKEN BITBUCKET_TOKEN BREVO_API_KEY \
    BUNDLE_RUBYGEMS__PKG__GITHUB__COM CARGO_REGISTRY_TOKEN CI_JOB_TOKEN CIRCLE_TOKEN CLAUDE_CODE_OAUTH_TOKEN \
    CLOUDFLARE_API_KEY CLOUDFLARE_API_TOKEN CODECOV_TOKEN COHERE_API_KEY CO_API_KEY COMPOSER_AUTH DATADOG_API_KEY DD_API_KEY \
    DD_APP_KEY DEEPSEEK_API_KEY DIGITALOCEAN_ACCESS_TOKEN DISCORD_TOKEN DOCKER_AUTH_CONFIG DOCKER_PASSWORD DOPPLER_TOKEN \
    FASTLY_API_TOKEN FIGMA_TOKEN FLY_API_TOKEN GEMINI_API_KEY GH_ENTERPRISE_TOKEN GH_TOKEN GITHUB_ENTERPRISE_TOKEN \
    GITHUB_PAT GITHUB_PERSONAL_ACCESS_TOKEN GITHUB_TOKEN GITLAB_TOKEN GOOGLE_API_KEY GOOGLE_APPLICATION_CREDENTIALS \
    GOOGLE_CREDENTIALS GROQ_API_KEY HEROKU_API_KEY HF_TOKEN HOMEBREW_GITHUB_API_TOKEN HUBSPOT_ACCESS_TOKEN HUBSPOT_API_KEY \
    HUGGING_FACE_HUB_TOKEN HUGGINGFACE_TOKEN JIRA_API_TOKEN LANGCHAIN_API_KEY LANGSMITH_API_KEY LINEAR_API_KEY \
    MAILCHIMP_API_KEY MAILGUN_API_KEY MISTRAL_API_KEY NETLIFY_AUTH_TOKEN NEW_RELIC_API_KEY NODE_AUTH_TOKEN NOTION_API_KEY \
    NOTION_TOKEN NPM_TOKEN NUGET_API_KEY OPENAI_ADMIN_KEY OPENAI_API_KEY OPENROUTER_API_KEY OP_SERVICE_ACCOUNT_TOKEN \
    PERPLEXITY_API_KEY PINECONE_API_KEY PULUMI_ACCESS_TOKEN PYPI_TOKEN REPLICATE_API_TOKEN SENDGRID_API_KEY \
    SENTRY_AUTH_TOKEN SNYK_TOKEN TAVILY_API_KEY TELEGRAM_BOT_TOKEN TOGETHER_API_KEY TWILIO_API_SECRET TWILIO_AUTH_TOKEN \
    TWINE_PASSWORD UV_PUBLISH_TOKEN VAULT_TOKEN VERCEL_TOKEN XAI_API_KEY ZAPIER_API_KEY";

/// Families of variables: what they begin with and end in.
const FAMILIES: [(&str, &str); 10] = [
    ("AWS_", ""),
    ("AZURE_", "_KEY"),
    ("AZURE_", "_SECRET"),
    ("AZURE_", "_TOKEN"),
    ("CARGO_REGISTRIES_", "_TOKEN"),
    ("GIT_CONFIG_", ""), // `http.extraHeader` with a token, or `http.proxy`
    ("SLACK_", "_SECRET"),
    ("SLACK_", "_TOKEN"),
    ("STRIPE_", ""),
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

/// The variables of `all` that the command gets; those of the proxy are put on top.
pub(super) fn passed_on(all: impl Iterator<Item = (OsString, OsString)>, job: &Job<'_>) -> Vec<(OsString, OsString)> {
    all.filter(|(name, _)| passes(name, job)).collect()
}

fn passes(name: &OsStr, job: &Job<'_>) -> bool {
    // A name that is not text is none of the known ones.
    let Some(name) = name.to_str() else { return !job.clean };
    if name.starts_with("NEXUS_") {
        return false;
    }
    if job.keep.iter().any(|kept| kept == name) {
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
    lists(CREDENTIALS, name) || (FAMILIES.iter().any(family) && !lists(HARMLESS, name))
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
