//! The data plane: a caller's stream in, a response out. Floor 3.
