//! Accept, connection limit, drain. Floor 1.
