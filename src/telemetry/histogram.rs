//! `Histogram`: how many were at most so much.

/// The bounds that OpenTelemetry's HTTP conventions advise for durations, in microseconds.
pub(super) const DURATIONS: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000, 5_000_000, 7_500_000,
    10_000_000,
];
/// Bounds for bodies, in bytes.
pub(super) const SIZES: [u64; 8] = [0, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 23, 1 << 27, 1 << 30];

/// Counts of values below `N` bounds, which whoever adds one passes in, and of those above.
#[derive(Debug, Clone)]
pub(super) struct Histogram<const N: usize> {
    pub(super) buckets: [u64; N],
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0 }
    }
}

impl<const N: usize> Histogram<N> {
    /// One more, counted below the first of `bounds` that it doesn't pass.
    pub(super) fn add(&mut self, value: u64, bounds: &[u64; N]) {
        let first = bounds.iter().position(|bound| value <= *bound);
        if let Some(bucket) = first.and_then(|first| self.buckets.get_mut(first)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Takes in what another worker counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(bucket, more)| *bucket += more);
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_below_it() {
        let mut histogram = Histogram::default();
        for value in [0, 5_000, 5_001, 10_000_000, 10_000_001] {
            histogram.add(value, &DURATIONS);
        }
        assert_eq!((histogram.buckets[0], histogram.buckets[1], histogram.buckets[13]), (2, 1, 1));
        assert_eq!((histogram.count, histogram.sum), (5, 20_010_002));
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!((twice.buckets[0], twice.count), (4, 10));
    }
}
