//! Timers that are set already: setting one, and taking it back, costs two locks, and nearly none ever goes off.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How many are kept: as many as there are requests on their way in a busy turn. Each still knows the task that waited last, whose memory,
/// but nothing in it, stays until the timer is used again or goes off.
const KEPT: usize = 256;

/// What requests that come one after the other wait by, on one worker.
#[derive(Debug, Default)]
pub(super) struct Timers(RefCell<Vec<Pin<Box<Sleep>>>>);

/// It took too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Late;

impl Timers {
    /// Runs `work`, for `limit` at most. What it has done stays done: it may be run on.
    pub(super) async fn within<T>(&self, limit: Duration, mut work: Pin<&mut impl Future<Output = T>>) -> Result<T, Late> {
        let deadline = Instant::now() + limit;
        let mut timer = self.0.borrow_mut().pop().unwrap_or_else(|| Box::pin(tokio::time::sleep_until(deadline)));
        let outcome = std::future::poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            // It may have been set for an earlier request, and goes off for that first.
            if timer.deadline() > deadline {
                timer.as_mut().reset(deadline);
            }
            loop {
                ready!(timer.as_mut().poll(context));
                if timer.deadline() >= deadline {
                    return Poll::Ready(Err(Late));
                }
                timer.as_mut().reset(deadline);
            }
        })
        .await;
        let mut timers = self.0.borrow_mut();
        // One that has gone off would go off again at once.
        if outcome.is_ok() && timers.len() < KEPT {
            timers.push(timer);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(test)
    }

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_takes_too_long_is_late_whatever_the_timer_was_set_for() {
        run(async {
            let timers = Timers::default();
            for before in [SHORT, LONG] {
                assert_eq!(timers.within(before, pin!(ready(7))).await, Ok(7));
                let begun = Instant::now();
                assert_eq!(timers.within(SHORT, pin!(pending::<()>())).await, Err(Late));
                assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG / 60);
            }
        });
    }

    #[test]
    fn a_timer_that_goes_off_for_a_request_before_makes_no_other_late() {
        run(async {
            let timers = Timers::default();
            // The work is never asked before a timer is set.
            let mut asked = 0;
            let once_pending = std::future::poll_fn(|context| {
                asked += 1;
                context.waker().wake_by_ref();
                if asked > 1 { Poll::Ready(()) } else { Poll::Pending }
            });
            assert_eq!(timers.within(SHORT, pin!(once_pending)).await, Ok(()));
            let work = tokio::time::sleep(3 * SHORT);
            assert_eq!(timers.within(LONG, pin!(work)).await, Ok(()));
            assert_eq!(timers.0.borrow().len(), 1);
        });
    }

    #[test]
    fn i7_only_so_many_are_kept() {
        run(async {
            let timers = Timers::default();
            let one = || Box::pin(async { timers.within(LONG, pin!(tokio::task::yield_now())).await });
            let mut crowd: Vec<_> = std::iter::repeat_with(one).take(2 * KEPT).collect();
            std::future::poll_fn(|context| {
                crowd.retain_mut(|one| one.as_mut().poll(context).is_pending());
                if crowd.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            assert_eq!(timers.0.borrow().len(), KEPT);
        });
    }
}
