//! Levels: whom a handler is for.

use super::access::Who;
use super::keys::Kind;
use super::session::Role;

/// Whom a handler is for.
pub(crate) trait Level: Send + Sync + 'static {
    /// What a person calls those that are admitted, for the refusal of others.
    const FOR: &'static str;
    /// Whether it is for everybody, whatever they show.
    const OPEN: bool = false;
    /// Whether an agent's token is looked at.
    const AGENTS: bool = false;
    /// Whether a browser may send it.
    const BROWSERS: bool = false;

    /// Whether `who` is admitted.
    fn admits(who: &Who) -> bool;
}

/// For everybody, though not for web pages: what is the same for all.
#[derive(Debug)]
pub(crate) struct Open;

/// For a person's browser: the state in the address is the credential.
#[derive(Debug)]
pub(crate) struct Page;

/// For apps, and for everybody else that shows a key: what is answered depends on who asks.
#[derive(Debug)]
pub(crate) struct App;

/// For apps and everybody at the page: what is seen depends on who asks, and nothing is changed.
#[derive(Debug)]
pub(crate) struct Watcher;

/// For who answers held requests: administrators, and approvers at the page.
#[derive(Debug)]
pub(crate) struct Approver;

/// For who reads the audit log: administrators, and everybody at the page.
#[derive(Debug)]
pub(crate) struct Auditor;

/// For who is at the page.
#[derive(Debug)]
pub(crate) struct SignedIn;

/// For who may register providers: administrators, and the gateway's own user on loopback.
#[derive(Debug)]
pub(crate) struct Registrar;

/// For proxies elsewhere, which are the only ones that credentials are handed to (I11).
#[derive(Debug)]
pub(crate) struct Node;

/// For administrators.
#[derive(Debug)]
pub(crate) struct Admin;

/// For who looks after this machine: administrators, and the gateway's own user on loopback. Nothing is changed and nothing secret told.
#[derive(Debug)]
pub(crate) struct Operator;

impl Level for Open {
    const FOR: &'static str = "everybody";
    const OPEN: bool = true;

    fn admits(_who: &Who) -> bool {
        true
    }
}

impl Level for Page {
    const FOR: &'static str = "everybody";
    const OPEN: bool = true;
    const BROWSERS: bool = true;

    fn admits(_who: &Who) -> bool {
        true
    }
}

impl Level for App {
    const FOR: &'static str = "whoever shows a key";

    fn admits(who: &Who) -> bool {
        !matches!(who, Who::Anyone | Who::Agent(_)) && who.role().is_none_or(|role| role == Role::Operator)
    }
}

impl Level for Watcher {
    const FOR: &'static str = "whoever shows a key, and people at the page";

    fn admits(who: &Who) -> bool {
        App::admits(who) || who.role().is_some()
    }
}

impl Level for Approver {
    const FOR: &'static str = "admin keys, and approvers at the page";

    fn admits(who: &Who) -> bool {
        Admin::admits(who) || who.role() == Some(Role::Approver)
    }
}

impl Level for Auditor {
    const FOR: &'static str = "admin keys, and people at the page";

    fn admits(who: &Who) -> bool {
        Admin::admits(who) || who.role().is_some()
    }
}

impl Level for SignedIn {
    const FOR: &'static str = "people at the page";

    fn admits(who: &Who) -> bool {
        who.role().is_some()
    }
}

impl Level for Registrar {
    const FOR: &'static str = "admin keys, and the gateway's own user on its machine";

    fn admits(who: &Who) -> bool {
        Admin::admits(who) || matches!(who, Who::Owner)
    }
}

impl Level for Node {
    const FOR: &'static str = "node keys";

    fn admits(who: &Who) -> bool {
        who.kind() == Some(Kind::Node)
    }
}

impl Level for Admin {
    const FOR: &'static str = "admin keys";

    fn admits(who: &Who) -> bool {
        who.kind() == Some(Kind::Admin)
    }
}

impl Level for Operator {
    const FOR: &'static str = "admin keys, the gateway's own user on its machine, and people at the page";

    fn admits(who: &Who) -> bool {
        Registrar::admits(who) || who.role().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::keys::Key;
    use super::*;

    #[test]
    fn i11_nobody_but_a_node_is_admitted_where_credentials_are() {
        let key = |kind| {
            Who::Key(Arc::new(Key {
                name: "a".parse().expect("a name"),
                kind,
                key_sha256: [0; 32],
                user: None,
                providers: None,
                expires: None,
                created: None,
            }))
        };
        let all = [Who::Anyone, Who::Owner, Who::CommandLine, key(Kind::App), key(Kind::Node), key(Kind::Admin)];
        let admitted = |level: fn(&Who) -> bool| all.iter().map(level).collect::<Vec<_>>();
        assert_eq!(admitted(Node::admits), [false, false, false, false, true, false]);
        assert_eq!(admitted(Admin::admits), [false, false, true, false, false, true]);
        assert_eq!(admitted(Registrar::admits), [false, true, true, false, false, true]);
        assert_eq!(admitted(App::admits), [false, true, true, true, true, true]);
    }
}
