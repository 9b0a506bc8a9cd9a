//! A proxy inside your own program: it holds an API key, and whoever calls `https://api.openai.com` through it uses that key.
//!
//! Run it with `cargo run --example quickstart`, then, in another terminal, with the two variables it prints:
//! `curl https://api.openai.com/v1/models`. It ends when its standard input does (Ctrl-D).

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::Read as _;

use nexus::app::{App, Config, Home, Planes, Setup, init, passphrase};
use nexus::model::{Credential, Secret};
use nexus::vault::{AuthType, Entry, Store};

fn main() -> Result<(), Box<dyn Error>> {
    // A home folder that is deleted at the end. A real one is `~/.nexus`, and its secret comes from NEXUS_SECRET.
    let folder = tempfile::tempdir()?;
    let home = Home::new(folder.path());
    init(&home, &|_variable| None, "", "quickstart")?;
    let (secret, _origin) = passphrase(&home, &|_variable| None)?;

    // The key goes into the vault, sealed together with the hosts it may reach.
    let mut fields = Credential::default();
    fields.set("api_key", Secret::new(std::env::var("OPENAI_API_KEY").unwrap_or_else(|_unset| "sk-a-key-to-try-with".into())));
    let mut entry = Entry::new("openai".parse()?, AuthType::ApiKey, fields);
    entry.hosts = vec!["api.openai.com".to_owned()];
    Store::open(home.vault(), &secret)?.register(&"openai".parse()?, entry)?;

    // Port 0 is any free one.
    let config = Config::parse("quickstart", "[proxy]\nlisten = [\"127.0.0.1:0\"]\n", &[])?;
    let setup =
        Setup { home: home.clone(), config, passphrase: secret, weak_secret: false, agents: Vec::new(), planes: Planes::Proxy };
    let running = App::new(setup)?.start()?;
    for address in running.addresses() {
        println!("HTTPS_PROXY=http://{address}");
    }
    println!("CURL_CA_BUNDLE={}", home.bundle().display());

    std::io::stdin().read_to_end(&mut Vec::new())?;
    running.stop();
    Ok(())
}
