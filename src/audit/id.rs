//! `Id`: the name of one record, unique across processes and sortable by time.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// 26 letters of Crockford's base 32: 48 bits of milliseconds, 48 random bits per spool, a count of 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id([u8; 26]);

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Id {
    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    fn encode(mut number: u128) -> Self {
        let mut text = [b'0'; 26];
        for letter in text.iter_mut().rev() {
            *letter = LETTERS.get((number & 31) as usize).copied().unwrap_or(b'0');
            number >>= 5;
        }
        Self(text)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Makes ids for one spool.
#[derive(Debug)]
pub(super) struct Ids {
    random: u64,
    count: u32,
}

impl Ids {
    pub(super) fn new(random: u64) -> Self {
        Self { random: random & 0xffff_ffff_ffff, count: 0 }
    }

    pub(super) fn next(&mut self, now: SystemTime) -> Id {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() & 0xffff_ffff_ffff;
        self.count = self.count.wrapping_add(1);
        Id::encode(millis << 80 | u128::from(self.random) << 32 | u128::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_differ_and_sort_by_time() {
        let (mut one, mut other) = (Ids::new(1), Ids::new(2));
        let at = |millis: u64| UNIX_EPOCH + Duration::from_millis(1_795_000_000_000 + millis);
        let ids: Vec<Id> = (0..100).flat_map(|n| [one.next(at(n)), other.next(at(n))]).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200);
        assert!(ids.windows(3).all(|window| window[0].as_str() < window[2].as_str()));
        assert!(ids.iter().all(|id| id.as_str().len() == 26));
    }
}
