//! What a person can do about an error: the hint below it.

use nexus::app::{BuildError, InitError, SecretError};
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
        hint.or_else(|| built().or_else(made).or_else(stored).or_else(sealed).or_else(secret).map(str::to_owned))
    })
}

fn on_build(error: &BuildError) -> Option<&'static str> {
    match error {
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
        let hint = anyhow::Error::from(Hint::new("x", "nexus list")).context("y");
        assert_eq!(advice(&hint).as_deref(), Some("run `nexus list`"));
        assert_eq!(advice(&anyhow::anyhow!("odd")), None);
    }
}
