//! Requests that go on without their caller: what a service makes once, and tells once, must be kept, whoever still waits for it.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;

use super::choose::Inquiry;
use super::door::Arrived;
use super::exchange::{Stepped, Stop};
use super::refusal::Refusal;
use super::replay::Inflow;
use super::worker::Worker;
use crate::agent::Agent;
use crate::audit::Entry;

/// A request, on a task of its own.
pub(super) struct Outliving {
    pub(super) worker: Rc<Worker>,
    arrived: Arrived,
    agent: Arc<Agent>,
    headers: HeaderMap,
    pub(super) incoming: Option<Inflow>,
    pub(super) entry: Entry,
}

impl Outliving {
    /// As the steps have it.
    pub(super) fn parts(&mut self) -> (Inquiry<'_>, &mut Option<Inflow>, &mut Entry) {
        let inquiry = Inquiry { arrived: &self.arrived, agent: &self.agent, headers: &self.headers };
        (inquiry, &mut self.incoming, &mut self.entry)
    }
}

/// What comes of it, with what it was lent.
type Outcome = (Result<Option<Box<Stepped>>, Stop>, Outliving);

impl Worker {
    /// Does `work` to its end, though the returned future be dropped; a drain waits for it. Its record comes back with it, and is closed by
    /// the task where nobody waits any more.
    pub(super) async fn outlive<F: Future<Output = Outcome> + 'static>(
        self: &Rc<Self>,
        inquiry: &Inquiry<'_>,
        (incoming, entry): (&mut Option<Inflow>, &mut Entry),
        work: impl FnOnce(Outliving) -> F,
    ) -> Result<Option<Box<Stepped>>, Stop> {
        let lent = Outliving {
            worker: Rc::clone(self),
            arrived: inquiry.arrived.clone(),
            agent: Arc::clone(inquiry.agent),
            headers: inquiry.headers.clone(),
            incoming: incoming.take(),
            entry: entry.lend(),
        };
        let (under_way, work) = (self.begin(), work(lent));
        let task = tokio::task::spawn_local(async move {
            let outcome = work.await;
            drop(under_way);
            outcome
        });
        // It ends early only where all ends.
        let (result, lent) = task.await.map_err(|_stopped| Refusal::Draining)?;
        (*incoming, *entry) = (lent.incoming, lent.entry);
        result
    }
}
