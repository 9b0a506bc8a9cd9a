//! All providers: the compiled-in ones and the user's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustix::fs::OFlags;

use super::builtin;
use super::parse::{Error, MAX_FILE, parse, point_at, text};
use super::path::PathPattern;
use super::pattern::HostPattern;
use super::rule::{InjectRule, Provider};
use crate::model::{Host, Map, ProviderId};

/// More files than this are not a person's providers.
const MAX_FILES: usize = 1000;

/// All providers by name. Cheap to clone.
#[derive(Debug, Default, Clone)]
pub struct Catalogue {
    providers: BTreeMap<ProviderId, Arc<Provider>>,
    builtin: BTreeSet<ProviderId>,
}

impl Catalogue {
    /// The compiled-in providers, read once per process. That none of them is in another's place is a test's to say.
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| {
            let read = |(file, text): &(&str, &str)| {
                #[expect(clippy::expect_used, reason = "constants of the binary, each of which a test reads the same way")]
                let provider = Arc::new(parse(file, text).expect("a compiled-in provider file is valid"));
                (provider.id.clone(), provider)
            };
            let providers: BTreeMap<_, _> = builtin::FILES.iter().map(read).collect();
            Catalogue { builtin: providers.keys().cloned().collect(), providers }
        });
        BUILTIN.clone()
    }

    /// The compiled-in providers and those of every `*.toml` in `folder`. A file with a mistake is left out and told; a
    /// missing folder is an empty one.
    pub fn with_user_folder(folder: &Path) -> (Self, Vec<Error>) {
        Self::default().again(folder)
    }

    /// As [`Catalogue::with_user_folder`], but a file with a mistake leaves the provider that this catalogue has of it, and a folder that
    /// can't be read leaves them all.
    pub fn again(&self, folder: &Path) -> (Self, Vec<Error>) {
        let mut catalogue = Self::builtin();
        let mut index = HostIndex::of(&catalogue);
        let mut errors = Vec::new();
        let mut stay = Vec::new();
        match user_files(folder) {
            Ok(files) => {
                for path in files {
                    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                    let added = read(&path).and_then(|text| {
                        let provider = Arc::new(parse(&name, &text)?);
                        catalogue.insert((&name, &text), provider, &mut index)
                    });
                    let Err(error) = added else { continue };
                    errors.push(error);
                    stay.extend(named(&path));
                }
            }
            Err(error) => {
                errors.push(error);
                stay.extend(self.providers.keys().cloned());
            }
        }
        for provider in stay.iter().filter_map(|id| self.get(id)) {
            if catalogue.get(&provider.id).is_none() {
                let file = format!("{}.toml", provider.id);
                errors.extend(catalogue.insert((&file, ""), Arc::clone(provider), &mut index).err());
            }
        }
        (catalogue, errors)
    }

    /// Adds one provider from the text of its file.
    ///
    /// # Errors
    /// A mistake in the text, a name that is taken, a host that another provider has on the same paths.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), Error> {
        let mut index = HostIndex::of(self);
        self.insert((file, text), Arc::new(parse(file, text)?), &mut index)
    }

    /// `text` shows where it goes wrong. `index` is of all that is here.
    fn insert(&mut self, (file, text): (&str, &str), provider: Arc<Provider>, index: &mut HostIndex) -> Result<(), Error> {
        let at = |literal: &str, message| point_at(file, text, literal, message);
        let id = &provider.id;
        if self.providers.contains_key(id) {
            let said = format!("there is a provider called {id} already; choose another name");
            return Err(Error::NameTaken { at: at(id.as_str(), said) });
        }
        let near = index.near(&provider);
        for other in self.providers.values() {
            if near.as_ref().is_none_or(|near| near.contains(&other.id))
                && let Some(host) = clash(&provider, other).map(ToString::to_string)
            {
                let said = format!(
                    "{host} belongs to {} already; two providers on one host must differ in their path prefixes or ports",
                    other.id
                );
                return Err(Error::HostTaken { at: at(&host, said) });
            }
            if let Some(url) = covered_endpoint(&provider, other) {
                let other = &other.id;
                let said = format!("the token endpoint {url} is a place of the API of {other}; callers would be kept from it");
                return Err(Error::EndpointTaken { at: at(url, said) });
            }
        }
        index.add(&provider);
        self.providers.insert(provider.id.clone(), provider);
        Ok(())
    }

    /// The provider called `id`.
    pub fn get(&self, id: &ProviderId) -> Option<&Arc<Provider>> {
        self.providers.get(id)
    }

    /// Every provider, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// Every host pattern and the provider it belongs to.
    pub fn hosts(&self) -> impl Iterator<Item = (&HostPattern, &Arc<Provider>)> {
        self.iter().flat_map(|provider| provider.hosts().map(move |host| (host, provider)))
    }

    /// Whose `host` is: that of a provider whose credentials go there, or whose people log in and whose tokens are made there.
    pub fn whose(&self, host: &Host) -> Option<&ProviderId> {
        let at = |url: &str| {
            let rest = url.strip_prefix("https://").unwrap_or(url);
            let place = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
            place.parse::<HostPattern>().is_ok_and(|pattern| pattern.matches(host))
        };
        let is_its = |provider: &&Arc<Provider>| {
            let pages = provider.oauth2.iter().filter_map(|oauth2| oauth2.authorize_url.as_deref());
            provider.hosts().any(|own| own.matches(host)) || provider.token_endpoints().chain(pages).any(at)
        };
        self.iter().find(is_its).map(|provider| &provider.id)
    }

    /// Whether the provider came with the binary.
    pub fn is_builtin(&self, id: &ProviderId) -> bool {
        self.builtin.contains(id)
    }
}

/// Who has which host, so that a provider is held only against those that it could meet: a thousand files may name a hundred thousand hosts.
#[derive(Debug, Default)]
struct HostIndex {
    exact: Map<Host, Vec<ProviderId>>,
    /// Those that have other patterns than names.
    patterned: BTreeSet<ProviderId>,
}

impl HostIndex {
    fn of(catalogue: &Catalogue) -> Self {
        let mut index = Self::default();
        catalogue.iter().for_each(|provider| index.add(provider));
        index
    }

    fn add(&mut self, provider: &Provider) {
        for host in provider.inject.iter().flat_map(|rule| &rule.hosts) {
            if let HostPattern::Exact(host) = host {
                self.exact.entry(host.clone()).or_default().push(provider.id.clone());
            } else {
                self.patterned.insert(provider.id.clone());
            }
        }
    }

    /// Those that may have a host of `provider` too; `None` = all may.
    fn near(&self, provider: &Provider) -> Option<BTreeSet<ProviderId>> {
        let mut near = self.patterned.clone();
        for host in provider.inject.iter().flat_map(|rule| &rule.hosts) {
            let HostPattern::Exact(host) = host else { return None };
            near.extend(self.exact.get(host).into_iter().flatten().cloned());
        }
        Some(near)
    }
}

/// The first host of `provider` that `other` has too, on the same port and without a longer path prefix to tell them apart.
fn clash<'p>(provider: &'p Provider, other: &Provider) -> Option<&'p HostPattern> {
    if provider.beside.contains(&other.id) || other.beside.contains(&provider.id) {
        return None;
    }
    let pairs = provider.inject.iter().flat_map(|one| other.inject.iter().map(move |two| (one, two)));
    let shared =
        |one: &'p InjectRule, two: &InjectRule| one.hosts.iter().find(|host| two.hosts.iter().any(|own| own.overlaps(host)));
    let alike =
        |(one, two): (&'p InjectRule, &InjectRule)| shared(one, two).filter(|_| one.port == two.port && same_reach(one, two));
    pairs.filter_map(alike).next()
}

/// The first token endpoint of `provider` that is a place where `other` injects. Callers are kept from token endpoints, so it would take
/// that place away from them; one that the other keeps them from already is no loss. An endpoint that both name is the same service's.
fn covered_endpoint<'p>(provider: &'p Provider, other: &Provider) -> Option<&'p str> {
    let covers = |url: &&str| {
        let Ok(uri) = url.parse::<http::Uri>() else { return false };
        let Some(Ok(host)) = uri.host().map(str::parse::<Host>) else { return false };
        let here =
            |rule: &&InjectRule| rule.port == uri.port_u16().unwrap_or(443) && rule.hosts.iter().any(|own| own.matches(&host));
        let open =
            |rule: &InjectRule| rule.path_specificity(uri.path()).is_some() && !rule.mints(&http::Method::POST, uri.path());
        other.inject.iter().filter(here).any(open)
    };
    provider.token_endpoints().filter(|url| other.token_endpoints().all(|own| own != *url)).find(covers)
}

/// Whether some path fits a pattern of both, with prefixes of the same length.
fn same_reach(one: &InjectRule, two: &InjectRule) -> bool {
    let prefix = |path: Option<&PathPattern>| path.map_or(0, PathPattern::specificity);
    let paths = |rule: &'_ InjectRule| -> Vec<Option<PathPattern>> {
        if rule.paths.is_empty() { vec![None] } else { rule.paths.iter().cloned().map(Some).collect() }
    };
    let meet = |one: &Option<PathPattern>, two: &Option<PathPattern>| match (one, two) {
        (Some(one), Some(two)) => one.overlaps(two),
        _ => true,
    };
    let theirs = paths(two);
    let ambiguous = |own: &Option<PathPattern>| {
        theirs.iter().any(|their| prefix(own.as_ref()) == prefix(their.as_ref()) && meet(own, their))
    };
    paths(one).iter().any(ambiguous)
}

/// The provider that a file of this name is of.
pub(super) fn named(path: &Path) -> Option<ProviderId> {
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
}

pub(super) fn user_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |cause| Error::Unreadable { file: folder.to_owned(), cause };
    let untrusted = |reason| Error::Untrusted { file: folder.to_owned(), reason };
    let about = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        about => about.map_err(unreadable)?,
    };
    // Whoever can write into the folder can put a file of his own in the place of ours.
    if !about.is_dir() {
        return Err(untrusted("it is not a folder (symbolic links are not followed)"));
    }
    only_ours(&about).map_err(untrusted)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)?.take(MAX_FILES) {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether nobody but us and root can write there.
fn only_ours(about: &fs::Metadata) -> Result<(), &'static str> {
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&about.uid());
    match (ours, about.mode() & 0o022) {
        (true, 0) => Ok(()),
        (true, _) => Err("others can write it; take that right away with chmod go-w"),
        (false, _) => Err("it belongs to another user; make it yours with chown"),
    }
}

/// A provider file steers credentials, so it must be a plain file that nobody else can write.
fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |cause| Error::Unreadable { file: path.to_owned(), cause };
    let untrusted = |reason| Error::Untrusted { file: path.to_owned(), reason };
    if !fs::symlink_metadata(path).map_err(unreadable)?.is_file() {
        return Err(untrusted("it is not a regular file (symbolic links are not followed)"));
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(unreadable)?;
    only_ours(&file.metadata().map_err(unreadable)?).map_err(untrusted)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    text(&name, &bytes).map(str::to_owned)
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
