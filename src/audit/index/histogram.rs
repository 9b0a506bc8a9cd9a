//! How long requests took, as counts in slots that grow with the time: any number of them can be added up, and what is told of the sum is
//! at most 3.2 % beside the truth.

/// Slots in which times from a power of two to the next lie.
const SLOTS: u64 = 16;
/// 12 days; longer times are told as this.
const LONGEST: u64 = (1 << 40) - 1;

/// The slot of a time in microseconds.
pub(super) fn slot(micros: u64) -> u32 {
    let micros = micros.min(LONGEST);
    if micros < SLOTS {
        return u32::try_from(micros).unwrap_or_default();
    }
    let power = micros.ilog2();
    let part = (micros >> (power - 4)) & (SLOTS - 1);
    (power - 3) * 16 + u32::try_from(part).unwrap_or_default()
}

/// The middle of a slot, in microseconds.
pub(super) fn middle(slot: u32) -> u64 {
    let (row, part) = (slot / 16, u64::from(slot % 16));
    if row == 0 {
        return part;
    }
    let width = 1 << (row - 1).min(36);
    (SLOTS + part) * width + width / 2
}

/// Counts by slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// Not more than there are slots.
    counts: std::collections::BTreeMap<u32, u64>,
    total: u64,
}

impl Histogram {
    pub(super) fn add(&mut self, slot: u32, count: u64) {
        let place = self.counts.entry(slot).or_default();
        *place = place.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        other.counts.iter().for_each(|(slot, count)| self.add(*slot, *count));
    }

    /// As it is stored: for each slot how far it is from the one before, and its count, seven bits a byte.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let (mut bytes, mut last) = (Vec::new(), 0);
        for (&slot, &count) in &self.counts {
            put(&mut bytes, u64::from(slot - last));
            put(&mut bytes, count);
            last = slot;
        }
        bytes
    }

    /// Reads what [`bytes`](Self::bytes) made; where it is something else, as far as it makes sense.
    pub(super) fn read(mut bytes: &[u8]) -> Self {
        let (mut histogram, mut slot) = (Self::default(), 0_u32);
        while let Some((step, count)) = take(&mut bytes).zip(take(&mut bytes)) {
            slot = slot.saturating_add(u32::try_from(step).unwrap_or(u32::MAX));
            if slot <= self::slot(LONGEST) {
                histogram.add(slot, count);
            }
        }
        histogram
    }

    /// How many requests.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The time that `percent` of a hundred requests did not take longer than, in microseconds; `None` where there were none.
    pub(super) fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = self.total.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = |(_, count): &(&u32, &u64)| {
            seen += **count;
            seen >= rank
        };
        self.counts.iter().find(reached).map(|(slot, _)| middle(*slot))
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_follow_each_other_without_a_gap() {
        let mut last = None;
        for micros in 0..100_000 {
            let slot = slot(micros);
            assert!(last.is_none_or(|last| slot == last || slot == last + 1), "{micros}");
            last = Some(slot);
        }
        assert_eq!(slot(u64::MAX), slot(LONGEST));
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_again(counts in proptest::collection::btree_map(0..591_u32, 1..u64::MAX >> 12, 0..60)) {
            let mut histogram = Histogram::default();
            counts.iter().for_each(|(slot, count)| histogram.add(*slot, *count));
            prop_assert_eq!(Histogram::read(&histogram.bytes()), histogram);
        }

        #[test]
        fn i9_what_is_no_histogram_is_read_too(bytes: Vec<u8>) {
            Histogram::read(&bytes).percentile(50);
        }

        #[test]
        fn the_middle_of_a_slot_is_near_all_that_is_in_it(micros in 0..LONGEST) {
            let told = middle(slot(micros));
            prop_assert!(told.abs_diff(micros) * 32 <= micros, "{micros} {told}");
        }

        #[test]
        fn a_percentile_is_near_the_one_of_the_times_themselves(mut times in proptest::collection::vec(0..10_000_000_u64, 1..200), percent in 1..100_u64) {
            let mut histogram = Histogram::default();
            times.iter().for_each(|micros| histogram.add(slot(*micros), 1));
            times.sort_unstable();
            let rank = (times.len() as u64 * percent).div_ceil(100).max(1);
            let truth = times[usize::try_from(rank - 1).expect("a place")];
            let told = histogram.percentile(percent).expect("there are some");
            prop_assert!(told.abs_diff(truth) * 32 <= truth, "{truth} {told}");
        }
    }
}
