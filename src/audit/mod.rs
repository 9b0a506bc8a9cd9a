//! The log of every request that leaves. Floor 1.
