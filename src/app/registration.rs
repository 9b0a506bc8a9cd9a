//! What a person types, as an entry of the vault: the room `registration` with the broker's word on it.

use std::time::SystemTime;

use crate::broker::try_out;
use crate::vault::Entry;

pub use crate::registration::{Error, Form, NotMade, Reach, Wanted, Widened, unbound, ways, widened};

/// The entry that comes of `form`, its hosts and token endpoints sealed.
///
/// # Errors
/// As [`Error`] says.
pub fn entry(form: Form<'_>) -> Result<Entry, Error> {
    form.entry(try_out, SystemTime::now())
}
