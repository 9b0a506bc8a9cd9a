//! The certificate authority: the root and its leaf certificates. Floor 1.
