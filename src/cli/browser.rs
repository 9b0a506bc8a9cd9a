//! The person's browser, opened by whatever this desktop opens pages with.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// A launcher that has not failed by then is at work.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether some launcher took `url`. It gets none of our variables, which may be secret.
pub(super) async fn open(url: &str) -> bool {
    for command in open::commands(url) {
        let mut command = Command::from(command);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEXUS_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { continue };
        match timeout(PATIENCE, child.wait()).await {
            Ok(Ok(status)) if !status.success() => {}
            _ => return true,
        }
    }
    false
}
