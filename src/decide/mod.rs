//! Rules compiled into one snapshot. Floor 2.
