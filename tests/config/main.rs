//! Every configuration file that ships is valid, and every mistake in one is shown at its place.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking, its helpers included")]

mod catalogue;
mod example_file;
mod lookup;
mod provider_files;
mod signals;
