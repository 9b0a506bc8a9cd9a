//! What a person can do about an error: the hint below it.

use nexus::app::login;
use nexus::app::{BuildError, HomeError, InitError, PendingError, SecretError};
use nexus::{seal, vault};

use super::context::Hint;

const SECRET: &str =
    "the secret comes from NEXUS_SECRET, else NEXUS_SECRET_FILE, else $NEXUS_HOME/.env; `nexus status` shows what opens";

/// The hint for `error` or the first of its causes that there is something to say about.
pub(super) fn advice(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let hint = cause.downcast_ref::<Hint>().map(|hint| format!("run `{}`", hint.command));
        let built = || cause.downcast_ref().and_then(on_build);
        let made = || cause.downcast_ref().and_then(on_init);
        let stored = || cause.downcast_ref().and_then(on_vault);
        let sealed = || cause.downcast_ref().and_then(on_seal);
        let secret = || cause.downcast_ref().and_then(on_secret);
        let configured = || cause.downcast_ref().and_then(on_config);
        let consented = || cause.downcast_ref::<login::Error>().and_then(login::Error::advice);
        hint.or_else(configured).or_else(|| {
            built().or_else(made).or_else(stored).or_else(sealed).or_else(secret).or_else(consented).map(str::to_owned)
        })
    })
}

/// What is written where a parser says only what it would have liked.
const WRITTEN: [(&str, &str); 5] = [
    ("not an address", "an address is an IP and a port in quotes, \"127.0.0.1:8091\"; a name such as localhost is none"),
    ("a size such as", "a size is written in quotes: \"512KiB\", \"1MiB\""),
    ("expected a list", "a list stands in brackets: [\"127.0.0.1:8091\"]"),
    ("expected true or false", "write true or false, without quotes"),
    ("expected a table { ", "pairs stand in braces: { ci = \"127.0.0.1:8092\" }"),
];
/// As alike as two names must be to be taken for a slip of the finger.
const ALIKE: f64 = 0.8;

/// The words of `nexus.toml`: how a value is written, or which key was meant.
fn on_config(error: &HomeError) -> Option<String> {
    let HomeError::Config(error) = error else { return None };
    let text = error.to_string();
    let written = WRITTEN.iter().find(|(word, _)| text.contains(word)).map(|(_, advice)| (*advice).to_owned());
    written.or_else(|| meant(&text))
}

/// ``unknown key `a`, expected one of `b`, `c` `` names all that there is.
fn meant(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("unknown key ")?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    let scored = names.map(|name| (strsim::jaro_winkler(wrong, name), name)).filter(|(score, _)| *score >= ALIKE);
    let best = scored.max_by(|one, two| one.0.total_cmp(&two.0));
    best.map(|(_, name)| format!("did you mean `{name}`?"))
}

fn on_build(error: &BuildError) -> Option<&'static str> {
    match error {
        BuildError::Pending(PendingError::InUse(_)) => Some(
            "stop that one, or start this one without a gateway: gateway.enabled = false, or NEXUS__GATEWAY__ENABLED=false",
        ),
        BuildError::NoAgents => Some("run `nexus agent add NAME` for each caller"),
        BuildError::WeakSecret => Some("set NEXUS_SECRET, or NEXUS_SECRET_FILE to a file with it, before the home is made"),
        BuildError::Init(error) => on_init(error),
        _ => None,
    }
}

fn on_init(error: &InitError) -> Option<&'static str> {
    match error {
        InitError::Secret(error) => on_secret(error),
        InitError::Sealed(error) => on_seal(error),
        InitError::OtherSecret => Some(SECRET),
        _ => None,
    }
}

fn on_vault(error: &vault::Error) -> Option<&'static str> {
    match error {
        vault::Error::WrongSecretOrDamaged(_) => Some(SECRET),
        vault::Error::NothingToImport(_) => Some("run `nexus import jarviscore --folder FOLDER`"),
        _ => None,
    }
}

fn on_seal(error: &seal::Error) -> Option<&'static str> {
    matches!(error, seal::Error::WrongKeyOrDamaged).then_some(SECRET)
}

fn on_secret(error: &SecretError) -> Option<&'static str> {
    match error {
        SecretError::File { .. }
        | SecretError::Descriptor { .. }
        | SecretError::Missing(_)
        | SecretError::Unusable(_)
        | SecretError::None => Some(SECRET),
        SecretError::Home(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_found_below_other_causes_and_behind_transparent_ones() {
        let wrong = || vault::Error::WrongSecretOrDamaged("/h/nexus.enc".into());
        for error in [
            anyhow::Error::from(wrong()).context("cannot list"),
            BuildError::Vault(wrong()).into(),
            BuildError::Init(InitError::Sealed(seal::Error::WrongKeyOrDamaged)).into(),
            InitError::Secret(SecretError::None).into(),
            SecretError::Missing("/nope".into()).into(),
        ] {
            assert_eq!(advice(&error).as_deref(), Some(SECRET), "{error:?}");
        }
        for (text, word) in [
            ("[proxy]\nlisten = [\"localhost:0\"]", "an IP and a port"),
            ("[proxy]\nlisten = \"127.0.0.1:1\"", "a list stands in brackets"),
            ("[limits]\nhead_size = 4096.5", "a size is written in quotes"),
            ("[proxy]\nlissten = []", "did you mean `listen`?"),
            ("[upstream]\nhttp2 = \"yes\"", "true or false"),
        ] {
            let error = HomeError::from(nexus::app::Config::parse("nexus.toml", text, &[]).unwrap_err());
            let said = advice(&anyhow::Error::from(error)).unwrap_or_default();
            assert!(said.contains(word), "{text} {said}");
        }
        let hint = anyhow::Error::from(Hint::new("x", "nexus list")).context("y");
        assert_eq!(advice(&hint).as_deref(), Some("run `nexus list`"));
        assert_eq!(advice(&anyhow::anyhow!("odd")), None);
    }
}
