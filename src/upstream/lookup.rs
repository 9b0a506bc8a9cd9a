//! Name look-ups, so many of each agent at once: the system's resolver holds a thread until it gives up, so names that nobody answers
//! for would use up the threads of all (I7).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::Semaphore;

/// The look-ups of all agents. Those beyond an agent's share wait for one of its own to end.
#[derive(Debug)]
pub(super) struct Lookups {
    share: usize,
    agents: DashMap<Arc<str>, Arc<Semaphore>>,
}

impl Lookups {
    /// At most `share` look-ups of one agent at once.
    pub(super) fn new(share: usize) -> Self {
        Self { share: share.min(Semaphore::MAX_PERMITS), agents: DashMap::new() }
    }

    /// The addresses of `name`, asked for by `agent`.
    ///
    /// # Errors
    /// What the system's resolver says; `NotFound` where it knows no address.
    pub(super) async fn find(&self, agent: &Arc<str>, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let name = name.to_owned();
        let found = self.run(agent, move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect)).await?;
        let found: Vec<SocketAddr> = found;
        if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
    }

    /// Runs `work` on a thread that may block. It counts until it has ended, whoever has stopped waiting for it.
    async fn run<T: Send + 'static>(
        &self,
        agent: &Arc<str>,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let place = self.places(agent).acquire_owned().await.map_err(io::Error::other)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        working.await.map_err(io::Error::other)?
    }

    fn places(&self, agent: &Arc<str>) -> Arc<Semaphore> {
        if let Some(places) = self.agents.get(agent) {
            return Arc::clone(&places);
        }
        Arc::clone(&self.agents.entry(Arc::clone(agent)).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
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
            let _ended = ended.recv();
            Ok(())
        })
    }

    #[tokio::test]
    async fn i7_an_agent_whose_names_stall_holds_up_only_itself() {
        let lookups = Lookups::new(2);
        let (greedy, other): (Arc<str>, Arc<str>) = ("greedy".into(), "other".into());
        let (first, work) = stalled();
        let mut one = Box::pin(lookups.run(&greedy, work));
        let (second, work) = stalled();
        let mut two = Box::pin(lookups.run(&greedy, work));
        let mut three = Box::pin(lookups.run(&greedy, || Ok(3)));
        let all = async {
            tokio::select! { biased; _ = &mut one => 1, _ = &mut two => 2, _ = &mut three => 3 }
        };
        tokio::select! {
            biased;
            which = all => panic!("look-up {which} of an agent whose share is used up"),
            found = lookups.run(&other, || Ok("found")) => assert_eq!(found.expect("an answer"), "found"),
        }
        // Nobody waits for the stalled ones any more: they count all the same.
        drop((one, two));
        tokio::select! {
            biased;
            _ = &mut three => panic!("a look-up that nobody waits for still holds its thread"),
            found = lookups.run(&other, || Ok("again")) => assert_eq!(found.expect("an answer"), "again"),
        }
        drop(first);
        assert_eq!(three.await.expect("a place"), 3);
        drop(second);
    }

    #[tokio::test]
    async fn a_name_without_address_is_an_error() {
        let error = Lookups::new(1).find(&"a".into(), "nobody.invalid", 443).await.expect_err("no address");
        assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        let here = Lookups::new(1).find(&"a".into(), "127.0.0.1", 443).await.expect("an address");
        assert_eq!(here, ["127.0.0.1:443".parse().expect("an address")]);
    }
}
