//! What needs a person, as a proxy of this home wrote it down, for who can't ask it.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::home::{Home, HomeError};
use crate::attention;

impl Home {
    /// What `GET /api/attention` of a gateway would answer, as far as it was written down.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn attention(&self) -> Result<Value, HomeError> {
        let path = self.attention_file();
        let items = attention::read_list(&path, SystemTime::now()).map_err(|cause| HomeError::File { path, cause })?;
        Ok(json!({ "items": items, "held": null, "webhook": null }))
    }
}
