//! `nexus open`: a link to the page, made by the gateway of this home.

use anyhow::Context as _;
use clap::ValueEnum as _;
use http::Method;
use nexus::disk;
use nexus::model::AgentName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::arguments::Open;
use super::context::{Context, Hint};
use super::terminal::Terminal;
use super::{browser, control};

/// What a path is of in an address (RFC 3986 section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Open) -> anyhow::Result<()> {
    if options.end {
        let ended = ask(context, &Method::DELETE, None)?;
        let count = ended.get("ended").and_then(Value::as_u64).unwrap_or_default();
        return terminal.either(&ended, || format!("{count} sessions and links ended\n"));
    }
    let name: AgentName = match &options.name {
        Some(name) => name.clone(),
        None => own_name()?,
    };
    let role = options.role.to_possible_value().map(|role| role.get_name().to_owned());
    let made = ask(context, &Method::POST, Some(&json!({ "name": name.as_str(), "role": role })))?;
    let text = |member: &str| made.get(member).and_then(Value::as_str).unwrap_or_default();
    let url = text("url");
    terminal.either(&made, || {
        format!("for {name} as {}, once, until {}:\n  {url}\n", role.as_deref().unwrap_or_default(), text("expires_at"))
    })?;
    if !options.no_browser && !opened(context, url)? {
        terminal.hint("no browser could be opened here; follow the link in one that reaches this address");
    }
    Ok(())
}

/// Of who calls us, as far as that is a name.
fn own_name() -> anyhow::Result<AgentName> {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()?.parse().ok());
    named.map_or_else(|| Ok("operator".parse()?), Ok)
}

/// Has a browser follow the link by way of a file that only this user can read, and no program under `nexus run`: the arguments of a process
/// are everybody's to read.
fn opened(context: &Context, url: &str) -> anyhow::Result<bool> {
    let file = context.home.open_file();
    disk::write_atomic(&file, leading_to(url).as_bytes(), disk::PRIVATE)?;
    let path = file.to_str().context("the home folder has a name that no address can hold")?;
    let place = format!("file://{}", utf8_percent_encode(path, PATH));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(browser::open(&place)))
}

/// A document that leads to `url` at once.
fn leading_to(url: &str) -> String {
    let url = url.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0;url={url}\"><title>Nexus</title><a href=\"{url}\">Nexus</a>\n"
    )
}

fn ask(context: &Context, method: &Method, body: Option<&Value>) -> anyhow::Result<Value> {
    let Some(answer) = control::ask(context, method, "/api/sessions", body)? else {
        anyhow::bail!(Hint::new("the page is the gateway's, and none is up in this home", "nexus up"));
    };
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    let why = answer.body.get("detail").and_then(Value::as_str).unwrap_or_default();
    anyhow::bail!("the gateway answered {}: {why}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stays_within_its_quotes() {
        let text = leading_to("http://a/\"><script>&x#nxp_1");
        assert!(text.contains("url=http://a/&quot;>&lt;script>&amp;x#nxp_1\"") && !text.contains("<script"), "{text}");
    }
}
