//! Log-ins by device code (RFC 8628) that wait for a person's approval. Their programs ask again and again anyway: they are told to go on
//! asking until the connection is approved, and get their placeholders then, when the API takes them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::SystemTime;

use http::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::body::ResponseBody;
use super::token_response::token_reply;
use crate::model::{AgentName, ConnectionId, UserName};

const FORM: &str = "application/x-www-form-urlencoded";
/// More log-ins are not made to wait: their programs get their placeholders at once.
const MOST: usize = 256;

/// Who asks, and with what: without the code itself, which is spent by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Poller([u8; 32]);

impl Poller {
    /// A program of `owner` that acts for `user` and shows `device_code`.
    pub(super) fn new(owner: &AgentName, user: Option<&UserName>, device_code: &str) -> Self {
        let mut hash = Sha256::new();
        // No name has a zero byte.
        for part in [owner.as_str(), user.map_or("", UserName::as_str), device_code] {
            hash.update(part);
            hash.update([0]);
        }
        Self(hash.finalize().into())
    }
}

/// What a program gets once its log-in is approved: placeholders only.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) text: String,
    pub(super) kind: &'static str,
}

impl Reply {
    /// RFC 8628 §3.5, in the form of the answer that waits: who reads a form may read nothing else.
    fn error(&self, status: u16, code: &str, description: &str) -> Self {
        let text = match self.kind.starts_with(FORM) {
            true => format!("error={code}&error_description={}", utf8_percent_encode(description, NON_ALPHANUMERIC)),
            false => json!({ "error": code, "error_description": description }).to_string(),
        };
        Self { status, text, kind: self.kind }
    }

    /// Go on asking.
    fn pending(&self, id: &ConnectionId, status: u16) -> Self {
        self.error(status, "authorization_pending", &format!("a person has to approve it: nexus approve {id}"))
    }

    fn not_approved(&self, status: u16) -> Self {
        self.error(status, "access_denied", "nobody approved it: log in again")
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        token_reply(self.status, self.text, self.kind)
    }
}

/// What is said to a program that asks again.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) id: ConnectionId,
    pub(super) reply: Reply,
    /// For the record.
    pub(super) word: &'static str,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Pending,
    Approved,
    /// Removed, or nobody approved it in time.
    Gone,
}

/// A log-in that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: ConnectionId,
    pub(super) reply: Reply,
    /// With which the program is told to go on asking.
    pub(super) poll_status: u16,
    /// It is kept no longer.
    pub(super) until: Option<SystemTime>,
    /// Its connection was seen to be gone. For good: another log-in may be called the same by then.
    pub(super) gone: bool,
}

/// Log-ins whose programs go on asking. In memory only: after a restart a program has to log in again.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<Poller, Held>>);

impl Waiting {
    /// Keeps what is for `poller` until it is approved, and says what the program is told now.
    pub(super) fn hold(&self, poller: Poller, fresh: Held, now: SystemTime) -> Reply {
        let mut held = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.retain(|_, one| one.until.is_none_or(|until| until > now));
        if held.len() >= MOST {
            return fresh.reply;
        }
        let pending = fresh.reply.pending(&fresh.id, fresh.poll_status);
        held.insert(poller, fresh);
        pending
    }

    /// The answer to a program whose log-in is kept here; `None` for every other. It may ask for its placeholders twice, as one does whose
    /// stream broke off.
    pub(super) fn poll(&self, poller: Poller, standing: impl Fn(&ConnectionId) -> Standing) -> Option<Polled> {
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let held = all.get_mut(&poller)?;
        let now = if held.gone { Standing::Gone } else { standing(&held.id) };
        held.gone = now == Standing::Gone;
        let Held { id, reply, poll_status, .. } = held;
        let (word, reply) = match now {
            Standing::Pending => ("pending", reply.pending(id, *poll_status)),
            Standing::Approved => ("approved", reply.clone()),
            Standing::Gone => ("not_approved", reply.not_approved(*poll_status)),
        };
        Some(Polled { id: id.clone(), reply, word })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn id() -> ConnectionId {
        "github:ci.1".parse().expect("a handle")
    }

    fn name(text: &str) -> AgentName {
        text.parse().expect("a name")
    }

    fn reply() -> Reply {
        Reply { status: 200, text: "placeholders".to_owned(), kind: "application/json" }
    }

    fn held() -> Held {
        Held { id: id(), reply: reply(), poll_status: 400, until: Some(now() + Duration::from_secs(60)), gone: false }
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn i6_placeholders_come_with_the_approval_and_to_that_program_alone() {
        let waiting = Waiting::default();
        let poller = Poller::new(&name("ci"), None, "device-code");
        let told = waiting.hold(poller, held(), now());
        assert!(told.status == 400 && told.text.contains("authorization_pending") && !told.text.contains("placeholders"));
        let said = |poller, standing| waiting.poll(poller, |_id| standing).map(|polled| (polled.word, polled.reply.status));
        assert_eq!(said(poller, Standing::Pending), Some(("pending", 400)));
        assert_eq!(said(poller, Standing::Approved), Some(("approved", 200)));
        assert_eq!(said(poller, Standing::Approved), Some(("approved", 200)), "its stream may have broken off");
        assert_eq!(said(poller, Standing::Gone), Some(("not_approved", 400)));
        assert_eq!(said(poller, Standing::Approved), Some(("not_approved", 400)), "that is another log-in of the same name");
        let alice = "alice".parse().expect("a name");
        for other in [
            Poller::new(&name("other"), None, "device-code"),
            Poller::new(&name("ci"), Some(&alice), "device-code"),
            Poller::new(&name("ci"), None, "device-code-2"),
        ] {
            assert_eq!(said(other, Standing::Approved), None);
        }
    }

    #[test]
    fn who_reads_forms_is_told_in_a_form() {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let reply = Reply { kind, ..reply() };
        let told = reply.pending(&id(), 200);
        let said = "error=authorization_pending&error_description=a%20person%20has%20to%20approve%20it%3A%20nexus%20approve%20github%3Aci%2E1";
        assert_eq!((told.status, told.kind, told.text.as_str()), (200, kind, said));
    }

    #[test]
    fn i7_only_so_many_wait_and_none_beyond_its_time() {
        let waiting = Waiting::default();
        let hold = |number: usize, at| {
            let poller = Poller::new(&name("ci"), None, &number.to_string());
            waiting.hold(poller, held(), at).status
        };
        assert!((0..MOST).all(|number| hold(number, now()) == 400));
        assert_eq!(hold(MOST, now()), 200, "it gets its placeholders at once");
        assert_eq!(hold(MOST, now() + Duration::from_secs(60)), 400, "the others' time is over");
    }
}
