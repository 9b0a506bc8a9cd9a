//! `LocalExecutor`: hyper's HTTP/2 tasks on the current thread. Floor 0.

use hyper::rt::Executor;

/// Spawns on the current `LocalSet`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F> Executor<F> for LocalExecutor
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        drop(tokio::task::spawn_local(future));
    }
}
