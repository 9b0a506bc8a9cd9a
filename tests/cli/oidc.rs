//! `Oidc`: a certified OpenID Provider that the test starts, and `Browser`: curl, which follows redirects and sends forms as a person
//! would have a browser do it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::Authority;
use crate::world::World;

/// The provider's file: what the server is, as a vendor's.
pub(crate) const ACME: &str = r#"
name = "acme"
title = "Acme"
console = "https://acme.example/apps"
whoami = "GET https://api.acme.example/v1/me"
slots = ["authorization"]
[oauth2]
authorize_url = "https://login.acme.example/auth"
token_url = "https://login.acme.example/token"
device_url = "https://login.acme.example/device/auth"
revocation_url = "https://login.acme.example/token/revocation"
issuer = "https://login.acme.example"
scopes = ["openid", "email"]
client_authentication = "client_secret_basic"
[[inject]]
hosts = ["api.acme.example"]
strategy = { bearer = "{access_token}" }
"#;

pub(crate) const SECRET: &str = "s3cr3t-of-the-app";

pub(crate) struct Oidc {
    server: Child,
    ca: PathBuf,
    port: String,
}

impl Drop for Oidc {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

impl Oidc {
    /// Starts it, and tells `world` of it: its provider file, its address, its authority.
    pub(crate) fn start(world: &World) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let modules = target.join("test-oidc/node_modules");
        assert!(modules.exists(), "run tests/install.sh");
        let authority = Authority::new();
        let (chain, key) = authority.leaf(&["login.acme.example", "api.acme.example"]);
        let (cert, key_file, ca) = (world.path("oidc.pem"), world.path("oidc.key"), world.path("oidc-ca.pem"));
        std::fs::write(&cert, pem("CERTIFICATE", &chain[0])).unwrap();
        std::fs::write(&key_file, pem("PRIVATE KEY", key.secret_der())).unwrap();
        std::fs::write(&ca, authority.pem()).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc/server.mjs");
        let mut command = world.program("node", &[]);
        let mut server = command
            .args([&program, &modules, &cert, &key_file])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node");
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening ").expect("it listens").to_owned();
        let oidc = Self { server, ca, port };
        oidc.known_to(world);
        world.provider("acme", ACME);
        oidc
    }

    /// Lets `world` reach it.
    pub(crate) fn known_to(&self, world: &World) {
        world.config(&format!(
            "[proxy]\nlisten = [\"127.0.0.1:0\"]\n[limits]\ndrain_secs = 1\n[upstream]\nextra_roots = [\"{}\"]\n\
             resolve = {{ \"login.acme.example\" = \"127.0.0.1:{port}\", \"api.acme.example\" = \"127.0.0.1:{port}\" }}\n",
            self.ca.display(),
            port = self.port,
        ));
    }

    /// Where a real browser finds its names.
    pub(crate) fn mapped(&self) -> String {
        let port = &self.port;
        format!("map:MAP login.acme.example:443 127.0.0.1:{port}, MAP api.acme.example:443 127.0.0.1:{port}")
    }

    /// As [`ACME`], with another word in it.
    pub(crate) fn file(from: &str, to: &str) -> String {
        assert!(ACME.contains(from), "{from}");
        ACME.replace(from, to)
    }

    /// The next question about a device code is answered `slow_down`.
    pub(crate) fn slow(&self, world: &World) {
        self.browser(world, "test").fetch("https://login.acme.example/test/slow", &["-X", "POST"]);
    }

    /// Every access token ends.
    pub(crate) fn expire(&self, world: &World) {
        self.browser(world, "test").fetch("https://login.acme.example/test/expire", &["-X", "POST"]);
    }

    /// Every grant ends, and all tokens of it.
    pub(crate) fn revoke(&self, world: &World) {
        self.browser(world, "test").fetch("https://login.acme.example/test/revoke", &["-X", "POST"]);
    }

    /// How often a refresh token was shown.
    pub(crate) fn refreshes(&self, world: &World) -> u64 {
        let page = self.browser(world, "test").fetch("https://login.acme.example/test/refreshes", &[]);
        serde_json::from_str::<serde_json::Value>(&page.text).unwrap()["refreshes"].as_u64().unwrap()
    }

    /// Whose access token it is, where it is good.
    pub(crate) fn owner(&self, world: &World, token: &str) -> Option<String> {
        let header = format!("Authorization: Bearer {token}");
        let page = self.browser(world, "test").fetch("https://api.acme.example/v1/me", &["-H", &header]);
        let value: serde_json::Value = serde_json::from_str(&page.text).unwrap();
        value["login"].as_str().map(str::to_owned)
    }

    /// A browser with cookies of its own.
    pub(crate) fn browser<'a>(&'a self, world: &'a World, name: &str) -> Browser<'a> {
        Browser { oidc: self, world, cookies: world.path(&format!("cookies-{name}")) }
    }
}

pub(crate) struct Browser<'a> {
    oidc: &'a Oidc,
    world: &'a World,
    cookies: PathBuf,
}

/// Where a browser ended, and what it shows.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) url: String,
    pub(crate) status: String,
    pub(crate) text: String,
}

impl Browser<'_> {
    /// Fetches `url` and follows where it leads.
    pub(crate) fn fetch(&self, url: &str, more: &[&str]) -> Shown {
        let cookies = self.cookies.to_str().unwrap();
        let port = &self.oidc.port;
        let to = ["login", "api"].map(|name| format!("{name}.acme.example:443:127.0.0.1:{port}"));
        let base = ["-sS", "-L", "--max-redirs", "10", "--max-time", "50", "--cacert", self.oidc.ca.to_str().unwrap()];
        let own = ["--connect-to", &to[0], "--connect-to", &to[1], "-b", cookies, "-c", cookies];
        let written = ["-w", "\n%{url_effective}\n%{http_code}", url];
        let whole: Vec<&str> = [&base[..], &own, more, &written].concat();
        let output = self.world.program("curl", &whole).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut parts = text.rsplitn(3, '\n');
        let (status, url) = (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned());
        let text = parts.next().unwrap_or_default().to_owned();
        assert!(output.status.success(), "{url} {text} {}", String::from_utf8_lossy(&output.stderr));
        Shown { url, status, text }
    }

    /// Logs in as `person` and consents, on the pages that follow `url`.
    pub(crate) fn consent(&self, url: &str, person: &str) -> Shown {
        let page = self.fetch(url, &[]);
        self.consent_on(&page, person)
    }

    fn consent_on(&self, page: &Shown, person: &str) -> Shown {
        assert!(page.url.starts_with("https://login.acme.example/interaction/"), "{page:?}");
        let page = self.fetch(&page.url, &["-d", &format!("prompt=login&login={person}&password=x")]);
        assert!(page.url.starts_with("https://login.acme.example/interaction/"), "{page:?}");
        self.fetch(&page.url, &["-d", "prompt=consent"])
    }

    /// Says no.
    pub(crate) fn refuse(&self, url: &str) -> Shown {
        let page = self.fetch(url, &[]);
        self.fetch(&format!("{}/abort", page.url), &[])
    }

    /// Enters `code` on the page for devices, and consents or says no.
    pub(crate) fn enter(&self, page: &str, code: &str, person: Option<&str>) -> Shown {
        let shown = self.fetch(page, &[]);
        let secret = |shown: &Shown| {
            let (_, rest) = shown.text.split_once("name=\"xsrf\" value=\"").expect("a form");
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        let shown = self.fetch(page, &["-d", &format!("xsrf={}&user_code={code}", secret(&shown))]);
        let last = if person.is_some() { "confirm=yes" } else { "abort=yes" };
        let shown = self.fetch(page, &["-d", &format!("xsrf={}&user_code={code}&{last}", secret(&shown))]);
        match person {
            Some(person) => self.consent_on(&shown, person),
            None => shown,
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
