//! `Passing`: an agent that exists as long as the process that asked for it.

use std::path::PathBuf;

use super::home::{Home, HomeError, change_file, read_agents};
use crate::agent::Registered;
use crate::disk::{self, Lock};
use crate::model::AgentName;

/// An agent in `passing.toml` that goes when this is dropped, and soon after its process was killed: a lock on a file of the agent's own says
/// that the process lives, whatever its PID namespace.
///
/// Whether callers must show a token hangs on `agents.toml` alone, which no agent of a command ever touches: one that is gone stays gone.
#[derive(Debug)]
pub struct Passing {
    home: Home,
    name: AgentName,
    _alive: Lock,
}

impl Passing {
    /// Adds `row`, which is made an ephemeral one, and takes out those of processes that have died.
    ///
    /// # Errors
    /// As [`HomeError`] says; then nothing was added.
    pub fn add(home: &Home, row: &Registered) -> Result<Self, HomeError> {
        let file = alive(home, &row.name);
        let fail = |cause| HomeError::File { path: file.clone(), cause };
        disk::create_private_dir(&home.locks()).map_err(fail)?;
        let lock = Lock::acquire(&file).map_err(fail)?;
        home.change_passing(|agents| {
            agents.retain(|row| !is_over(home, &row.name));
            agents.push(Registered { ephemeral: true, ..row.clone() });
        })?;
        Ok(Self { home: home.clone(), name: row.name.clone(), _alive: lock })
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Err(error) = self.home.change_passing(|agents| agents.retain(|agent| agent.name != self.name)) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, agent = %self.name, "the agent of this command could not be taken back now; the next proxy does");
        } else {
            forget(&self.home, &self.name);
        }
    }
}

impl Home {
    /// The agents of `passing.toml`. Nobody is defined by them, whatever the file says.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn passing(&self) -> Result<Vec<Registered>, HomeError> {
        let rows = read_agents(&self.passing_file())?.unwrap_or_default();
        Ok(rows.into_iter().map(|row| Registered { ephemeral: true, ..row }).collect())
    }

    /// As [`Home::change_agents`], for `passing.toml`.
    pub(super) fn change_passing<T>(&self, change: impl FnOnce(&mut Vec<Registered>) -> T) -> Result<T, HomeError> {
        change_file(&self.passing_file(), || self.passing(), change)
    }
}

/// Takes out the agents of processes that have died, and says how many.
///
/// # Errors
/// As [`HomeError`] says.
pub(super) fn sweep(home: &Home) -> Result<usize, HomeError> {
    if !home.passing()?.iter().any(|row| is_over(home, &row.name)) {
        return Ok(0);
    }
    home.change_passing(|agents| {
        let before = agents.len();
        agents.retain(|row| !is_over(home, &row.name));
        before - agents.len()
    })
}

/// Whether nobody holds the lock of `name` any more. Its file goes then; names are never used twice, so nobody waits for it.
fn is_over(home: &Home, name: &AgentName) -> bool {
    let over = !home.locks().is_dir() || matches!(Lock::try_acquire(&alive(home, name)), Ok(Some(_free)));
    if over {
        forget(home, name);
    }
    over
}

fn alive(home: &Home, name: &AgentName) -> PathBuf {
    home.locks().join(name.as_str())
}

fn forget(home: &Home, name: &AgentName) {
    if let Err(error) = Lock::remove_file(&alive(home, name)) {
        tracing::debug!(error = &error as &dyn std::error::Error, "a lock file stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Token;

    fn row(name: &str) -> Registered {
        Registered::unlimited(name.parse().expect("a name"), &Token::random().expect("random"))
    }

    fn names(home: &Home) -> Vec<String> {
        home.agents().expect("agents").iter().map(|row| row.name.to_string()).collect()
    }

    #[test]
    fn i6_an_agent_ends_with_its_process_and_no_other_agent_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path().join("home"));
        disk::create_private_dir(home.path()).expect("a home");
        home.change_agents(|agents| agents.push(row("lasting"))).expect("written");
        home.change_passing(|agents| agents.push(row("run-1-dead"))).expect("written");
        assert_eq!(sweep(&home).expect("swept"), 1);
        let living = Passing::add(&home, &row("run-2-living")).expect("added");
        let second = Passing::add(&home, &row("run-3-second")).expect("added");
        assert_eq!(sweep(&home).expect("swept"), 0);
        assert_eq!(names(&home), ["lasting", "run-2-living", "run-3-second"]);
        drop(living);
        assert_eq!(names(&home), ["lasting", "run-3-second"]);
        drop(second);
        assert_eq!(std::fs::read_dir(home.locks()).expect("a folder").count(), 0);
    }

    #[test]
    fn t131_i6_no_agent_of_a_command_writes_who_is_defined() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::new(folder.path().join("home"));
        disk::create_private_dir(home.path()).expect("a home");
        drop(Passing::add(&home, &row("run-1")).expect("added"));
        assert!(!home.revoke(&"nobody".parse().expect("a name")).expect("looked for"));
        assert!(!home.agents_file().exists(), "what is gone does not come back as a list of no agents");
        // Whatever a row there says of itself.
        home.change_passing(|agents| agents.push(row("run-2"))).expect("written");
        assert!(home.passing().expect("agents").iter().all(|row| row.ephemeral));
        assert!(home.revoke(&"run-2".parse().expect("a name")).expect("revoked"));
        assert_eq!(names(&home), [""; 0]);
    }
}
