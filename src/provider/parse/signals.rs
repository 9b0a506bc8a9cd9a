//! `[[expired]]` and `[[not_expired]]`.

use http::StatusCode;

use super::Error;
use super::source::{Table, Value};
use crate::provider::expired::{Signal, Signals, without_blanks};
use crate::provider::slot::parse_header_name;

/// More would cost more than a renewal.
const MAX_TEXTS: usize = 16;

pub(super) fn read(root: &Table<'_>) -> Result<Signals, Error> {
    let list = |key| root.get(key).map_or(Ok(Vec::new()), |value| value.list(|value| signal(&value)));
    Ok(Signals { expired: list("expired")?, not_expired: list("not_expired")? })
}

fn signal(value: &Value<'_>) -> Result<Signal, Error> {
    let table = value.table(&["status", "header", "body"])?;
    let signal = Signal {
        status: table.get("status").map_or(Ok(Vec::new()), |value| value.list(|value| status(&value)))?,
        header: table.get("header").map(|value| header(&value)).transpose()?,
        body: table.get("body").map_or(Ok(Vec::new()), |value| value.list(|value| body(&value)))?,
    };
    if signal.status.is_empty() {
        return Err(value.refuse("name at least one status: a header or a text alone could stand in any answer"));
    }
    if signal.body.len() > MAX_TEXTS {
        return Err(value.refuse(format!("at most {MAX_TEXTS} texts")));
    }
    Ok(signal)
}

fn status(value: &Value<'_>) -> Result<StatusCode, Error> {
    let number: u16 = value.number("a status from 200 to 599")?;
    StatusCode::from_u16(number)
        .ok()
        .filter(|_| (200..600).contains(&number))
        .ok_or_else(|| value.refuse("expected a status from 200 to 599"))
}

fn header(value: &Value<'_>) -> Result<(http::HeaderName, String), Error> {
    let table = value.table(&["name", "contains"])?;
    let (name, text) = (table.need("name")?.text()?, table.need("contains")?.text()?);
    if text.value.is_empty() || !text.value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(text.refuse("expected visible ASCII that stands in the header's value"));
    }
    Ok((parse_header_name(name.value).map_err(|error| name.refuse(error.to_string()))?, text.value.to_ascii_lowercase()))
}

fn body(value: &Value<'_>) -> Result<String, Error> {
    let text = value.text()?;
    let plain = String::from_utf8(without_blanks(text.value.as_bytes())).unwrap_or_default();
    if (4..=200).contains(&plain.len()) {
        Ok(plain)
    } else {
        Err(text.refuse("expected 4 to 200 letters that stand in the body"))
    }
}
