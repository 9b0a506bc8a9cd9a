//! `mints` that say where the new credential stands in the answer, so that it can be taken out there.

use std::fmt;

use http::Method;

use super::body::Pointer;
use super::rule::{InjectRule, MethodPath};

/// A request whose answer is one credential of the same provider: `{ at = "POST /v1/keys", capture = { api_key = "key" } }`.
#[derive(Debug)]
pub struct Mint {
    /// The request.
    pub at: MethodPath,
    /// What becomes which field of the new connection. Never empty; together they are what the rule puts on requests.
    pub fields: Vec<Minted>,
    /// Members that a program gets as they came, though they look like a credential: ids of keys.
    pub shows: Vec<Pointer>,
}

/// One member of the answer.
#[derive(Debug)]
pub struct Minted {
    /// The field.
    pub name: String,
    /// Where it stands.
    pub member: Pointer,
    /// What its stand-in begins with; `None` for one that is no secret, which stays.
    pub prefix: Option<String>,
}

impl Mint {
    /// Whether it speaks of this request for certain: the method as it is written, and every reading of `path`.
    pub fn takes(&self, method: &Method, path: &str) -> bool {
        self.at.method.as_ref() == Some(method) && self.at.path.matches_all_readings(path)
    }
}

impl InjectRule {
    /// The number of the entry that says how the answer to this request is taken apart.
    pub fn captures(&self, method: &Method, path: &str) -> Option<usize> {
        self.captures.iter().position(|mint| mint.takes(method, path))
    }
}

impl fmt::Display for Mint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
        let method = self.at.method.as_ref().map_or("*", Method::as_str);
        write!(formatter, "{method} {}: {}", self.at.path, fields.join(", "))
    }
}
