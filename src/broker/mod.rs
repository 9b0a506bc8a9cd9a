//! Live credentials and their renewal. Floor 2.
