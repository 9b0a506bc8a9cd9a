//! The helper files: for clients whose settings a variable can name but not hold.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nexus::provider::HelperFile;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::variables::own_node_ca;
use super::{Error, Inputs, google, jks, placement, wgetrc};

const PRELOAD: &str = include_str!("../../../config/env/preload.cjs");
const SITECUSTOMIZE: &str = include_str!("../../../config/env/sitecustomize.py");
const PREPEND: &str = include_str!("../../../config/env/prepend.php");

/// Writes every helper file that has changed, each in one step, readable by their owner alone. They hold no secret.
///
/// # Errors
/// When the bundle has no certificate, a file can't be written, or a path is not text.
pub(crate) fn write_helpers(inputs: &Inputs<'_>) -> Result<(), Error> {
    for path in [&inputs.bundle, &inputs.ca, &inputs.helpers] {
        path.to_str().ok_or_else(|| Error::NotText { path: path.clone() })?;
    }
    let folder = &inputs.helpers;
    make_folder(folder)?;
    make_folder(&placement::php_folder(folder))?;
    make_folder(&placement::python_folder(folder))?;
    write(&placement::preload(folder), PRELOAD.as_bytes())?;
    write(&placement::python_folder(folder).join("sitecustomize.py"), SITECUSTOMIZE.as_bytes())?;
    write(&placement::php_prepend(folder), PREPEND.as_bytes())?;
    write(&placement::php_folder(folder).join("nexus.ini"), php_ini(inputs).as_bytes())?;
    for (place, contents) in [wgetrc::wgetrc(inputs), wgetrc::wget2rc(inputs)] {
        write(&place, contents.as_bytes())?;
    }
    write(&placement::trust_store(folder), &jks::trust_store(&certificates(&inputs.bundle)?))?;
    if let Some(own) = own_node_ca(inputs) {
        write(&placement::NODE_CA.place(folder, Some(&own)), &node_ca(inputs, &own)?)?;
    }
    google_key(inputs)?;
    placement::forget_gone(folder);
    Ok(())
}

/// The key file that a variable names, unless it is there: it is made once, so that programs that run already keep theirs.
fn google_key(inputs: &Inputs<'_>) -> Result<(), Error> {
    let place = placement::helper_file(&inputs.helpers, HelperFile::GoogleServiceAccount);
    let named = inputs.placeholders.iter().any(|(_name, value)| Some(value.as_str()) == place.to_str());
    if !named || fs::read(&place).is_ok_and(|text| google::is_key_file(&text)) {
        return Ok(());
    }
    write(&place, google::key_file().ok_or(Error::Random)?.as_bytes())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|cause| Error::Certificates { path: path.into(), cause })?;
    if certificates.is_empty() {
        return Err(Error::NoCertificates { path: path.into() });
    }
    Ok(certificates)
}

/// Our root and what the caller adds. A file of theirs that can't be read is left out, as Node does with a warning.
fn node_ca(inputs: &Inputs<'_>, own: &Path) -> Result<Vec<u8>, Error> {
    let ours = certificates(&inputs.ca).and_then(|_| {
        fs::read(&inputs.ca)
            .map_err(|cause| Error::Certificates { path: inputs.ca.clone(), cause: rustls_pki_types::pem::Error::Io(cause) })
    })?;
    Ok([placement::carried(own).into_bytes(), ours, b"\n".to_vec(), fs::read(own).unwrap_or_default()].concat())
}

/// PHP reads a value in double quotes as it stands, but for `"`, `$` and a backslash.
fn php_ini(inputs: &Inputs<'_>) -> String {
    let quote = |path: &Path| {
        let escaped = path.to_string_lossy().chars().fold(String::new(), |mut text, c| {
            text.extend(matches!(c, '"' | '$' | '\\').then_some('\\'));
            text.push(c);
            text
        });
        format!("\"{escaped}\"")
    };
    let bundle = quote(&inputs.bundle);
    let prepend = quote(&placement::php_prepend(&inputs.helpers));
    format!("curl.cainfo = {bundle}\nopenssl.cafile = {bundle}\nauto_prepend_file = {prepend}\n")
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| Error::Write { path: path.into(), cause })
}

/// Writes through a new file beside it, so that a program that starts meanwhile reads the old or the new one.
fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == contents) {
        return Ok(());
    }
    let named = |cause| Error::Write { path: path.into(), cause };
    let draft = draft_name(path).map_err(named)?;
    let written = write_new(&draft, contents).and_then(|()| fs::rename(&draft, path));
    written.inspect_err(|_| drop(fs::remove_file(&draft))).map_err(named)
}

fn draft_name(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}", u64::from_ne_bytes(random)));
    Ok(name.into())
}

fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::variables::tests::inputs;
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let pem = rcgen::generate_simple_self_signed(["root.test".to_owned()]).unwrap().cert.pem();
        fs::write(home.path().join("ca.pem"), &pem).unwrap();
        fs::write(home.path().join("ca-bundle.pem"), format!("# a remark\n{pem}{pem}")).unwrap();
        home
    }

    fn inputs_in<'a>(home: &Path, inherited: &'a dyn Fn(&str) -> Option<String>) -> Inputs<'a> {
        Inputs { bundle: home.join("ca-bundle.pem"), ca: home.join("ca.pem"), helpers: home.join("env"), ..inputs(inherited) }
    }

    #[test]
    fn writes_private_files_and_leaves_no_drafts() {
        let home = home();
        let inputs = inputs_in(home.path(), &|_| None);
        write_helpers(&inputs).unwrap();
        write_helpers(&inputs).unwrap();
        let mut names: Vec<_> = fs::read_dir(&inputs.helpers).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["php", "preload.cjs", "prepend.php", "python", "trust.jks", "wget2rc", "wgetrc"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inputs.helpers), mode(&inputs.helpers.join("trust.jks"))), (0o700, 0o600));
    }

    #[test]
    fn a_key_file_for_google_is_made_once_and_where_a_variable_names_it() {
        let home = home();
        let mut inputs = inputs_in(home.path(), &|_| None);
        let place = placement::helper_file(&inputs.helpers, HelperFile::GoogleServiceAccount);
        write_helpers(&inputs).unwrap();
        assert!(!place.exists());
        inputs.placeholders = vec![("GOOGLE_APPLICATION_CREDENTIALS".into(), place.to_str().unwrap().into())];
        write_helpers(&inputs).unwrap();
        let first = fs::read(&place).unwrap();
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        write_helpers(&inputs).unwrap();
        assert_eq!(fs::read(&place).unwrap(), first);
        fs::write(&place, "{}").unwrap();
        write_helpers(&inputs).unwrap();
        assert!(google::is_key_file(&fs::read(&place).unwrap()));
    }

    #[test]
    fn a_second_writer_does_not_touch_what_is_right_already() {
        let home = home();
        let inputs = inputs_in(home.path(), &|_| None);
        write_helpers(&inputs).unwrap();
        let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(inputs.helpers.join(name)).unwrap());
        let before = (inode("trust.jks"), inode("wgetrc"));
        fs::write(inputs.helpers.join("wgetrc"), "old").unwrap();
        write_helpers(&inputs).unwrap();
        assert_eq!(inode("trust.jks"), before.0);
        assert!(fs::read_to_string(inputs.helpers.join("wgetrc")).unwrap().starts_with("ca_certificate = "));
    }

    #[test]
    fn a_bundle_without_certificates_is_an_error_that_names_it() {
        let home = home();
        let inputs = inputs_in(home.path(), &|_| None);
        fs::write(&inputs.bundle, "nothing").unwrap();
        assert!(write_helpers(&inputs).unwrap_err().to_string().contains("ca-bundle.pem holds no certificate"));
        fs::remove_file(&inputs.bundle).unwrap();
        assert!(matches!(write_helpers(&inputs), Err(Error::Certificates { .. })));
    }

    #[test]
    fn node_gets_our_root_and_the_callers() {
        let home = home();
        let corporate = home.path().join("corp.pem");
        fs::copy(home.path().join("ca.pem"), &corporate).unwrap();
        let own = |name: &str| (name == "NODE_EXTRA_CA_CERTS").then(|| corporate.to_string_lossy().into_owned());
        let inputs = inputs_in(home.path(), &own);
        write_helpers(&inputs).unwrap();
        let both = placement::NODE_CA.place(&inputs.helpers, Some(&corporate));
        assert_eq!(certificates(&both).unwrap().len(), 2);
        // The same shell once more: what it inherits now is ours.
        let first = fs::read(&both).unwrap();
        let ours = |name: &str| (name == "NODE_EXTRA_CA_CERTS").then(|| both.to_string_lossy().into_owned());
        let inputs = inputs_in(home.path(), &ours);
        write_helpers(&inputs).unwrap();
        assert_eq!(fs::read(&both).unwrap(), first);
        let all = super::super::variables(&inputs);
        assert!(all.contains(&("NODE_EXTRA_CA_CERTS".into(), both.to_string_lossy().into_owned())));
    }

    #[test]
    fn the_php_ini_keeps_a_strange_path_whole() {
        let mut inputs = inputs(&|_| None);
        inputs.bundle = "/a \"b\" $c/x.pem".into();
        assert!(php_ini(&inputs).starts_with("curl.cainfo = \"/a \\\"b\\\" \\$c/x.pem\"\n"));
    }
}
