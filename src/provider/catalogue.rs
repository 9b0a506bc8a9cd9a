//! All providers: the compiled-in ones and the user's.

/// All providers by name.
#[derive(Debug, Default)]
pub struct Catalogue {}
