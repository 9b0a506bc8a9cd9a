//! `nexus init`.

use nexus::app::init;
use serde_json::json;

use super::context::Context;
use super::terminal::{Terminal, WEAK_SECRET};

/// The commented example becomes the first `nexus.toml`.
pub(super) const EXAMPLE: &str = include_str!("../../config/nexus.example.toml");

pub(super) fn run(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let made = init(&context.home, &|name| context.variable_or_secret(name), EXAMPLE, &host_name())?;
    if made.weak_secret {
        terminal.warn(WEAK_SECRET);
    }
    let home = context.home.path().display();
    terminal.either(&json!({ "home": home.to_string(), "made": made.files, "ca_sha256": made.fingerprint }), || {
        let files = if made.files.is_empty() { "nothing, everything is there".to_owned() } else { made.files.join(", ") };
        Terminal::pairs(&[("home", home.to_string()), ("made", files), ("CA SHA-256", made.fingerprint.clone())])
    })?;
    if !terminal.json {
        terminal.hint("next: `nexus register github` (or any of `nexus providers list`)");
        terminal.hint("then: `nexus run -- curl https://api.github.com/user`");
    }
    Ok(())
}

/// What the certificate authority is called after.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
