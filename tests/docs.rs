//! The documents are true: their links lead somewhere, their examples are valid, their commands and tests exist.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the repository, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("docs")];
    let mut files: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "certs/README.md"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                files.push(path);
            }
        }
    }
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).expect("text"))).collect()
}

/// The fenced blocks of one language, of all pages.
fn blocks(language: &str) -> Vec<(PathBuf, String)> {
    let fence = format!("```{language}\n");
    let in_page = |(file, text): (PathBuf, String)| {
        let parts: Vec<String> =
            text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().into()).collect();
        parts.into_iter().map(move |part| (file.clone(), part))
    };
    pages().into_iter().flat_map(in_page).collect()
}

/// Everything below `folders`, as one text.
fn sources(folders: &[&str]) -> String {
    let mut todo: Vec<PathBuf> = folders.iter().map(|name| root().join(name)).collect();
    let mut all = String::new();
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                all.push_str(&std::fs::read_to_string(path).expect("text"));
            }
        }
    }
    all
}

#[test]
fn every_link_leads_to_a_file() {
    for (file, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") {
                continue;
            }
            let folder = file.parent().expect("a file is in a folder");
            assert!(folder.join(path).exists(), "{}: {target}", file.display());
        }
    }
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("text");
    let mut found = readme.split("```").skip(1).step_by(2).take(2);
    assert_eq!(found.next(), Some("sh\nmake demo\n"));
    assert_eq!(found.next(), Some("sh\nmake test\n"));
}

#[test]
fn every_toml_example_is_valid() {
    let found = blocks("toml");
    assert!(found.len() >= 5, "the pages have {} examples", found.len());
    for (file, text) in found {
        if text.contains("[[inject]]") {
            let name = text.split('"').nth(1).expect("it begins with its name");
            let parsed = nexus::provider::parse(&format!("{name}.toml"), &text);
            parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        } else if text.contains("[[request]]") {
            nexus::app::trials(&text).unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
        } else {
            let parsed = nexus::app::Config::parse("nexus.toml", &text, &[]);
            parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }
}

#[test]
fn every_command_exists() {
    let mut commands: Vec<String> = Vec::new();
    for (_, text) in blocks("sh") {
        let typed = text.lines().filter_map(|line| line.strip_prefix("nexus "));
        commands.extend(typed.filter_map(|line| line.split_whitespace().next().map(str::to_owned)));
    }
    commands.sort();
    commands.dedup();
    assert!(commands.len() >= 6, "the pages show {commands:?}");
    for command in commands {
        let output = Command::new(env!("CARGO_BIN_EXE_nexus")).args([&command, "--help"]).output().expect("nexus runs");
        assert!(output.status.success(), "nexus {command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_page_of_clients_names_those_that_are_tested_and_their_tier() {
    let output = Command::new("python3").arg(root().join("tests/clients/run.py")).arg("--list").output().expect("python3");
    let tested: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).expect("a list");
    let page = std::fs::read_to_string(root().join("docs/howto/clients.md")).expect("text");
    let table = page.split("\n\n").find(|part| part.starts_with("| clients |")).expect("the table");
    let mut named = BTreeMap::new();
    for row in table.lines().skip(2) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let clients = cells[0].split('`').skip(1).step_by(2);
        named.extend(clients.map(|client| (client.to_owned(), cells[1].to_owned())));
    }
    assert_eq!(named, tested);
}

#[test]
fn the_threat_model_names_tests_and_files_that_exist() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).expect("text");
    let sources = sources(&["src", "tests"]);
    let mut numbers = Vec::new();
    for quoted in text.split('`').skip(1).step_by(2) {
        if quoted.starts_with("src/") {
            assert!(root().join(quoted).exists(), "there is no {quoted}");
        } else if quoted.starts_with('i') && quoted.contains('_') {
            assert!(sources.contains(&format!("fn {quoted}(")), "there is no test {quoted}");
            numbers.extend(quoted.split('_').next().map(str::to_owned));
        }
    }
    for number in 1..=10 {
        assert!(numbers.contains(&format!("i{number}")), "I{number} has no test");
    }
}
