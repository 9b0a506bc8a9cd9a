//! Provider files: TOML in, `Provider` out. Every mistake is shown with its line, column and a caret.

mod about_token;
mod extras;
mod grant;
mod inject;
mod mint;
mod oauth2;
mod presets;
mod signals;
mod signers;
mod source;
mod token_response;
mod whoami;

use std::fmt;
use std::path::PathBuf;

use toml::de::DeTable;

use self::source::{Source, Table, Value};
use super::grant::Grant;
use super::oauth2::OAuth2;
use super::pattern::HostPattern;
use super::rule::{Field, InjectRule, Provider, Slot};
use crate::model::ProviderId;

/// The largest provider file that is read.
pub(super) const MAX_FILE: usize = 64 * 1024;

/// Fields that any connection may have and a template may name; `refresh_token` and `client_secret` are for renewals only.
const COMMON_FIELDS: [&str; 4] = ["access_token", "api_key", "password", "username"];

/// Keys at the top of a file.
const KEYS: &[&str] = &[
    "name",
    "title",
    "category",
    "console",
    "whoami",
    "slots",
    "verified",
    "oauth2",
    "grant",
    "inject",
    "placeholder",
    "field",
    "expired",
    "not_expired",
    "beside",
    "token_response",
    "revocation",
    "introspection",
    "presets",
];

/// Fields that never leave towards a host pattern or a template unless the file declares them.
const RENEWAL_FIELDS: [&str; 1] = ["refresh_token"];

/// Why a provider file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is wrong at one place of the text.
    #[error("{0}")]
    Mistake(Box<Mistake>),
    /// The file cannot be read.
    #[error("cannot read the provider file {}", file.display())]
    Unreadable {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Not a regular file or folder, or one that is another's or that others may write.
    #[error("{} is not taken: {reason}", file.display())]
    Untrusted {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// One that a program would add is there.
    #[error("there is a provider file {} already", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// One that a program adds can't be written.
    #[error("cannot write the provider file")]
    Unwritten(#[source] crate::disk::Error),
    /// More than 64 KiB.
    #[error("the provider file {} is larger than 64 KiB; a file describes one service, so give each its own", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// There is a provider of this name already.
    #[error("{at}")]
    NameTaken {
        /// Where the file says it.
        at: Box<Mistake>,
    },
    /// Another provider injects where this one says its token endpoint is.
    #[error("{at}")]
    EndpointTaken {
        /// Where the file says it.
        at: Box<Mistake>,
    },
    /// Another provider has this host, and no path prefix tells the two apart.
    #[error("{at}")]
    HostTaken {
        /// Where the file says it.
        at: Box<Mistake>,
    },
}

/// One place of a provider file, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The line itself, for the caret.
    pub excerpt: String,
    /// How many characters are meant, at least 1.
    pub width: usize,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, excerpt, width } = self;
        write!(formatter, "{file}:{line}:{column}: {message}")?;
        if excerpt.is_empty() {
            return Ok(());
        }
        let number = line.to_string();
        let (margin, before) = (number.len() + 1, column - 1);
        write!(formatter, "\n{:margin$}|\n{number} | {excerpt}\n{:margin$}| {:before$}{:^<width$}", "", "", "", "")
    }
}

impl Error {
    /// The place in the text, where there is one.
    pub fn mistake(&self) -> Option<&Mistake> {
        match self {
            Self::Mistake(mistake) => Some(mistake),
            Self::NameTaken { at } | Self::EndpointTaken { at } | Self::HostTaken { at } => Some(at),
            Self::Unreadable { .. }
            | Self::Untrusted { .. }
            | Self::TooLarge { .. }
            | Self::Exists { .. }
            | Self::Unwritten(_) => None,
        }
    }
}

/// The text of a provider file of which one byte more than may be there was read at most.
///
/// # Errors
/// More than 64 KiB; the place of what is not UTF-8.
pub fn text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Error> {
    if bytes.len() > MAX_FILE {
        return Err(Error::TooLarge { file: file.into() });
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Source { file, text: good }.mistake(good.len()..good.len(), format!("this is not text in UTF-8: {error}"))
    })
}

/// The first place of `text` that holds `literal` in quotes, and what is wrong there.
pub(super) fn point_at(file: &str, text: &str, literal: &str, message: String) -> Box<Mistake> {
    // Names and hosts are told in small letters, however they are written.
    let (text_low, low) = (text.to_ascii_lowercase(), literal.to_ascii_lowercase());
    let found = ['"', '\''].into_iter().filter_map(|quote| text_low.find(&format!("{quote}{low}{quote}"))).min();
    let span = found.map_or(0..0, |at| at..at + literal.len() + 2);
    Box::new(Source { file, text }.place(span, message))
}

/// Reads one provider file; `file` is its name (`github.toml`), which must be the provider's.
///
/// # Errors
/// The first mistake of the text; a file of more than 64 KiB.
pub fn parse(file: &str, text: &str) -> Result<Provider, Error> {
    if text.len() > MAX_FILE {
        return Err(Error::TooLarge { file: file.into() });
    }
    let source = Source { file, text };
    let document = DeTable::parse(text).map_err(|error| source.mistake(error.span().unwrap_or(0..0), error.message()))?;
    let root = Table::open(source, document.get_ref(), document.span(), KEYS)?;
    let id = name(&root)?;
    let mut slots: Vec<Slot> = root.need("slots")?.list(|value| value.text()?.parse())?;
    let mut fields = root.get("field").map_or(Ok(Vec::new()), |list| list.list(extras::field))?;
    let oauth2 = root.get("oauth2").map(|table| oauth2::read(table, &fields)).transpose()?;
    let grants = grants(&root, oauth2.as_ref(), &fields)?;
    let mut inject = root.need("inject")?.list(|value| inject::read(&value, &slots, &fields, &grants))?;
    root.need("inject")?.not_empty(&inject)?;
    add_tenants(&mut fields, &inject);
    add_general(&mut slots);
    grant::shut_tenants(&root, &mut inject)?;
    let text_of = |key| root.get(key).map(|value| value.plain()).transpose();
    let mut provider = Provider {
        title: text_of("title")?.unwrap_or_else(|| id.to_string()),
        category: text_of("category")?.unwrap_or_else(|| "other".to_owned()),
        console: root.get("console").map(|value| oauth2::url(&value)).transpose()?,
        whoami: Vec::new(),
        no_whoami: None,
        placeholders: root.get("placeholder").map_or(Ok(Vec::new()), |value| extras::placeholders(value, &fields))?,
        verified: root.get("verified").map_or(Ok(true), |value| value.boolean())?,
        signals: signals::read(&root)?,
        presets: presets::read(&root)?,
        beside: root.get("beside").map_or(Ok(Vec::new()), |value| value.list(|value| value.text()?.parse()))?,
        id,
        slots,
        oauth2,
        grants,
        token_responses: Vec::new(),
        about_tokens: Vec::new(),
        inject,
        fields,
    };
    add_what_refers(&root, &mut provider)?;
    Ok(provider)
}

/// What speaks of the hosts and rules of the file.
fn add_what_refers(root: &Table<'_>, provider: &mut Provider) -> Result<(), Error> {
    if let Some(list) = root.get("token_response") {
        provider.token_responses = list.list(|value| token_response::read(&value, provider))?;
    }
    if let Some(value) = root.get("whoami") {
        (provider.whoami, provider.no_whoami) = whoami::read(&value, provider)?;
    }
    provider.about_tokens = about_token::read_all(root, provider)?;
    Ok(())
}

fn grants(root: &Table<'_>, oauth2: Option<&OAuth2>, fields: &[Field]) -> Result<Vec<Grant>, Error> {
    root.get("grant").map_or(Ok(Vec::new()), |list| list.list(|value| grant::read(&value, oauth2, fields)))
}

fn name(root: &Table<'_>) -> Result<ProviderId, Error> {
    let text = root.need("name")?.text()?;
    let id: ProviderId = text.parse()?;
    let stem = root.source().file.strip_suffix(".toml").unwrap_or(root.source().file);
    if stem.parse::<ProviderId>().ok().as_ref() != Some(&id) {
        return Err(text.refuse(format!("the provider {id} must be in a file called {id}.toml")));
    }
    Ok(id)
}

/// `Authorization` carries credentials everywhere (RFC 9110 §11.6.2), whether or not this service reads it there.
fn add_general(slots: &mut Vec<Slot>) {
    let authorization = Slot::Header(http::header::AUTHORIZATION);
    if !slots.contains(&authorization) {
        slots.push(authorization);
    }
}

/// A tenant that the file does not describe is asked for by its bare name.
fn add_tenants(fields: &mut Vec<Field>, inject: &[InjectRule]) {
    let tenants = inject.iter().flat_map(|rule| &rule.hosts).filter_map(HostPattern::tenant);
    for tenant in tenants {
        if !fields.iter().any(|field| field.name == tenant) {
            let name = tenant.to_owned();
            fields.push(Field { prompt: name.clone(), name, secret: false, hint: None, file: false, derived: None });
        }
    }
}

impl Value<'_> {
    fn not_empty<T>(&self, list: &[T]) -> Result<(), Error> {
        if list.is_empty() { Err(self.refuse("must not be empty")) } else { Ok(()) }
    }
}
