//! Hash maps for the data path.

use std::collections::HashMap;

/// A map that is looked at several times per request. Its hash is seeded and quick, but not made against somebody who can put in keys
/// of their own choice without bound: what is in it is ours, or bounded by how many connections and look-ups a caller may have.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
