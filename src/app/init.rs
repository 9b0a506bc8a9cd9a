//! `nexus init` and `nexus ca rotate`: the files of a home folder, made once, never overwritten unread (I9).

use std::time::{Duration, SystemTime};

use super::home::{Home, HomeError, read_public_text, read_text, write};
use super::secret::{Origin, SecretError, is_given, passphrase};
use crate::ca::{self, Root, Rotation, Signs};
use crate::disk;
use crate::model::Secret;
use crate::seal::{self, DataKey};
use crate::vault;

const PEM_LIMIT: u64 = 1024 * 1024;
/// What callers read: certificates only.
const READABLE: u32 = 0o644;

/// An overlap that doesn't end by itself.
const NEVER: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);

/// Why a home folder could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file of it.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The folder itself.
    #[error("cannot make the home folder")]
    Folder(#[source] disk::Error),
    /// The secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The system gave no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The vault can't be opened with this secret.
    #[error("cannot open the vault")]
    Vault(#[from] vault::Error),
    /// The CA.
    #[error("cannot use the certificate authority")]
    Ca(#[from] ca::Error),
    /// The sealed key of the CA.
    #[error("cannot open the key of the certificate authority")]
    Sealed(#[from] seal::Error),
    /// The secret is not the one that `init` had.
    #[error("ca.key.enc does not open with this secret, and there is no vault yet: this home was made with another one")]
    OtherSecret,
    /// One half of the CA is missing.
    #[error("{0} is missing although its other half is there; restore it, or move both away and run `nexus init` again")]
    HalfCa(&'static str),
    /// Not initialised.
    #[error("{0} holds no certificate authority yet")]
    NotReady(String),
}

/// What `init` made, as opposed to found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Made {
    /// Names of new files.
    pub files: Vec<&'static str>,
    /// The secret is JarvisCore's guessable fallback.
    pub weak_secret: bool,
    /// SHA-256 of the CA certificate.
    pub fingerprint: String,
}

/// Makes whatever a home folder lacks. What is there stays as it is.
///
/// # Errors
/// As [`InitError`] says; what was made until then is whole.
pub fn init(home: &Home, variable: &dyn Fn(&str) -> Option<String>, example: &str, host_name: &str) -> Result<Made, InitError> {
    for folder in [home.path().to_owned(), home.helpers(), home.providers(), home.policies(), home.audit()] {
        disk::create_private_dir(&folder).map_err(InitError::Folder)?;
    }
    let mut made = Made::default();
    let has_vault = home.vault().file.exists();
    if !home.dotenv().exists() && !is_given(variable) && !has_vault {
        write(&home.dotenv(), dotenv()?.expose().as_bytes(), disk::PRIVATE)?;
        made.files.push(".env");
    }
    let (secret, origin) = passphrase(home, variable)?;
    made.weak_secret = origin == Origin::Machine;
    let key = vault::unlock(&home.vault(), &secret)?;
    if !home.is_ready() {
        make_root(home, &key, host_name)?;
        made.files.extend(["ca.pem", "ca.key.enc"]);
    }
    let root = open_root(home, &key)?;
    made.fingerprint = root.fingerprint_sha256();
    if write_bundle(home)? {
        made.files.push("ca-bundle.pem");
    }
    if !home.config_file().exists() {
        write(&home.config_file(), example.as_bytes(), disk::PRIVATE)?;
        made.files.push("nexus.toml");
    }
    Ok(made)
}

/// A fresh secret and the lines that JarvisCore looks for.
fn dotenv() -> Result<Secret<String>, InitError> {
    use base64::Engine as _;
    let mut bytes = zeroize::Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice())?;
    let secret = zeroize::Zeroizing::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    Ok(Secret::new(format!(
        "# The secret that opens the vault. Keep a copy in a safe place: without it the credentials are lost.\n\
         NEXUS_SECRET={}\n\
         # Where a central gateway is used instead of the local vault:\n\
         # NEXUS_GATEWAY_URL=http://127.0.0.1:8090\n\
         # NEXUS_RETURN_URL=http://127.0.0.1:8090/oauth/callback\n",
        *secret
    )))
}

fn make_root(home: &Home, key: &DataKey, host_name: &str) -> Result<(), InitError> {
    match (home.ca().exists(), home.ca_key().exists()) {
        (true, false) => return Err(InitError::HalfCa("ca.key.enc")),
        (false, true) => return Err(InitError::HalfCa("ca.pem")),
        _ => {}
    }
    let root = Root::create(host_name, SystemTime::now())?;
    let sealed = seal::seal(key, root.key_pem().expose().as_bytes())?;
    write(&home.ca_key(), sealed.as_bytes(), disk::PRIVATE)?;
    write(&home.ca(), root.certificate_pem().as_bytes(), READABLE)?;
    Ok(())
}

/// The root that signs now.
///
/// # Errors
/// As [`InitError`] says.
pub fn open_root(home: &Home, key: &DataKey) -> Result<Root, InitError> {
    if !home.is_ready() {
        return Err(InitError::NotReady(home.path().display().to_string()));
    }
    open_pair(home, key, Signs::Current)
}

/// Holds `key` against the CA's sealed key: where no vault has been written yet, nothing else tells that it is this home's.
///
/// # Errors
/// [`InitError::OtherSecret`], and what reading says.
pub fn check_key(home: &Home, key: &DataKey) -> Result<(), InitError> {
    if home.vault().file.exists() || !home.is_ready() {
        return Ok(());
    }
    let sealed = read_text(&home.ca_key(), PEM_LIMIT)?.ok_or(InitError::HalfCa("ca.key.enc"))?;
    seal::open(key, sealed.as_bytes()).map(drop).map_err(|_other_key| InitError::OtherSecret)
}

fn open_pair(home: &Home, key: &DataKey, which: Signs) -> Result<Root, InitError> {
    let (certificate, sealed) = match which {
        Signs::Current => (home.ca(), home.ca_key()),
        Signs::Next => (home.next_ca(), home.next_ca_key()),
    };
    let certificate = read_public(&certificate)?.ok_or(InitError::HalfCa("ca.pem"))?;
    let sealed = read_text(&sealed, PEM_LIMIT)?.ok_or(InitError::HalfCa("ca.key.enc"))?;
    let opened = seal::open(key, sealed.as_bytes())?;
    let pem = std::str::from_utf8(&opened).map_err(|_not_text| InitError::HalfCa("ca.key.enc"))?;
    Ok(Root::load(&certificate, &Secret::new(pem.to_owned()), SystemTime::now())?)
}

/// A certificate file may be readable by all, but not writable.
fn read_public(file: &std::path::Path) -> Result<Option<String>, InitError> {
    let bytes = disk::read_regular(file, PEM_LIMIT).map_err(|cause| HomeError::File { path: file.to_owned(), cause })?;
    let text = bytes.map(String::from_utf8).transpose();
    Ok(text.map_err(|_not_text| HomeError::Text(file.to_owned()))?)
}

/// Writes `ca-bundle.pem`: the system's roots and every root of ours that may have signed what a caller meets. Says whether that
/// changed it.
///
/// # Errors
/// As [`InitError`] says.
pub fn write_bundle(home: &Home) -> Result<bool, InitError> {
    let ours = trusted(home)?;
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    let system = ca::system_roots();
    for problem in &system.problems {
        tracing::warn!(%problem, "a system root certificate could not be read");
    }
    let text = ca::bundle(&system.certificates, &ours)?;
    let changed = read_public_text(&home.bundle())?.as_ref() != Some(&text);
    if changed {
        write(&home.bundle(), text.as_bytes(), READABLE)?;
    }
    Ok(changed)
}

/// Every root of ours that callers should trust now, as PEM, the signing one first.
///
/// # Errors
/// As [`InitError`] says.
pub fn trusted(home: &Home) -> Result<Vec<String>, InitError> {
    let current = read_public(&home.ca())?.ok_or(InitError::HalfCa("ca.pem"))?;
    let (next, retired) = (read_public(&home.next_ca())?, read_public(&home.retired_ca())?.unwrap_or_default());
    let rotation = Rotation { current: &current, next: next.as_deref(), retired: &retired };
    // Whatever the calendar says, the one in `ca.pem` signs until `rotate` has put another there.
    Ok(rotation.plan(SystemTime::now(), NEVER)?.roots)
}

/// One step of a rotation: makes the next root and puts it into the bundle, or, when `finish` is set or the overlap is over, lets it
/// sign from now on. The old root stays in the bundle until it expires. Returns what was done.
///
/// # Errors
/// As [`InitError`] says.
pub fn rotate(home: &Home, key: &DataKey, overlap: Duration, finish: bool, host_name: &str) -> Result<Rotated, InitError> {
    let now = SystemTime::now();
    if !home.next_ca().exists() {
        let root = Root::create(host_name, now)?;
        let sealed = seal::seal(key, root.key_pem().expose().as_bytes())?;
        write(&home.next_ca_key(), sealed.as_bytes(), disk::PRIVATE)?;
        write(&home.next_ca(), root.certificate_pem().as_bytes(), READABLE)?;
        write_bundle(home)?;
        return Ok(Rotated::Begun { signs_from: now + overlap });
    }
    let (current, next) = (read_public(&home.ca())?.unwrap_or_default(), read_public(&home.next_ca())?.unwrap_or_default());
    let retired = read_public(&home.retired_ca())?.unwrap_or_default();
    let overlap = if finish { Duration::ZERO } else { overlap };
    let plan = Rotation { current: &current, next: Some(&next), retired: &retired }.plan(now, overlap)?;
    if plan.signs == Signs::Current {
        return Ok(Rotated::Waiting { signs_from: plan.due.unwrap_or(now) });
    }
    // The new key is proven to open before anything of the old one moves.
    drop(open_pair(home, key, Signs::Next)?);
    let sealed = read_text(&home.next_ca_key(), PEM_LIMIT)?.ok_or(InitError::HalfCa("ca.next.key.enc"))?;
    if !retired.contains(current.trim()) {
        write(&home.retired_ca(), format!("{current}{retired}").as_bytes(), READABLE)?;
    }
    write(&home.ca_key(), sealed.as_bytes(), disk::PRIVATE)?;
    write(&home.ca(), next.as_bytes(), READABLE)?;
    for leftover in [home.next_ca(), home.next_ca_key()] {
        let failed = |cause| disk::Error::Io { doing: "remove", path: leftover.clone(), cause };
        std::fs::remove_file(&leftover).map_err(failed).map_err(|cause| HomeError::File { path: leftover.clone(), cause })?;
    }
    write_bundle(home)?;
    Ok(Rotated::Finished)
}

/// Ends the trust in the roots that signed before: they leave the bundle now instead of when they expire. Returns them as PEM, empty
/// where there were none.
///
/// # Errors
/// As [`InitError`] says.
pub fn drop_old(home: &Home) -> Result<String, InitError> {
    let retired = read_public(&home.retired_ca())?;
    if retired.is_some() {
        let fail = |cause| disk::Error::Io { doing: "remove", path: home.retired_ca(), cause };
        std::fs::remove_file(home.retired_ca())
            .map_err(fail)
            .map_err(|cause| HomeError::File { path: home.retired_ca(), cause })?;
    }
    // Also where there are none: a call that was cut short between the two left them in the bundle.
    write_bundle(home)?;
    Ok(retired.unwrap_or_default())
}

/// What a step of a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The next root is in the bundle; it signs from then on.
    Begun {
        /// When.
        signs_from: SystemTime,
    },
    /// The overlap is not over yet.
    Waiting {
        /// When it will be.
        signs_from: SystemTime,
    },
    /// The next root signs.
    Finished,
}
