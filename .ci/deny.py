#!/usr/bin/env python3
"""Checks deny.toml against `cargo metadata`: licences, banned crates, doubled TLS, sources. For where cargo-deny is not installed.

It understands the part of deny.toml that this repository uses, and refuses keys that it does not know. Exit code 1 on a finding.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

KNOWN = {
    "graph": {"targets", "all-features"},
    "licenses": {"allow", "confidence-threshold", "exceptions", "unused-allowed-license"},
    "bans": {"deny", "multiple-versions", "wildcards"},
    "sources": {"unknown-registry", "unknown-git", "allow-registry"},
}


def satisfied(expression, allowed):
    """Whether an SPDX expression can be met with the allowed licences."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        nonlocal words
        value = both()
        while words and words[0] == "OR":
            words = words[1:]
            right = both()
            value = value or right
        return value

    def both():
        nonlocal words
        value = one()
        while words and words[0] == "AND":
            words = words[1:]
            right = one()
            value = value and right
        return value

    def one():
        nonlocal words
        word, words = words[0], words[1:]
        if word == "(":
            value = either()
            words = words[1:]
            return value
        if len(words) > 1 and words[0] == "WITH":
            word, words = f"{word} WITH {words[1]}", words[2:]
        used.add(word)
        return word in allowed

    used = set()
    return either() and not words, used


def licences(packages, rules):
    allowed, needed = set(rules["allow"]), set()
    for package in packages:
        extra = {name for row in rules.get("exceptions", []) if row["crate"] == package["name"] for name in row["allow"]}
        expression = package["license"]
        if not expression:
            yield f"{package['name']} names no licence"
            continue
        fits, used = satisfied(expression, allowed | extra)
        needed |= used
        if not fits:
            yield f"{package['name']} {package['version']}: {expression} is not allowed"
    for name in sorted(allowed - needed):
        yield f"{name} is allowed but no crate needs it"


def bans(packages, rules):
    banned = {row["crate"]: row for row in rules.get("deny", [])}
    for package in packages:
        if package["name"] in banned:
            yield f"{package['name']} is banned: {banned[package['name']].get('reason', 'see deny.toml')}"


def sources(packages, rules):
    allowed = {f"registry+{url}" for url in rules["allow-registry"]}
    for package in packages:
        if package["source"] is not None and package["source"] not in allowed:
            yield f"{package['name']} comes from {package['source']}"


def shipped(metadata, targets):
    """Everything that reaches the library or the binary on these targets, build dependencies included, tests left out.

    `cargo tree` says it exactly; the graph of `cargo metadata` also holds optional crates that nothing switches on.
    """
    command = ["cargo", "tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--all-features"]
    for target in targets:
        command += ["--target", target]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = {tuple(line.split()[:2]) for line in lines if line.strip()}
    return [package for package in metadata["packages"] if (package["name"], f"v{package['version']}") in built]


def main():
    rules = tomllib.loads(Path("deny.toml").read_text())
    for section, keys in rules.items():
        for key in keys:
            if key not in KNOWN.get(section, ()):
                print(f"deny: {section}.{key} is not understood here; install cargo-deny", file=sys.stderr)
                return 1
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    packages = [package for package in shipped(metadata, rules["graph"]["targets"]) if package["source"] is not None]
    findings = [*licences(packages, rules["licenses"]), *bans(packages, rules["bans"]), *sources(packages, rules["sources"])]
    for finding in findings:
        print(f"deny: {finding}", file=sys.stderr)
    print(f"deny: {len(packages)} crates, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
