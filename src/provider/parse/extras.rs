//! `[placeholder]` and `[[field]]`: what SDKs insist on, and what a person must hand over.

use super::Error;
use super::inject::word;
use super::source::{Table, Text, Value};
use crate::model::is_field_name;
use crate::provider::rule::{Derived, Field, HelperFile, Placeholder};
use crate::provider::template::Template;

/// Beginnings of the names of variables that steer programs: a provider file must not be able to set them.
const STEERING: [&str; 23] = [
    "BASH",
    "CDPATH",
    "CLASSPATH",
    "CURL_",
    "DYLD_",
    "GCONV",
    "GIT_",
    "GLIBC",
    "JAVA_",
    "JDK_",
    "LD_",
    "NEXUS",
    "NODE_",
    "NPM_",
    "PATH",
    "PERL",
    "PROMPT_",
    "PYTHON",
    "RUBY",
    "RUSTC",
    "SHELL",
    "SSL_",
    "_",
];

/// Others, of which only the whole name steers: PAGERDUTY_TOKEN is a service's.
const STEERING_NAMES: [&str; 11] =
    ["BROWSER", "EDITOR", "ENV", "HOME", "IFS", "LESSCLOSE", "LESSOPEN", "MAKEFLAGS", "MANPAGER", "PAGER", "VISUAL"];

pub(super) fn placeholders(value: Value<'_>, fields: &[Field]) -> Result<Vec<Placeholder>, Error> {
    value.entries()?.into_iter().map(|(key, value)| placeholder(&key, &value, fields)).collect()
}

fn placeholder(key: &Text<'_>, value: &Value<'_>, fields: &[Field]) -> Result<Placeholder, Error> {
    let name = key.value;
    let shaped = name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !shaped {
        return Err(key.refuse("a variable is upper-case letters, digits and _, beginning with a letter"));
    }
    let steers = STEERING_NAMES.contains(&name) || STEERING.iter().any(|word| name.starts_with(word));
    if name.contains("PROXY") || steers {
        return Err(key.refuse(format!("{name} steers programs; a provider file cannot set it")));
    }
    let table = if value.is_table() { Some(value.table(&["file", "fixed", "prefix", "suffix"])?) } else { None };
    if let Some(file) = table.as_ref().and_then(|table| table.get("file")) {
        return helper_file(name, table.as_ref(), &file);
    }
    let fixed = table.as_ref().and_then(|table| table.get("fixed"));
    let text = match (&table, &fixed) {
        (None, _) => value.text()?,
        (Some(_), Some(fixed)) => fixed.text()?,
        (Some(table), None) => table.need("prefix")?.text()?,
    };
    let suffix = table.as_ref().and_then(|table| table.get("suffix"));
    if let (Some(_), Some(suffix)) = (&fixed, &suffix) {
        return Err(suffix.refuse("a fixed value has no suffix"));
    }
    quiet(&text)?;
    let suffix = suffix.map(|suffix| suffix_of(&suffix.text()?, fields)).transpose()?;
    Ok(Placeholder { variable: name.to_owned(), prefix: text.value.to_owned(), fixed: fixed.is_some(), suffix, file: None })
}

/// `{ file = "google_service_account" }`, which is written when the variable is.
fn helper_file(name: &str, table: Option<&Table<'_>>, value: &Value<'_>) -> Result<Placeholder, Error> {
    if let Some(other) = ["fixed", "prefix", "suffix"].iter().find_map(|key| table?.get(key)) {
        return Err(other.refuse("the value is the path of a file, and nothing else"));
    }
    let file = word(value, &[("google_service_account", HelperFile::GoogleServiceAccount)])?;
    Ok(Placeholder { variable: name.to_owned(), prefix: String::new(), fixed: true, suffix: None, file: Some(file) })
}

/// Nothing that a shell would read.
pub(super) fn quiet(text: &Text<'_>) -> Result<(), Error> {
    let quiet = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'`' | b'$' | b'\\');
    if text.value.len() <= 256 && text.value.bytes().all(quiet) {
        return Ok(());
    }
    Err(text.refuse("a placeholder is visible ASCII without spaces, quotes, $ and backslashes"))
}

/// What everybody sees in the environment holds no secret.
fn suffix_of(text: &Text<'_>, fields: &[Field]) -> Result<Template, Error> {
    quiet(text)?;
    let template: Template = text.parse()?;
    let open = |name: &str| fields.iter().any(|field| field.name == name && !field.secret && !field.file);
    if let Some(name) = template.fields().find(|name| !open(name)) {
        let message = format!("{{{name}}} is no [[field]] with secret = false, so it cannot stand in a variable");
        return Err(text.refuse(message));
    }
    Ok(template)
}

pub(super) fn field(value: Value<'_>) -> Result<Field, Error> {
    let table = value.table(&["name", "prompt", "secret", "hint", "file", "from", "after_last"])?;
    let name = field_name(&table.need("name")?)?;
    let derived = match (table.get("from"), table.get("after_last")) {
        (None, None) => None,
        (from, after_last) => {
            let from = from.ok_or_else(|| value.refuse("`after_last` needs `from`"))?;
            let after_last = after_last.ok_or_else(|| value.refuse("`from` needs `after_last`"))?;
            Some(Derived { from: field_name(&from)?, after_last: after_last.plain()? })
        }
    };
    Ok(Field {
        prompt: table.need("prompt")?.plain()?,
        secret: table.get("secret").map_or(Ok(true), |secret| secret.boolean())?,
        hint: table.get("hint").map(|hint| hint.plain()).transpose()?,
        file: table.get("file").map_or(Ok(false), |file| file.boolean())?,
        name,
        derived,
    })
}

fn field_name(value: &Value<'_>) -> Result<String, Error> {
    let text = value.text()?;
    if !is_field_name(text.value) {
        return Err(text.refuse("a field's name is lower-case letters, digits and _, beginning with a letter"));
    }
    Ok(text.value.to_owned())
}
