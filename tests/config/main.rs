//! Every configuration file that ships is valid, and every mistake in one is shown at its place.

mod catalogue;
mod example_file;
mod lookup;
mod provider_files;
