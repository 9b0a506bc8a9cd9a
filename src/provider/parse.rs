//! Provider files: TOML in, `Provider` out.

/// Why a provider file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {}
