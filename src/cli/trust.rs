//! `nexus gateway trust`: who signed the certificate of a gateway elsewhere, pinned after a person said yes.

use std::time::SystemTime;

use anyhow::Context as _;
use nexus::app::Node;
use nexus::ca::describe;
use nexus::disk;
use serde_json::json;

use super::arguments::Trust;
use super::context::{Context, Hint};
use super::terminal::Terminal;
use super::{gateway, when};

const LIMIT: u64 = 256 * 1024;

pub(super) fn run(context: &Context, terminal: &Terminal, options: &Trust) -> anyhow::Result<()> {
    context.require_home()?;
    let named = || Hint::new("no gateway is named", "nexus gateway trust https://HOST:PORT");
    let url = options.url.clone().or_else(|| gateway::url(context)).ok_or_else(named)?;
    let pem = options.ca.as_ref().map(|path| {
        let bytes = disk::read_regular(path, LIMIT)?.with_context(|| format!("there is no file {}", path.display()))?;
        String::from_utf8(bytes).with_context(|| format!("{} is not text", path.display()))
    });
    let pem = pem.transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (home, config) = (&context.home, context.config()?);
    let offered = runtime.block_on(Node::offered((home, &config), &url, pem.as_deref()));
    let offered = offered.with_context(|| format!("the gateway at {url} is not trusted"))?;
    let about = describe(&offered)?;
    let shown: Vec<&str> = about.iter().map(|one| one.sha256.as_str()).collect();
    for one in &about {
        let (end, now) = (one.not_after, SystemTime::now());
        terminal.say(&format!(
            "{url} is signed by {}, until {}\nSHA-256 {}",
            plain(&one.subject),
            when::day(end, now),
            one.sha256
        ));
    }
    agree(terminal, options, (&url, &shown))?;
    disk::write_atomic(&home.gateway_ca(), offered.as_bytes(), disk::PRIVATE)?;
    let value = json!({ "gateway": url, "sha256": shown, "file": home.gateway_ca() });
    terminal.either(&value, || format!("trusted {url}; `nexus up` believes nobody else for it\n"))
}

/// A person compares it with what the gateway's own machine shows, or has done so before.
fn agree(terminal: &Terminal, options: &Trust, (url, shown): (&str, &[&str])) -> anyhow::Result<()> {
    if let Some(wanted) = &options.sha256 {
        let same = |one: &&str| hex(one) == hex(wanted);
        anyhow::ensure!(shown.iter().any(same), "its SHA-256 is another one, so nothing was changed");
        return Ok(());
    }
    let ask =
        || Hint::new("there is nobody to ask; compare the SHA-256 and say it", format!("nexus gateway trust {url} --sha256 …"));
    anyhow::ensure!(terminal.can_ask(), ask());
    let yes = terminal.confirm("Is this what the gateway's own machine shows (`openssl x509 -noout -fingerprint -sha256`)?")?;
    anyhow::ensure!(yes, "nothing was changed");
    Ok(())
}

fn hex(text: &str) -> String {
    text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_uppercase()
}

/// What comes from elsewhere must not steer a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
