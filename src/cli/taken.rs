//! What a command has written and a proxy that is up takes by itself, a moment later.

use std::time::{Duration, Instant};

use super::context::Context;
use super::terminal::Terminal;

/// How long a proxy may need until it obeys what was just written, and how often that is looked at.
const TAKING: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(5);

/// Those that `behind` still names once they had the time to catch up.
pub(super) fn still<T>(behind: impl Fn() -> anyhow::Result<Vec<T>>) -> anyhow::Result<Vec<T>> {
    let mut those = behind()?;
    let began = Instant::now();
    while !those.is_empty() && began.elapsed() < TAKING {
        std::thread::sleep(LOOK);
        those = behind()?;
    }
    Ok(those)
}

/// Returns once each proxy of this home that is up knows the agents as they are written, and warns of those that don't in time.
pub(super) fn agents(context: &Context, terminal: &Terminal) -> anyhow::Result<()> {
    let behind = || {
        let digest = context.home.agents_digest()?;
        let known = context.home.announced()?.into_iter().filter_map(|one| Some((one.process, one.in_force?.agents)));
        Ok(known.filter(|(_, agents)| !agents.is_empty() && *agents != digest).map(|(process, _)| process).collect())
    };
    for process in still(behind)? {
        terminal.warn(&format!("the proxy that is up (process {process}) has not taken this yet"));
        terminal.hint(&format!("`kill -HUP {process}` has it read the files of agents now; its log says what it can't use"));
    }
    Ok(())
}
