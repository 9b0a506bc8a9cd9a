//! The data plane: a caller's stream in, a response out. Floor 3.

pub(crate) mod head;
