//! The script that makes Node use a proxy, under a real Node.

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
