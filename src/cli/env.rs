//! The environment that makes an unmodified program use the proxy: variables, helper files, and how each shell spells them.
//!
//! No single variable covers even half of the clients, so the whole set is exported: what each one is for stands in
//! `variables.rs`. Clients that read no variable get a file one of those variables names (`helpers.rs`).

mod format;
mod google;
mod helpers;
mod jks;
mod no_proxy;
mod placement;
mod variables;
mod wgetrc;

use std::path::PathBuf;

pub(crate) use format::{Format, comment, render};
pub(crate) use helpers::write_helpers;
pub(crate) use placement::helper_file;
pub(crate) use variables::variables;

/// What the environment is made of. It holds an agent's token, so it has no `Debug`.
pub(crate) struct Inputs<'a> {
    /// `host:port` of the proxy.
    pub(crate) proxy: String,
    /// `host:port` of a listener that needs no proxy credentials, for Java, which can't send any; else `proxy` is named.
    pub(crate) java_proxy: Option<String>,
    /// Name and token that the caller shows to the proxy.
    pub(crate) agent: Option<(String, String)>,
    /// `ca-bundle.pem`: the system's roots and ours. Most clients replace their roots by it.
    pub(crate) bundle: PathBuf,
    /// `ca.pem`: our root alone, for the clients that add.
    pub(crate) ca: PathBuf,
    /// The folder of the helper files.
    pub(crate) helpers: PathBuf,
    /// What must not go through the proxy besides loopback, such as the gateway.
    pub(crate) no_proxy_extra: Vec<String>,
    /// Variables that SDKs insist on, with worthless values.
    pub(crate) placeholders: Vec<(String, String)>,
    /// The caller's own environment, for what must be added to and not replaced.
    pub(crate) inherited: &'a dyn Fn(&str) -> Option<String>,
}

/// Why the environment can't be written down.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A helper file can't be written.
    #[error("cannot write the helper file {}", path.display())]
    Write {
        /// The file or its folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The bundle or the CA can't be read.
    #[error("cannot read the certificates in {}; `nexus init` makes them anew", path.display())]
    Certificates {
        /// The PEM file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        cause: rustls_pki_types::pem::Error,
    },
    /// A file with certificates that has none.
    #[error("{} holds no certificate; `nexus init` makes it anew", path.display())]
    NoCertificates {
        /// The PEM file.
        path: PathBuf,
    },
    /// A path can't be the value of a variable.
    #[error("the path {} is not text, so that no variable can name it; set NEXUS_HOME to another folder", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// A format of one line per variable meets a value of several.
    #[error("the value of {name} has a line break, which this format cannot hold")]
    LineBreak {
        /// The variable.
        name: String,
    },
    /// No key can be made.
    #[error("the system gives no random numbers for a placeholder key")]
    Random,
    /// JSON can't be made.
    #[error("cannot write the variables as JSON")]
    Json(#[from] serde_json::Error),
}
