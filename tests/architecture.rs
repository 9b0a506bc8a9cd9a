//! The walls of the house: which room may import which, and who may look at a secret.

#![expect(clippy::unwrap_used, clippy::print_stderr, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room's floor. `model` is below all: its words are everybody's.
const FLOORS: &[(&str, i8)] = &[
    ("fuzzing", 5),
    ("app", 4),
    ("gateway", 3),
    ("proxy", 3),
    ("node", 3),
    ("approval", 2),
    ("broker", 2),
    ("consent", 2),
    ("decide", 2),
    ("loan", 2),
    ("registration", 2),
    ("agent", 1),
    ("attention", 1),
    ("audit", 1),
    ("ca", 1),
    ("listener", 1),
    ("oauth", 1),
    ("policy", 1),
    ("provider", 1),
    ("upstream", 1),
    ("vault", 1),
    ("disk", 0),
    ("guard", 0),
    ("head", 0),
    ("local", 0),
    ("plaintext", 0),
    ("read_ahead", 0),
    ("seal", 0),
    ("sign", 0),
    ("telemetry", 0),
    ("wording", 0),
    ("ample", -1),
    ("model", -1),
    ("write_through", -1),
    ("cli", 6),
];

/// Where a secret's value may be looked at. This list is the security review.
const EXPOSING: &[&str] = &[
    "agent/token.rs",
    "app/gateway.rs", // the key of this machine's command line, into the private address file
    "app/init.rs",
    "app/node.rs",       // NEXUS_GATEWAY_URL, as in cli/gateway.rs
    "app/node/asked.rs", // what a person typed, on its way to the gateway
    "app/node/key.rs",   // a gateway's key as it is read
    "app/secret.rs",
    "app/settings.rs",
    "app/tried.rs",        // the token of one trial, into its request
    "app/traces.rs",       // fields for the collector, which may hold its key
    "attention/notice.rs", // what the webhook is signed with
    "ca/signer.rs",
    "cli/agent.rs",       // a new token, shown once
    "cli/control.rs",     // the gateway's own key, shown to it
    "cli/gateway_key.rs", // a new key, shown once
    "cli/doors.rs",       // the token of one command, into its environment
    "cli/context.rs",     // NEXUS_SECRET, which conceal.rs took out of the environment
    "cli/login/there.rs", // the address of the page where a person answers the gateway
    "cli/gateway.rs",     // NEXUS_GATEWAY_URL, which lies in .env beside the secret
    "cli/run/knock.rs",
    "gateway/paste.rs",              // a new agent's token, in the lines that are pasted
    "gateway/pending.rs",            // the state of a question, back to the program that asked it
    "gateway/routes/capture.rs",     // what a person typed; the state, into that person's form
    "gateway/routes/connections.rs", // a question's page and state, to the program that asks it
    "gateway/routes/leases.rs",      // a new token, shown once to who made the lease
    "gateway/routes/minted.rs",      // a new agent's token, shown once
    "gateway/routes/sign_in.rs",     // a link and the halves of a session, each shown once
    "gateway/shape.rs",              // the answer to a node, which alone gets credentials (I11)
    "guard/needles.rs",              // what is searched for in what comes back
    "loan/lender.rs",                // the name of a credential's state, an HMAC of it
    "model/secret.rs",
    "node/door.rs", // the node's key, in a header to its gateway
    "oauth/assertion.rs",
    "oauth/assume_role.rs",
    "oauth/authorization.rs",
    "oauth/id_token.rs",
    "oauth/key_file.rs",
    "oauth/minted.rs", // whether a new key is still in what is shown
    "oauth/reply.rs",
    "oauth/request.rs",
    "oauth/revocation.rs",
    "provider/grant.rs",
    "provider/pattern.rs", // a host that is registered as a field
    "provider/prepared.rs",
    "provider/signer.rs",
    "provider/strategy.rs",
    "seal.rs",
    "seal/hardware.rs",
    "sign/aws/keys.rs",
    "sign/azure.rs",
    "sign/digest/session.rs",
    "sign/hmac/fill.rs",
    "sign/jwt.rs",
    "sign/oauth1.rs",
    "vault/entry.rs",
    "vault/json.rs",
    "vault/mod.rs", // the example in its documentation
    "vault/summary.rs",
];

/// Path below `src/`, and the lines that are neither comments nor tests.
fn sources() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.extend(entries.iter().filter(|path| path.is_dir() && !path.ends_with("tests")).cloned());
        for path in entries.iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(path).unwrap();
            let length = text.lines().count();
            if length > 300 {
                eprintln!("warning: {name} has {length} lines");
            }
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let lines = code.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).map(str::to_owned).collect();
            if !name.ends_with("tests.rs") {
                found.push((name, lines));
            }
        }
    }
    assert!(found.len() > 100, "{} files", found.len());
    found
}

fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn floor(room: &str) -> i8 {
    FLOORS
        .iter()
        .find(|(name, _)| *name == room)
        .unwrap_or_else(|| panic!("{room} has no floor: add it here and to src/lib.rs"))
        .1
}

/// The rooms that a line names: `crate::vault::…`, `crate::{disk, seal}`.
fn named(line: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = Vec::new();
    for rest in line.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => rooms.extend(list.split('}').next().unwrap_or_default().split(',').map(|part| word(part.trim()))),
            None => rooms.push(word(rest)),
        }
    }
    rooms.retain(|room| FLOORS.iter().any(|(name, _)| name == room));
    rooms
}

/// Which room imports which, the binary aside: it sees the library as others do.
fn imports() -> BTreeMap<(String, String), String> {
    let mut imports = BTreeMap::new();
    for (file, lines) in sources().iter().filter(|(file, _)| !matches!(room(file), "lib" | "main" | "cli")) {
        for line in lines {
            for other in named(line).into_iter().filter(|other| other != room(file)) {
                imports.entry((room(file).to_owned(), other)).or_insert_with(|| format!("{file}: {line}"));
            }
        }
    }
    imports
}

#[test]
fn a_room_imports_from_lower_floors_only() {
    let wrong: Vec<String> =
        imports().into_iter().filter(|((from, to), _)| floor(from) <= floor(to)).map(|(_, place)| place).collect();
    assert!(wrong.is_empty(), "upward or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn no_rooms_import_each_other_in_a_circle() {
    let edges: BTreeSet<(String, String)> = imports().into_keys().collect();
    let mut rooms: BTreeSet<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    // A room that imports none of those left is taken away; what can't be taken away is a circle.
    while let Some(leaf) =
        rooms.iter().find(|room| !edges.iter().any(|(from, to)| from == **room && rooms.contains(to.as_str())))
    {
        let leaf = *leaf;
        rooms.remove(leaf);
    }
    assert!(rooms.is_empty(), "a circle among {rooms:?}");
}

#[test]
fn the_map_in_the_library_shows_every_room_on_its_floor() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for line in text.lines().filter(|line| line.starts_with("mod ") || line.starts_with("pub mod ")) {
        let name = line.trim_start_matches("pub ").trim_start_matches("mod ").trim_end_matches(';');
        let shown = |row: &str| row.contains(&format!("`{name}`"));
        let row = text.lines().find(|row| row.starts_with("//! |") && shown(row));
        let number = row.and_then(|row| row.split('|').nth(1)).and_then(|cell| cell.trim().parse::<i8>().ok());
        assert!(
            name == "fuzzing" || number == Some(floor(name).max(0)),
            "{name}: {number:?} in the table, {} here",
            floor(name)
        );
    }
}

#[test]
fn i1_only_the_listed_files_look_at_a_secret() {
    let exposing = |lines: &[String]| lines.iter().any(|line| line.contains(".expose()"));
    let found: BTreeSet<String> = sources().into_iter().filter(|(_, lines)| exposing(lines)).map(|(file, _)| file).collect();
    let new: Vec<&String> = found.iter().filter(|file| !EXPOSING.contains(&file.as_str())).collect();
    assert!(new.is_empty(), "not on the list: {new:?}");
}

#[test]
fn i4_t99_no_code_can_switch_verification_off() {
    // The doors that rustls has for it, and the words that such a switch is usually called by.
    const DOORS: [&str; 6] =
        ["dangerous", "ServerCertVerifier", "custom_certificate_verifier", "insecure", "verify_none", "skip_verify"];
    for (file, lines) in sources() {
        // It looks at what is shown to a person, and says no to everything.
        if file == "upstream/peek.rs" {
            assert!(
                !lines.iter().any(|line| line.contains("::assertion")
                    || line.contains("Ok(ServerCert")
                    || line.contains("Ok(Handshake"))
            );
            continue;
        }
        let line = lines.iter().find(|line| DOORS.iter().any(|word| line.contains(word)));
        assert!(line.is_none(), "{file}: {line:?}");
    }
    let features = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(!features.contains("dangerous") && !features.contains("insecure"));
}

/// How long a refusal takes must not say how near a guess came: what a caller shows is hashed, and hashes are compared whole.
#[test]
fn t134_what_proves_a_caller_is_compared_in_constant_time() {
    const COMPARING: [&str; 5] =
        ["agent/file.rs", "approval/notice.rs", "gateway/keys.rs", "gateway/session.rs", "model/secret.rs"];
    let sources = sources();
    for (file, lines) in &sources {
        let compares = lines.iter().any(|line| line.contains(".ct_eq("));
        assert_eq!(compares, COMPARING.contains(&file.as_str()), "{file}: new here, or no longer");
        let short_cut = |line: &&String| line.contains("_sha256") && (line.contains("==") || line.contains("!="));
        let line = lines.iter().find(short_cut);
        assert!(line.is_none(), "{file}: {line:?}");
    }
    // Without `==` nobody writes it by mistake.
    for (file, name) in [("model/secret.rs", "struct Secret<"), ("gateway/keys.rs", "struct OwnKey(")] {
        let (_, lines) = sources.iter().find(|(known, _)| known == file).unwrap();
        let at = lines.iter().position(|line| line.contains(name)).unwrap();
        let derived = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        assert!(derived.into_iter().all(|line| !line.contains("Eq")), "{name}");
    }
}

/// Of two types of one name the OpenAPI document would show one, for both, without a word.
#[test]
fn types_that_the_api_shows_have_names_of_their_own() {
    let mut names = BTreeMap::new();
    for (file, lines) in sources() {
        let derived = |line: &String| line.contains("derive(") && line.contains("ToSchema");
        for at in lines.iter().enumerate().filter(|(_, line)| derived(line)).map(|(at, _)| at) {
            let until = |line: &&String| !["struct ", "enum "].iter().any(|kind| line.contains(kind));
            let said = lines[at..].iter().take_while(until).find_map(|line| line.split_once("schema(as = "));
            let kind = lines[at..].iter().find(|line| !until(line)).unwrap();
            let name = match said {
                Some((_, rest)) => rest.split(')').next().unwrap(),
                None => {
                    let (_, rest) = kind.split_once("struct ").or_else(|| kind.split_once("enum ")).unwrap();
                    rest.split(|letter: char| !letter.is_alphanumeric()).next().unwrap()
                }
            };
            let other = names.insert(name.to_owned(), file.clone());
            assert!(other.is_none(), "{name} is in {file} and in {other:?}: say schema(as = ..)");
        }
    }
    assert!(names.len() > 40, "{names:?}");
}

#[test]
fn only_the_terminal_and_the_confined_process_print() {
    const PRINTING: [&str; 2] = ["cli/terminal.rs", "cli/run/confine.rs"];
    let prints = |line: &String| {
        ["println!", "eprintln!", "print!(", "eprint!(", "io::stdout()", "io::stderr()"].iter().any(|word| line.contains(word))
    };
    for (file, lines) in sources().iter().filter(|(file, _)| !PRINTING.contains(&file.as_str())) {
        let line = lines.iter().find(|line| prints(line) && !line.contains("is_terminal"));
        assert!(line.is_none(), "{file}: {line:?}");
    }
}
