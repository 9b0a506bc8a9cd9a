//! Resolve, refuse, dial, verify, pool, send. Floor 1.
