use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::agent::PlaceholderKey;
use crate::model::{AgentName, ConnectionId, Credential, ProviderId, Secret};
use crate::provider::{Catalogue, Provider};
use crate::vault::{AuthType, Captured, Entry, LentRenewal, Snapshot, Status};

fn entry(provider: &str, fields: &[&str]) -> Entry {
    let mut credential = Credential::default();
    fields.iter().for_each(|name| credential.set(name, Secret::new(format!("secret-{name}"))));
    let mut entry = Entry::new(provider.parse().expect("a name"), AuthType::OAuth2, credential);
    entry.registered_at = Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    entry.seal(vec!["api.github.com".to_owned()]);
    entry
}

fn id(text: &str) -> ConnectionId {
    text.parse().expect("a handle")
}

fn providers() -> impl Fn(&ProviderId) -> Option<Arc<Provider>> {
    let catalogue = Catalogue::builtin();
    move |name| catalogue.get(name).cloned()
}

fn lender() -> Lender {
    Lender::new([7; 32])
}

fn lend(provider: &str, fields: &[&str]) -> Entry {
    let file = providers()(&provider.parse().expect("a name")).expect("a provider");
    lender().lend(&file, &entry(provider, fields)).expect("a copy")
}

fn vault(entries: &[(&str, Arc<Entry>)]) -> Snapshot {
    Snapshot::gathered(1, entries.iter().map(|(name, entry)| (id(name), Arc::clone(entry))).collect::<BTreeMap<_, _>>())
}

fn round(told: &mut Told, vault: &Snapshot) -> Vec<Change> {
    let providers = providers();
    let due = told.due(vault, &providers);
    let lines: Vec<_> = due.iter().filter_map(|id| told.tell(id, vault, &providers, &lender())).collect();
    let read = |line: &zeroize::Zeroizing<Vec<u8>>| read(line.strip_suffix(b"\n").expect("a line")).expect("sound");
    lines.iter().chain(&told.synced()).map(read).collect()
}

#[test]
fn i11_a_copy_has_what_goes_on_requests_and_never_what_only_renewals_need() {
    let copy = lend("github", &["access_token", "refresh_token", "client_id", "client_secret"]);
    assert_eq!(copy.fields.names().collect::<Vec<_>>(), ["access_token"]);
    assert!(copy.fields.field("access_token").is_some_and(|token| token.matches("secret-access_token")));
    assert_eq!(copy.lent.as_ref().map(|lent| lent.renewal), Some(LentRenewal::Able));
    assert_eq!(copy.sealed_hosts().map(<[String]>::len), Some(1));
}

#[test]
fn i11_of_keys_that_make_others_a_copy_has_none() {
    let long_lived = ["access_key_id", "secret_access_key", "role_arn", "region"];
    let unmade = lend("aws", &long_lived);
    assert!(unmade.fields.field("secret_access_key").is_none());
    assert_eq!(unmade.lent.as_ref().map(|lent| lent.renewal), Some(LentRenewal::First));
    let role = ["role_access_key_id", "role_secret_access_key", "role_session_token"];
    let made = lend("aws", &long_lived.into_iter().chain(role).collect::<Vec<_>>());
    assert!(made.fields.field("secret_access_key").is_none() && made.fields.field("role_secret_access_key").is_some());
    assert_eq!(made.lent.as_ref().map(|lent| lent.renewal), Some(LentRenewal::Able));
}

#[test]
fn a_personal_token_that_stands_as_client_secret_is_lent_as_what_it_is() {
    let copy = lend("github", &["client_id", "client_secret"]);
    assert!(copy.fields.field("access_token").is_some_and(|token| token.matches("secret-client_secret")));
    assert!(copy.fields.field("client_secret").is_none());
    assert_eq!(copy.lent.as_ref().map(|lent| lent.renewal), Some(LentRenewal::None));
}

#[test]
fn a_copy_says_whether_its_owner_can_ask_for_a_persons_consent() {
    for (fields, client) in [(&["access_token", "client_id", "client_secret"][..], true), (&["access_token"], false)] {
        let vault = vault(&[("github", Arc::new(entry("github", fields)))]);
        let told = round(&mut Told::default(), &vault);
        let copy = told.into_iter().find_map(|change| if let Change::Put(_, copy) = change { Some(copy) } else { None });
        let copy = copy.expect("a copy");
        assert_eq!(copy.lent.as_ref().map(|lent| lent.client), Some(client), "{fields:?}");
        assert!(copy.fields.field("client_secret").is_none());
    }
}

#[test]
fn of_an_app_that_nobody_has_logged_in_by_a_node_hears_that_there_is_one() {
    let app = Entry { app: true, ..entry("github", &["client_id", "client_secret"]) };
    let mut told = Told::default();
    let changes = round(&mut told, &vault(&[("github", Arc::new(app))]));
    let Some(Change::Put(_, copy)) = changes.first() else { panic!("{changes:?}") };
    assert!(copy.is_app_alone() && !copy.is_open());
    assert_eq!(copy.fields.names().collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(copy.lent.as_ref().map(|lent| (lent.renewal, lent.client)), Some((LentRenewal::None, true)));
    let logged_in = Entry { app: true, ..entry("github", &["client_id", "client_secret", "access_token"]) };
    let changes = round(&mut told, &vault(&[("github", Arc::new(logged_in))]));
    assert!(matches!(&changes[..], [Change::Put(_, copy)] if copy.is_open() && !copy.app), "{changes:?}");
    let own = entry("github", &["client_id"]);
    let agent: AgentName = "ci".parse().expect("a name");
    let captured = Some(Captured { agent, user: None, until: None, since: None, made_with: None });
    assert!(round(&mut Told::default(), &vault(&[("github", Arc::new(Entry { app: true, captured, ..own }))])).len() == 1);
}

#[test]
fn i6_what_is_one_agents_or_waits_is_lent_to_nobody() {
    let github = providers()(&"github".parse().expect("a name")).expect("a provider");
    let mut own = entry("github", &["access_token"]);
    let agent: AgentName = "ci".parse().expect("a name");
    own.captured = Some(Captured { agent, user: None, until: None, since: None, made_with: None });
    assert!(lender().lend(&github, &own).is_none());
    let pending = Entry { captured: None, status: Status::Pending, ..own };
    assert!(lender().lend(&github, &pending).is_none());
}

#[test]
fn a_version_changes_with_the_credential_and_tells_nothing_of_it() {
    let (one, two) = (entry("github", &["access_token"]), entry("github", &["access_token", "refresh_token"]));
    assert_eq!(lender().version(&one), lender().version(&entry("github", &["access_token"])));
    assert_ne!(lender().version(&one), lender().version(&two));
    assert_ne!(lender().version(&one), Lender::new([8; 32]).version(&one));
}

#[test]
fn a_node_hears_of_everything_once_and_then_of_changes() {
    let mut told = Told::default();
    let (alice, bob) = (Arc::new(entry("github", &["access_token"])), Arc::new(entry("github", &["access_token"])));
    let both = vault(&[("github:alice", Arc::clone(&alice)), ("github:bob", bob)]);
    assert!(matches!(round(&mut told, &both).as_slice(), [Change::Put(..), Change::Put(..), Change::Synced]));
    assert!(round(&mut told, &both).is_empty());
    let renewed = Arc::new(entry("github", &["access_token", "refresh_token"]));
    let one = vault(&[("github:alice", renewed)]);
    let changes = round(&mut told, &one);
    assert!(
        matches!(&changes[..], [Change::Gone(gone), Change::Put(put, _)] if *gone == id("github:bob") && *put == id("github:alice"))
    );
    let pending = Arc::new(Entry { status: Status::Pending, ..entry("github", &["access_token"]) });
    assert!(matches!(&round(&mut told, &vault(&[("github:alice", Arc::clone(&pending))]))[..], [Change::Gone(_)]));
    assert!(round(&mut told, &vault(&[("github:alice", pending)])).is_empty());
}

#[test]
fn an_answer_says_when_to_ask_again() {
    let copy = lend("github", &["access_token", "refresh_token"]);
    let text = write_answer(&id("github:alice"), &copy, Some(Duration::from_millis(10)));
    let answer = read_answer(&text).expect("an answer");
    assert_eq!((answer.id.as_str(), answer.retry_after), ("github:alice", Some(Duration::from_secs(1))));
    assert!(answer.entry.same_as(&copy));
    assert!(!String::from_utf8_lossy(&text).contains("secret-refresh_token"));
}

#[test]
fn i7_lines_come_in_any_pieces_and_have_a_bound() {
    let placeholders = PlaceholderKey::new([7; 32]);
    let text =
        [write_hello(Duration::from_secs(900), &placeholders).to_vec(), write_alive().to_vec(), b"{\"new\":1}\n".to_vec()]
            .concat();
    for size in [1, 7, 1000] {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in text.chunks(size) {
            let keep = |line: &[u8]| {
                found.push(read(line)?);
                Ok::<_, Malformed>(())
            };
            lines.push(piece, keep).expect("lines");
        }
        let [Change::Hello(hello), Change::Alive, Change::Alive] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(hello.heartbeat, Duration::from_secs(60));
        let github = id("github:alice");
        let read = hello.placeholders.as_ref().map(|key| key.head_of_apps(&github));
        assert_eq!(read, Some(placeholders.head_of_apps(&github)));
    }
    let endless = vec![b'a'; 600 * 1024];
    assert!(matches!(Lines::default().push::<Malformed>(&endless, |_| Ok(())), Err(Malformed::Long)));
    for broken in ["[]", "{\"put\":{}}", "{\"gone\":{\"id\":\"../x\"}}", "{\"put\":7}", "\u{0}"] {
        assert!(read(broken.as_bytes()).is_err(), "{broken}");
    }
}
