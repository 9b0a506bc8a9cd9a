//! The scripts that make Node and Python use a proxy, under a real Node and a real Python. What Python's does for whole SDKs is seen in
//! `tests/sdk`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers included")]

use std::process::Command;

#[test]
fn every_way_of_asking_in_node_reaches_the_proxy() {
    if Command::new("node").arg("--version").output().is_err() {
        eprintln!("no node on this machine");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(["service.test".to_owned()]).unwrap();
    let (key, cert) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    std::fs::write(&cert, signed.cert.pem()).unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let mut node = Command::new("node");
    node.arg("--require").arg(format!("{root}/config/env/preload.cjs")).arg(format!("{root}/tests/clients/preload_test.cjs"));
    let output = node.args([&key, &cert]).env("NODE_EXTRA_CA_CERTS", &cert).env_remove("NODE_OPTIONS").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("ok ").count(), 10, "{said}");
}

/// What Python says that runs `program` with our script before one of the system's, and with these variables.
fn python(program: &str, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    for folder in [&ours, &theirs] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/config/env/sitecustomize.py"), ours.join("sitecustomize.py")).unwrap();
    std::fs::write(theirs.join("sitecustomize.py"), "print('theirs')\n").unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", program]).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    python.env("PYTHONPATH", std::env::join_paths([ours, theirs]).unwrap()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = python.envs(variables.iter().copied()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

const WHOSE: &str = "import ssl; print(ssl.SSLContext.load_verify_locations.__module__)";
const PROXY: (&str, &str) = ("https_proxy", "http://127.0.0.1:9");

#[test]
fn the_systems_own_script_of_python_runs_behind_ours() {
    assert!(python("import sys; print(sys.modules['sitecustomize'].__file__)", &[PROXY]).starts_with("theirs\n/"));
    assert_eq!(python("print('done')", &[]), "theirs\ndone\n");
}

#[test]
fn python_is_left_alone_where_there_is_no_proxy() {
    assert!(!python(WHOSE, &[]).contains("sitecustomize"));
    assert!(python(WHOSE, &[PROXY]).contains("sitecustomize"));
}

/// Roots that a program brings along are joined by ours, but for those that a server holds its callers against.
#[test]
fn python_adds_our_root_to_those_that_a_library_brings() {
    let folder = tempfile::tempdir().unwrap();
    let pem = |name: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.pem()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (ours, theirs) = (pem("ours.test"), pem("theirs.test"));
    let program = "import os, ssl\nfor kind in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER):\n    context = ssl.SSLContext(kind)\n    \
        context.load_verify_locations(os.environ['THEIRS'])\n    print(context.cert_store_stats()['x509'])\n";
    let said = python(program, &[PROXY, ("DENO_CERT", &ours), ("THEIRS", &theirs)]);
    assert_eq!(said, "theirs\n2\n1\n");
    // One that is gone is no reason to fail.
    let said = python(program, &[PROXY, ("DENO_CERT", "/nonexistent.pem"), ("THEIRS", &theirs)]);
    assert_eq!(said, "theirs\n1\n1\n");
}
