//! How what a person typed becomes a connection: which fields a provider needs, whether they do, and where they may go. Floor 2.

mod contested;
mod error;
mod form;
mod merged;
mod reach;
mod wanted;
mod widened;

pub use contested::contested;
pub use error::{Error, NotMade};
pub use form::Form;
pub(crate) use form::is_client;
pub(crate) use merged::stays;
pub use reach::Reach;
pub(crate) use reach::{placed, to_be_fetched};
pub use wanted::{Wanted, unbound, ways};
pub(crate) use widened::tell;
pub use widened::{Widened, widened};
