//! Every grant as two pure functions. Floor 1.
