//! The table: one file per service in `services/` says where the credential belongs, what the service answers, and which programs
//! call it. Nothing in it is read off the provider files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A vendor's service, called as the provider is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    #[serde(skip)]
    pub(crate) name: String,
    /// How its credentials begin.
    pub(crate) prefix: String,
    /// What a person hands over where nothing expires: `{credential}` is the one the service accepts, `{second}` another secret.
    #[serde(default)]
    register: BTreeMap<String, String>,
    /// Its token endpoint, where it renews.
    pub(crate) oauth2: Option<Endpoint>,
    /// What it answers to a credential that has expired; else 401.
    pub(crate) expired: Option<Answer>,
    /// What serves it in place of answers and looks at the credentials itself: a program in `servers/`.
    pub(crate) server: Option<String>,
    /// The names of such a server.
    #[serde(default)]
    hosts: BTreeSet<String>,
    /// Where the credential belongs, by host or at `*`.
    place: BTreeMap<String, Place>,
    /// By their file in `programs/`.
    pub(crate) program: BTreeMap<String, Program>,
    /// By the call: `METHOD host/path word…`. A `*` stands for one segment of the path; each word is in the query or the body.
    #[serde(default)]
    pub(crate) answer: BTreeMap<String, Answer>,
}

/// How tokens are renewed (RFC 6749 §6).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// `host/path`.
    pub(crate) at: String,
    /// Whether the client authenticates by Basic, else by parameters (§2.3.1).
    #[serde(default)]
    pub(crate) basic: bool,
    /// Whether the parameters are JSON.
    #[serde(default)]
    pub(crate) json: bool,
    /// Whether a refresh token is good for one use.
    #[serde(default)]
    pub(crate) rotates: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(default = "authorization")]
    header: String,
    value: Option<String>,
    /// `user:password` of Basic (RFC 7617 §2).
    basic: Option<String>,
}

/// What an SDK does in one program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    /// Whether `make test` runs it.
    #[serde(default)]
    pub(crate) fast: bool,
    /// The call, one of `calls`, at which the first credential has expired.
    pub(crate) expires: Option<String>,
    /// In place of the service's.
    register: Option<BTreeMap<String, String>>,
    /// What the service answered, in order: a retry of the SDK's own would show. What comes several times in a row ends in `×3`.
    pub(crate) calls: Vec<String>,
    /// What only a program that understood the answers prints.
    pub(crate) prints: Vec<String>,
}

/// One answer of the service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: String,
    /// Server-sent events, one by one.
    #[serde(default)]
    pub(crate) events: bool,
    /// git's own server answers.
    #[serde(default)]
    pub(crate) git: bool,
    /// A call that some versions of a program make; it is not counted.
    #[serde(default)]
    pub(crate) incidental: bool,
}

fn authorization() -> String {
    "authorization".to_owned()
}

fn ok() -> u16 {
    200
}

/// A program of a service.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) service: std::sync::Arc<Service>,
    pub(crate) file: String,
    pub(crate) program: Program,
}

impl Case {
    /// What a person hands over where nothing is renewed.
    pub(crate) fn register(&self, [credential, second]: &[String; 2]) -> BTreeMap<&str, String> {
        let fields = self.program.register.as_ref().unwrap_or(&self.service.register);
        let fill = |value: &String| value.replace("{credential}", credential).replace("{second}", second);
        fields.iter().map(|(name, value)| (name.as_str(), fill(value))).collect()
    }
}

/// The folder of this table.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// All programs of all services, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let entries = std::fs::read_dir(folder().join("services")).expect("the services").map(|entry| entry.expect("one").path());
    let files: BTreeSet<PathBuf> = entries.collect();
    files.iter().flat_map(|file| read(file)).collect()
}

fn read(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).expect("text");
    let mut service: Service = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    service.name = file.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
    let service = std::sync::Arc::new(service);
    let programs = service.program.iter();
    programs.map(|(file, program)| Case { service: service.clone(), file: file.clone(), program: program.clone() }).collect()
}

impl Service {
    /// Every name it answers to.
    pub(crate) fn hosts(&self) -> Vec<&str> {
        if self.server.is_some() {
            return self.hosts.iter().map(String::as_str).collect();
        }
        let endpoint = self.oauth2.iter().map(|endpoint| endpoint.at.as_str());
        let places = self.answer.keys().filter_map(|call| call.split(' ').nth(1)).chain(endpoint);
        let hosts: BTreeSet<&str> = places.filter_map(|place| place.split('/').next()).collect();
        hosts.into_iter().collect()
    }

    fn place(&self, host: &str) -> &Place {
        self.place.get(host).or_else(|| self.place.get("*")).unwrap_or_else(|| panic!("{}: no [place] for {host}", self.name))
    }

    /// The one header at `host` in which a secret belongs.
    pub(crate) fn header(&self, host: &str) -> &str {
        &self.place(host).header
    }

    /// The header at `host` that holds the credential, and its value.
    pub(crate) fn expected(&self, host: &str, credential: &str) -> (&str, String) {
        let place = self.place(host);
        let fill = |template: &str| template.replace("{credential}", credential);
        let value = match (&place.value, &place.basic) {
            (Some(value), None) => fill(value),
            (None, Some(pair)) => format!("Basic {}", STANDARD.encode(fill(pair))),
            _ => panic!("{}: a place has a value or a Basic pair", self.name),
        };
        (&place.header, value)
    }

    /// The answer to this request; where several fit, the longest.
    pub(crate) fn find(&self, call: &str, text: &str) -> Option<(&String, &Answer)> {
        let fits = |pattern: &&String| {
            let mut words = pattern.split(' ');
            let head: Vec<&str> = words.by_ref().take(2).collect();
            same_path(&head.join(" "), call) && words.all(|word| text.contains(word))
        };
        let found = self.answer.keys().filter(fits).max_by_key(|pattern| pattern.len())?;
        self.answer.get_key_value(found)
    }
}

fn same_path(pattern: &str, call: &str) -> bool {
    let (mut wanted, mut have) = (pattern.split('/'), call.split('/'));
    loop {
        match (wanted.next(), have.next()) {
            (None, None) => return true,
            (Some(wanted), Some(have)) if wanted == "*" || wanted == have => {}
            _ => return false,
        }
    }
}
