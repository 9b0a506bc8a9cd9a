//! `Standing`: what people are told of a connection at one moment. Pure.

use std::time::{Duration, SystemTime};

use crate::provider::Provider;
use crate::vault::{Entry, Status};

/// How a connection stands at one moment. Nothing of it is stored: it follows from the entry, its provider's file and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// As the vault has it, or `expired`.
    pub status: Status,
    /// From when on a request renews it beforehand. `None` where nothing is renewed, or its end is not known: then a 401 is awaited.
    pub renews_at: Option<SystemTime>,
}

impl Standing {
    /// How `entry` of `provider` (`None` where no file describes it any more) stands at `now`, renewed `ahead` of its end.
    pub fn of(entry: &Entry, provider: Option<&Provider>, now: SystemTime, ahead: Duration) -> Self {
        let renewable = provider.is_some_and(|provider| provider.renewal(&|name| entry.fields.field(name)).is_some());
        let renews = renewable && entry.status.renews();
        let due = || Some(entry.expires_at?.checked_sub(ahead)?.max(now));
        Self { status: entry.status_at(now, renewable), renews_at: due().filter(|_| renews) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::tests::fakes::{HOUR, MINUTE, provider, registered};
    use super::*;

    #[test]
    fn what_can_be_renewed_is_due_before_its_end_and_what_can_not_expires() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut entry = registered(&[("access_token", "a"), ("refresh_token", "r")]);
        let provider = provider();
        let of = |entry: &Entry, provider| {
            let Standing { status, renews_at } = Standing::of(entry, provider, now, MINUTE);
            (status, renews_at)
        };
        assert_eq!(of(&entry, Some(&provider)), (Status::Active, None), "its end is not known");
        entry.expires_at = Some(now + HOUR);
        assert_eq!(of(&entry, Some(&provider)), (Status::Active, Some(now + HOUR - MINUTE)));
        entry.expires_at = Some(now - HOUR);
        assert_eq!(of(&entry, Some(&provider)), (Status::Active, Some(now)), "the next request renews it");
        assert_eq!(of(&entry, None), (Status::Expired, None));
        entry.status = Status::Attention;
        assert_eq!(of(&entry, Some(&provider)), (Status::Attention, None));
        let mut entry = registered(&[("access_token", "a")]);
        entry.expires_at = Some(now - HOUR);
        assert_eq!(of(&entry, Some(&provider)), (Status::Expired, None));
    }
}
