//! AES-256-GCM and PBKDF2 for the vault and the CA key. Floor 0.
