//! What a node's requests were refused for, told to its gateway: at once when it is new or settled, and again while it is open.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::attention::{AGAIN, Attention};
use crate::node::{Error, Held};

/// What comes within this after the first is told together.
const GATHER: Duration = Duration::from_millis(250);
/// The pause after a try that failed; it is doubled after each.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: also that before a gateway is asked again that knows nothing of this.
const LONGEST: Duration = Duration::from_secs(60);

/// Keeps the gateway informed, for as long as it is polled.
pub(super) async fn tell_gateway(held: Arc<Held>, attention: Arc<Attention>) {
    let (mut news, mut links) = (attention.news(), held.links());
    loop {
        if attention.has_items() {
            tell_now(&held, &attention).await;
        }
        let open = !attention.open().is_empty();
        tokio::select! {
            _ = news.changed() => {}
            // Whoever was away knows nothing of what was told before.
            _ = links.changed() => {}
            () = sleep(AGAIN), if open => {}
        }
        sleep(GATHER).await;
    }
}

/// Tells all of it, however often that has to be tried.
async fn tell_now(held: &Held, attention: &Attention) {
    let mut pause = PAUSE;
    loop {
        held.linked().await;
        match tell(held, attention).await {
            Ok(()) => return,
            Err(error) => {
                pause = if error.is_a_mistake() { LONGEST } else { pause };
                tracing::debug!(error = &error as &dyn std::error::Error, "the gateway does not hear what needs a person");
            }
        }
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST);
    }
}

async fn tell(held: &Held, attention: &Attention) -> Result<(), Error> {
    for report in attention.reports() {
        held.tell_needs(&report).await?;
    }
    Ok(())
}
