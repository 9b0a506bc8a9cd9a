//! What each client accepts and refuses.

use std::time::{Duration, SystemTime};

use nexus::ca::{OVERLAP, Rotation, Signs, bundle, system_roots};
use nexus::model::Host;

use crate::clients::{ALL, Client, Flaw, handshake, run, trusting};
use crate::harness::{Authority, Server, host};

const HOSTS: [&str; 6] = [
    "api.github.com",
    "under_score.example",
    "xn--bcher-kva.example",
    "a-name-of-more-than-sixty-four-characters.that-no-common-name.may-hold.example",
    "192.0.2.7",
    "[2001:db8::7]",
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The client must refuse, and for this reason.
fn refused(client: Client, answer: &Result<(), String>, flaw: Flaw) {
    let Err(said) = answer else { panic!("{client:?} accepted what is wrong: {flaw:?}") };
    assert!(client.words(flaw).iter().any(|words| said.contains(words)), "{client:?} {flaw:?}: {said}");
}

#[test]
fn every_client_accepts_names_and_addresses() {
    let authority = Authority::new();
    for text in HOSTS {
        let server = authority.serve(text);
        for client in ALL {
            let answer = client.connect(server.address, &authority.ca_file(), text);
            assert_eq!(answer, Ok(()), "{client:?} {text}");
        }
    }
}

#[test]
fn every_client_reads_the_bundle_with_the_systems_roots() {
    let authority = Authority::new();
    let system = system_roots().certificates;
    assert!(system.len() > 50, "the system has {} roots", system.len());
    let text = bundle(&system, &[&authority.root.certificate_pem()]).expect("a bundle");
    let file = authority.write("ca-bundle.pem", &text);
    let server = authority.serve("api.github.com");
    for client in ALL {
        assert_eq!(client.connect(server.address, &file, "api.github.com"), Ok(()), "{client:?}");
    }
}

#[test]
fn i2_no_client_accepts_a_leaf_for_another_host() {
    let authority = Authority::new();
    for (shown, asked) in [
        ("api.github.com", "api.gitlab.com"),
        ("github.com", "api.github.com"),
        ("192.0.2.7", "192.0.2.8"),
        ("[2001:db8::7]", "[2001:db8::8]"),
    ] {
        let server = authority.serve(shown);
        for client in ALL {
            let answer = client.connect(server.address, &authority.ca_file(), asked);
            refused(client, &answer, Flaw::OtherHost);
        }
    }
}

#[test]
fn no_client_accepts_an_expired_leaf() {
    let made = SystemTime::now() - 30 * DAY;
    let authority = Authority::made_at(made);
    let config = authority.issuer.server_config_at(&host("api.github.com"), true, made).expect("a configuration");
    let server = Server::start(config);
    for client in ALL {
        let answer = client.connect(server.address, &authority.ca_file(), "api.github.com");
        refused(client, &answer, Flaw::Expired);
    }
}

#[test]
fn no_client_accepts_a_leaf_of_a_root_it_does_not_know() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = stranger.serve("api.github.com");
    for client in ALL {
        let answer = client.connect(server.address, &authority.ca_file(), "api.github.com");
        refused(client, &answer, Flaw::UnknownRoot);
    }
}

#[test]
fn during_a_rotation_every_client_accepts_leaves_of_both_roots() {
    let current = Authority::made_at(SystemTime::now() - 30 * DAY);
    let next = Authority::made_at(SystemTime::now() - 8 * DAY);
    let (current_pem, next_pem) = (current.root.certificate_pem(), next.root.certificate_pem());
    let rotation = Rotation { current: &current_pem, next: Some(&next_pem), retired: "" };
    let plan = rotation.plan(SystemTime::now(), OVERLAP).expect("a plan");
    assert_eq!(plan.signs, Signs::Next);
    let roots: Vec<_> = plan.roots.iter().map(String::as_str).collect();
    let file = current.write("ca-bundle.pem", &bundle(&[], &roots).expect("a bundle"));
    for authority in [&current, &next] {
        let server = authority.serve("api.github.com");
        for client in ALL {
            assert_eq!(client.connect(server.address, &file, "api.github.com"), Ok(()), "{client:?}");
        }
    }
}

/// The leaf as a file, beside its root; the chain must hold nothing else.
fn leaf_file(authority: &Authority, text: &str) -> String {
    let host = host(text);
    let bare = match &host {
        Host::Name(name) => name.to_string(),
        Host::Ip(address) => address.to_string(),
    };
    let server = authority.serve(text);
    let connection = handshake(trusting(&authority.ca_file()), server.address, &bare).expect("a handshake");
    let [leaf] = connection.peer_certificates().expect("a chain") else { panic!("the chain is the leaf alone") };
    let pem = pem_of(leaf);
    authority.write("leaf.pem", &pem).to_str().expect("a path in UTF-8").to_owned()
}

/// A certificate as PEM, by way of the bundle.
fn pem_of(der: &rustls::pki_types::CertificateDer<'_>) -> String {
    bundle(std::slice::from_ref(der), &[]).expect("a bundle")
}

#[test]
fn openssl_verifies_the_stored_chain_strictly() {
    let authority = Authority::new();
    let root = authority.ca_file().to_str().expect("a path in UTF-8").to_owned();
    for (text, option, asked, accepted) in [
        ("api.github.com", "-verify_hostname", "api.github.com", true),
        ("api.github.com", "-verify_hostname", "github.com", false),
        ("192.0.2.7", "-verify_ip", "192.0.2.7", true),
        ("[2001:db8::7]", "-verify_ip", "2001:db8::7", true),
        ("[2001:db8::7]", "-verify_ip", "2001:db8::8", false),
    ] {
        let leaf = leaf_file(&authority, text);
        let fixed = ["verify", "-x509_strict", "-purpose", "sslserver", "-no-CApath", "-no-CAstore", "-CAfile", &root];
        let arguments = [&fixed[..], &[option, asked, &leaf]].concat().into_iter().map(String::from).collect::<Vec<_>>();
        let answer = run("openssl", &arguments, ": OK");
        assert_eq!(answer.is_ok(), accepted, "{text} {asked}: {answer:?}");
    }
}

#[test]
fn certtool_verifies_the_stored_chain() {
    let authority = Authority::new();
    let root = authority.ca_file().to_str().expect("a path in UTF-8").to_owned();
    let leaf = leaf_file(&authority, "api.github.com");
    for (asked, accepted) in [("api.github.com", true), ("github.com", false)] {
        let fixed = ["--verify", "--load-ca-certificate", &root, "--infile", &leaf, "--verify-purpose", "1.3.6.1.5.5.7.3.1"];
        let arguments = [&fixed[..], &["--verify-hostname", asked]].concat().into_iter().map(String::from).collect::<Vec<_>>();
        let answer = run("certtool", &arguments, "The certificate is trusted");
        assert_eq!(answer.is_ok(), accepted, "{asked}: {answer:?}");
    }
}
