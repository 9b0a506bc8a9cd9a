//! Two futures in one task, where the second seldom has anything to do.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Wakes the task, and remembers for whom.
struct Own {
    task: Waker,
    woken: AtomicBool,
}

impl Wake for Own {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

/// What ends first: `often`, also when both do, or `seldom`, which is looked at only when it was woken itself. Both stay where they are:
/// what a function of this kind takes by value takes its room twice.
pub(super) async fn either<T>(
    mut often: Pin<&mut impl Future<Output = T>>,
    mut seldom: Pin<&mut impl Future<Output = T>>,
) -> T {
    let mut own: Option<(Arc<Own>, Waker)> = None;
    std::future::poll_fn(|context| {
        let (own, waker) = match own.take() {
            // A future may move to another task between two polls.
            Some((known, waker)) if known.task.will_wake(context.waker()) => own.insert((known, waker)),
            _ => own.insert(of_task(context.waker())),
        };
        // First of the two: the other may use up all that the task may do in one turn, every time.
        if own.woken.swap(false, Ordering::AcqRel)
            && let Poll::Ready(done) = seldom.as_mut().poll(&mut Context::from_waker(waker))
        {
            return match often.as_mut().poll(context) {
                Poll::Pending => Poll::Ready(done),
                ended => ended,
            };
        }
        often.as_mut().poll(context)
    })
    .await
}

/// At first there is something to look at.
fn of_task(task: &Waker) -> (Arc<Own>, Waker) {
    let own = Arc::new(Own { task: task.clone(), woken: AtomicBool::new(true) });
    let waker = Waker::from(Arc::clone(&own));
    (own, waker)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    /// Pending for so many looks.
    async fn looks(seen: &Cell<u32>, enough: u32) {
        std::future::poll_fn(|context| {
            seen.set(seen.get() + 1);
            if seen.get() >= enough {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn either_one_ends_it() {
        let second = |seconds, name| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            name
        };
        for (often, seldom, first) in [(1, 2, "often"), (2, 1, "seldom"), (1, 1, "often")] {
            assert_eq!(either(pin!(second(often, "often")), pin!(second(seldom, "seldom"))).await, first);
        }
    }

    #[tokio::test]
    async fn what_never_rests_does_not_keep_the_other_from_its_turn() {
        let (end, mut ended) = tokio::sync::mpsc::channel(1);
        let busy = async {
            for turn in 0..100_000 {
                tokio::task::consume_budget().await;
                if turn == 1000 {
                    end.send("seldom").await.expect("it is waited for");
                }
            }
            Some("often")
        };
        assert_eq!(either(pin!(busy), pin!(ended.recv())).await, Some("seldom"));
    }

    #[tokio::test]
    async fn what_seldom_happens_is_not_looked_at_for_nothing() {
        let (often, seldom) = (Cell::new(0), Cell::new(0));
        let pending = std::future::poll_fn(|_context| {
            seldom.set(seldom.get() + 1);
            Poll::<()>::Pending
        });
        either(pin!(looks(&often, 50)), pin!(pending)).await;
        assert_eq!((often.get(), seldom.get()), (50, 1));
    }
}
