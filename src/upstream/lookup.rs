//! Name look-ups, so many of each agent at once: the system's resolver holds a thread until it gives up, so names that nobody answers
//! for would use up the threads of all (I7). Names that don't exist are counted: they can carry data out. A resolver that is out of
//! order says nothing about a name.

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
    /// What we ask for on nobody's behalf.
    ourselves: Arc<Share>,
    resolver: Resolver,
}

/// The addresses of a name, from whoever knows; it may block.
type Resolver = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

fn system(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (name, port).to_socket_addrs().map(Iterator::collect)
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
    fn new(places: usize) -> Arc<Self> {
        let unknown = Mutex::new(Unknown { since: Instant::now(), count: 0 });
        Arc::new(Self { places: Arc::new(Semaphore::new(places)), unknown })
    }

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
        let share = share.min(Semaphore::MAX_PERMITS);
        Self { share, unknown, agents: DashMap::new(), ourselves: Share::new(share), resolver: system }
    }

    /// Forgets agents that ask for nothing and have nothing counted against them.
    pub(super) fn sweep(&self) {
        let unused = |share: &Arc<Share>| Arc::strong_count(share) == 1 && share.places.available_permits() == self.share;
        self.agents.retain(|_agent, share| !unused(share) || share.unknown() > 0);
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
        self.resolve(&share, name, port).await.map_err(|cause| {
            if says_unknown(&cause) && share.count_unknown() == self.unknown {
                tracing::warn!(%agent, "an agent asks for many names that have no address");
            }
            Error::NoSuchHost { host: name.to_owned(), cause }
        })
    }

    /// The addresses of a `name` that stands in our own configuration: no agent is to blame for it.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`] with what the system's resolver says.
    pub(super) async fn find_own(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let found = self.resolve(&self.ourselves, name, port).await;
        found.map_err(|cause| Error::NoSuchHost { host: name.to_owned(), cause })
    }

    async fn resolve(&self, share: &Share, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let (asked, resolver) = (name.to_owned(), self.resolver);
        let found = Self::run(share, move || resolver(&asked, port)).await?;
        if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
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
        Arc::clone(&self.agents.entry(Arc::clone(agent)).or_insert_with(|| Share::new(self.share)))
    }
}

/// What glibc, musl and macOS say of a resolver that is out of reach, out of order or out of memory (EAI_AGAIN, EAI_FAIL,
/// EAI_MEMORY). The standard library keeps the words, not the code.
const OUT_OF_ORDER: [&str; 5] = ["Temporary failure", "Try again", "Non-recoverable", "Memory allocation", "Out of memory"];

/// Whether `cause` means that the name has no address, as far as one can tell.
fn says_unknown(cause: &io::Error) -> bool {
    let text = cause.to_string();
    cause.raw_os_error().is_none() && !OUT_OF_ORDER.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
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

    /// Knows numbers, and of names that they don't exist.
    fn only_addresses(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let unknown = |_not_one| io::Error::other("failed to lookup address information: Name or service not known");
        name.parse::<IpAddr>().map(|address| vec![SocketAddr::new(address, port)]).map_err(unknown)
    }

    #[tokio::test]
    async fn i7_an_outage_and_our_own_names_are_counted_against_nobody() {
        let down: Resolver = |_name, _port| Err(io::Error::other("Temporary failure in name resolution"));
        let lookups = Lookups { resolver: down, ..Lookups::new(1, 3) };
        for _ in 0..5 {
            let error = lookups.find(&"a".into(), "service.test", 443).await.expect_err("an outage");
            assert!(matches!(error, Error::NoSuchHost { .. }), "{error:?}");
        }
        let lookups = Lookups { resolver: only_addresses, ..lookups };
        for _ in 0..5 {
            let error = lookups.find_own("parent.test", 3128).await.expect_err("no address");
            assert!(matches!(error, Error::NoSuchHost { .. }), "{error:?}");
        }
        assert!(lookups.find(&"a".into(), "127.0.0.1", 443).await.is_ok());
    }

    #[test]
    fn only_what_is_said_of_a_name_is_held_against_it() {
        let rows = [
            ("failed to lookup address information: Name or service not known", true),
            ("failed to lookup address information: No address associated with hostname", true),
            ("failed to lookup address information: Name does not resolve", true),
            ("failed to lookup address information: nodename nor servname provided, or not known", true),
            ("failed to lookup address information: Temporary failure in name resolution", false),
            ("failed to lookup address information: Try again", false),
            ("failed to lookup address information: Non-recoverable failure in name resolution", false),
        ];
        for (text, unknown) in rows {
            assert_eq!(says_unknown(&io::Error::other(text)), unknown, "{text}");
        }
        assert!(says_unknown(&io::ErrorKind::NotFound.into()));
        assert!(!says_unknown(&io::Error::from_raw_os_error(24)), "too many open files");
    }

    #[tokio::test]
    async fn i7_an_agent_that_has_gone_is_forgotten_once_nothing_counts_against_it() {
        let lookups = Lookups { resolver: only_addresses, ..Lookups::new(1, 3) };
        let (calm, guilty, busy): (Arc<str>, Arc<str>, Arc<str>) = ("calm".into(), "guilty".into(), "busy".into());
        lookups.find(&calm, "127.0.0.1", 443).await.expect("an address");
        lookups.find(&guilty, "data.test", 443).await.expect_err("no address");
        // Nobody waits for its look-up any more, but the thread is still held.
        let (end, work) = stalled();
        let share = lookups.of(&busy);
        let mut waiting = Box::pin(Lookups::run(&share, work));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("it is stalled"),
            () = std::future::ready(()) => {}
        }
        drop(waiting);
        drop(share);
        lookups.sweep();
        let known = |agent| lookups.agents.contains_key(agent);
        assert_eq!([known(&calm), known(&guilty), known(&busy)], [false, true, true]);
        lookups.of(&guilty).unknown.lock().expect("a lock").since -= 2 * MINUTE;
        drop(end);
        drop(Arc::clone(&lookups.of(&busy).places).acquire_owned().await);
        lookups.sweep();
        assert!(lookups.agents.is_empty());
    }

    #[tokio::test]
    async fn t95_names_without_an_address_are_counted_for_each_agent() {
        let lookups = Lookups { resolver: only_addresses, ..Lookups::new(1, 3) };
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
