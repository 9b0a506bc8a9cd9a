//! The service's clock beside ours, which may be wrong by minutes.

use std::time::{Duration, SystemTime};

use super::reply::TokenReply;

/// A difference that the way explains, or that `Date` has whole seconds.
const TOLERANCE: Duration = Duration::from_secs(30);

/// A difference that no clock has which a certificate was checked by.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

impl TokenReply {
    /// What time the service took it to be (`Date`, RFC 9110 §6.6.1) when the reply arrived at `now`; `None` where both agree, or it says
    /// nothing that can be believed.
    pub(crate) fn their_time(&self, now: SystemTime) -> Option<SystemTime> {
        let theirs: SystemTime = jiff::fmt::rfc2822::parse(self.date.as_ref()?.to_str().ok()?).ok()?.timestamp().into();
        let off = theirs.duration_since(now).unwrap_or_else(|behind| behind.duration());
        (TOLERANCE..LIMIT).contains(&off).then_some(theirs)
    }

    /// The time `at` of the service's clock by ours.
    pub(super) fn by_our_clock(&self, at: SystemTime, now: SystemTime) -> SystemTime {
        let Some(theirs) = self.their_time(now) else { return at };
        let ours = match theirs.duration_since(now) {
            Ok(ahead) => at.checked_sub(ahead),
            Err(behind) => at.checked_add(behind.duration()),
        };
        ours.unwrap_or(at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderValue, StatusCode};

    use super::*;
    use crate::model::Secret;

    #[test]
    fn a_time_of_the_service_is_read_by_the_difference_of_the_clocks() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let at = |date: &'static str| {
            let reply = TokenReply {
                status: StatusCode::OK,
                content_type: None,
                retry_after: None,
                date: Some(HeaderValue::from_static(date)),
                body: Secret::new(Vec::new()),
            };
            let hour = Duration::from_secs(3600);
            let left = reply.by_our_clock(now + hour, now).duration_since(now).expect("later").as_secs();
            (reply.their_time(now).is_some(), left)
        };
        for (date, told) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", (false, 3600)),
            ("Sun, 06 Nov 1994 08:49:50 GMT", (false, 3600)),
            ("Sun, 06 Nov 1994 08:54:37 GMT", (true, 3300)),
            ("Sun, 06 Nov 1994 08:44:37 GMT", (true, 3900)),
            ("Tue, 08 Nov 1994 08:49:37 GMT", (false, 3600)),
            ("yesterday", (false, 3600)),
            ("", (false, 3600)),
        ] {
            assert_eq!(at(date), told, "{date}");
        }
    }
}
