//! Name look-ups, so many of each agent at once: the system's resolver holds a thread until it gives up, so names that nobody answers
//! for would use up the threads of all (I7). Names that don't exist are counted: they can carry data out.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use tokio::sync::Semaphore;

use super::Error;

const MINUTE: Duration = Duration::from_secs(60);

/// The look-ups of all agents. Those beyond an agent's share wait for one of its own to end.
#[derive(Debug)]
pub(super) struct Lookups {
    share: usize,
    unknown: u32,
    agents: DashMap<Arc<str>, Arc<Share>>,
}

/// What one agent has under way, and what it asked for in vain.
#[derive(Debug)]
struct Share {
    places: Arc<Semaphore>,
    unknown: Mutex<Unknown>,
}

/// Names without an address in the minute that began `since`.
#[derive(Debug)]
struct Unknown {
    since: Instant,
    count: u32,
}

impl Share {
    fn unknown(&self) -> u32 {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if unknown.since.elapsed() > MINUTE {
            *unknown = Unknown { since: Instant::now(), count: 0 };
        }
        unknown.count
    }

    /// One more; says how many there are.
    fn count_unknown(&self) -> u32 {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.count = unknown.count.saturating_add(1);
        unknown.count
    }
}

impl Lookups {
    /// At most `share` look-ups of one agent at once, and `unknown` names without an address a minute.
    pub(super) fn new(share: usize, unknown: u32) -> Self {
        Self { share: share.min(Semaphore::MAX_PERMITS), unknown, agents: DashMap::new() }
    }

    /// The addresses of `name`, asked for by `agent`.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`] with what the system's resolver says; [`Error::UnknownNames`] once that was said too often.
    pub(super) async fn find(&self, agent: &Arc<str>, name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let share = self.of(agent);
        if share.unknown() >= self.unknown {
            return Err(Error::UnknownNames);
        }
        let asked = name.to_owned();
        let found = Self::run(&share, move || (asked.as_str(), port).to_socket_addrs().map(Iterator::collect)).await;
        let found: io::Result<Vec<SocketAddr>> = found;
        let cause = match found {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_none) => io::ErrorKind::NotFound.into(),
            Err(cause) => cause,
        };
        if share.count_unknown() == self.unknown {
            tracing::warn!(%agent, "an agent asks for many names that have no address");
        }
        Err(Error::NoSuchHost { host: name.to_owned(), cause })
    }

    /// Runs `work` on a thread that may block. It counts until it has ended, whoever has stopped waiting for it.
    async fn run<T: Send + 'static>(share: &Share, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let place = Arc::clone(&share.places).acquire_owned().await.map_err(io::Error::other)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        working.await.map_err(io::Error::other)?
    }

    fn of(&self, agent: &Arc<str>) -> Arc<Share> {
        if let Some(share) = self.agents.get(agent) {
            return Arc::clone(&share);
        }
        let new = || {
            let unknown = Mutex::new(Unknown { since: Instant::now(), count: 0 });
            Arc::new(Share { places: Arc::new(Semaphore::new(self.share)), unknown })
        };
        Arc::clone(&self.agents.entry(Arc::clone(agent)).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Work that lasts until its sender is dropped.
    fn stalled() -> (mpsc::Sender<()>, impl FnOnce() -> io::Result<()> + Send + 'static) {
        let (end, ended) = mpsc::channel::<()>();
        (end, move || {
            ended.recv().ok();
            Ok(())
        })
    }

    #[tokio::test]
    async fn i7_an_agent_whose_names_stall_holds_up_only_itself() {
        let lookups = Lookups::new(2, 9);
        let (greedy, other) = (lookups.of(&"greedy".into()), lookups.of(&"other".into()));
        let (first, work) = stalled();
        let mut one = Box::pin(Lookups::run(&greedy, work));
        let (second, work) = stalled();
        let mut two = Box::pin(Lookups::run(&greedy, work));
        let mut three = Box::pin(Lookups::run(&greedy, || Ok(3)));
        let all = async {
            tokio::select! { biased; _ = &mut one => 1, _ = &mut two => 2, _ = &mut three => 3 }
        };
        tokio::select! {
            biased;
            which = all => panic!("look-up {which} of an agent whose share is used up"),
            found = Lookups::run(&other, || Ok("found")) => assert_eq!(found.expect("an answer"), "found"),
        }
        // Nobody waits for the stalled ones any more: they count all the same.
        drop((one, two));
        tokio::select! {
            biased;
            _ = &mut three => panic!("a look-up that nobody waits for still holds its thread"),
            found = Lookups::run(&other, || Ok("again")) => assert_eq!(found.expect("an answer"), "again"),
        }
        drop(first);
        assert_eq!(three.await.expect("a place"), 3);
        drop(second);
    }

    #[tokio::test]
    async fn t95_names_without_an_address_are_counted_for_each_agent() {
        let lookups = Lookups::new(1, 3);
        for _ in 0..3 {
            let error = lookups.find(&"a".into(), "data.invalid", 443).await.expect_err("no address");
            assert!(matches!(error, Error::NoSuchHost { .. }), "{error:?}");
        }
        let error = lookups.find(&"a".into(), "127.0.0.1", 443).await.expect_err("a limit");
        assert!(matches!(error, Error::UnknownNames), "{error:?}");
        let here = lookups.find(&"b".into(), "127.0.0.1", 443).await.expect("an address");
        assert_eq!(here, ["127.0.0.1:443".parse().expect("an address")]);
        lookups.of(&"a".into()).unknown.lock().expect("a lock").since -= 2 * MINUTE;
        assert!(lookups.find(&"a".into(), "127.0.0.1", 443).await.is_ok(), "the minute is over");
    }
}
