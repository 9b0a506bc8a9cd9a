//! Private files: atomic, locked, 0600. Floor 0.
