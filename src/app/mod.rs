//! Configuration, build, start, reload, drain. Floor 4.
