//! `Hours`: what a rule let on for a time ends with that time, though it was begun before.
//!
//! It is decided again at each moment at which a rule may say something else. Where no rule speaks of times, nothing of this is there.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use super::tunnel::End;
use super::worker::Proxy;
use crate::agent::Agent;
use crate::decide::{Asking, Connect, Decision, Route, Rules};
use crate::model::{Authority, Methods, Target};
use crate::policy::{Content, Seen};

/// Ready once the rules would refuse it.
pub(super) struct Hours(Pin<Box<dyn Future<Output = ()>>>);

impl fmt::Debug for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hours(..)")
    }
}

impl Future for Hours {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

/// A request as the rules were asked about it.
struct Lasting {
    target: Target,
    agent: Arc<Agent>,
    kind: Option<Vec<u8>>,
    ambiguous: bool,
    length: Option<u64>,
    form: Methods,
    upgrade: bool,
}

impl Lasting {
    fn is_refused(&self, rules: &Rules, now: SystemTime) -> bool {
        let Self { target, agent, kind, ambiguous, length, form, upgrade } = self;
        let content = Content { kind: kind.as_deref(), ambiguous: *ambiguous, length: *length, seen: Seen::Methods(*form) };
        let Decision { route, ruling, .. } = rules.decide(&Asking { target, agent, content, upgrade: *upgrade, now });
        ruling.denied.is_some() || matches!(route, Route::Refuse(_))
    }
}

impl Hours {
    /// Of a request that was decided so.
    pub(super) fn of_request(proxy: &Arc<Proxy>, agent: &Arc<Agent>, asking: &Asking<'_>) -> Self {
        let Content { kind, ambiguous, length, .. } = asking.content;
        let form = asking.content.methods(asking.target.method.as_str());
        let (target, kind, upgrade) = (asking.target.clone(), kind.map(<[u8]>::to_vec), asking.upgrade);
        let lasting = Lasting { target, agent: Arc::clone(agent), kind, ambiguous, length, form, upgrade };
        Self::until(proxy, move |rules, now| lasting.is_refused(rules, now))
    }

    /// Of a tunnel; `None` where no rule speaks of times.
    pub(super) fn of_tunnel(proxy: &Arc<Proxy>, agent: &Arc<Agent>, authority: Authority) -> Option<Self> {
        let agent = Arc::clone(agent);
        // What has to be opened now is not left shut either.
        let over = move |rules: &Rules, now| !matches!(rules.decide_connect(&authority, &agent, now).connect, Connect::Tunnel);
        proxy.rules.load().policy().is_timed().then(|| Self::until(proxy, over))
    }

    fn until(proxy: &Arc<Proxy>, over: impl Fn(&Rules, SystemTime) -> bool + 'static) -> Self {
        let proxy = Arc::clone(proxy);
        Self(Box::pin(async move {
            loop {
                let wait = proxy.rules.load().policy().look_again(SystemTime::now());
                tokio::time::sleep(wait).await;
                if over(&proxy.rules.load(), SystemTime::now()) {
                    return;
                }
            }
        }))
    }
}

impl Proxy {
    /// Waits until what `agent` has open may not go on.
    pub(super) async fn until_over(&self, agent: &Arc<Agent>, hours: Option<Hours>) -> End {
        let hours = async {
            match hours {
                Some(hours) => hours.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.until_unknown(agent) => End::Revoked,
            () = hours => End::Hours,
        }
    }
}
