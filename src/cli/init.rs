//! `nexus init`.

use nexus::app::init;
use serde_json::json;

use super::context::Context;
use super::terminal::Terminal;

/// The commented example becomes the first `nexus.toml`.
const EXAMPLE: &str = include_str!("../../config/nexus.example.toml");

pub(super) fn run(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let made = init(&context.home, &Context::variable, EXAMPLE, &host)?;
    if made.weak_secret {
        terminal
            .warn("NEXUS_SECRET is not set: the vault is sealed with this machine's hardware address, which is easy to guess");
    }
    let home = context.home.path().display();
    terminal.either(&json!({ "home": home.to_string(), "made": made.files, "ca_sha256": made.fingerprint }), || {
        let files = if made.files.is_empty() { "nothing new".to_owned() } else { made.files.join(", ") };
        format!("{home}: {files}\nCA SHA-256 {}\n", made.fingerprint)
    })?;
    if !terminal.json {
        terminal.say("Next:");
        terminal.say("  nexus register github        # or any of `nexus providers list`");
        terminal.say("  nexus run -- curl https://api.github.com/user");
    }
    Ok(())
}
