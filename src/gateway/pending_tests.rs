use std::time::{Duration, UNIX_EPOCH};

use super::super::flow::{ACTION, PATIENCE};
use super::*;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn open(folder: &tempfile::TempDir, key: u8) -> Result<Pending, PendingError> {
    let home = folder.path().join("home");
    disk::create_private_dir(&home).expect("a folder");
    Pending::open(home.join("gateway-pending.enc"), DataKey::from_bytes([key; 32]))
}

fn wanted(asker: &str, connection: &str) -> Wanted {
    Wanted {
        id: GatewayId::random().expect("random"),
        asker: asker.to_owned(),
        connection: connection.parse().expect("a handle"),
        scopes: Vec::new(),
        return_url: None,
        exclusive: false,
    }
}

/// Begins a form whose state is that of its connection.
fn begin(pending: &Pending, wanted: &Wanted) -> Result<Begun, PendingError> {
    let page = Secret::new(format!("http://localhost/{}", wanted.connection));
    let step = Step::Form(Secret::new(format!("state of {}", wanted.connection)));
    pending.begin(wanted, Flow::new(wanted, page, step, now()), now())
}

fn state(connection: &str) -> Secret<String> {
    Secret::new(format!("state of {connection}"))
}

#[test]
fn a_question_is_good_for_an_hour_and_its_end_is_known_for_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    let alice = wanted("crew", "acme:alice");
    assert!(matches!(begin(&pending, &alice), Ok(Begun::Now(_))));
    let standing = |after: Duration| pending.standing(&alice.id, now() + after).expect("a file").map(|(standing, _)| standing);
    let minute = Duration::from_secs(60);
    assert_eq!(standing(PATIENCE - minute), Some(Standing::Pending));
    assert_eq!(standing(PATIENCE), Some(Standing::Failed(Ending::Late)));
    assert_eq!(standing(PATIENCE * 2), None);
    assert!(pending.form(&state("acme:alice"), now() + PATIENCE).expect("a file").is_none(), "too late");
    assert!(pending.take_form(&state("acme:alice"), now() + PATIENCE).expect("a file").is_none(), "too late");
}

#[test]
fn a_form_is_taken_once_and_a_home_has_one_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    assert!(matches!(open(&folder, 7).err(), Some(PendingError::InUse(_))));
    begin(&pending, &wanted("crew", "acme:alice")).expect("kept");
    assert!(matches!(begin(&pending, &wanted("crew", "acme:alice")), Ok(Begun::Already(_))), "the same is asked already");
    let taken = pending.take_form(&state("acme:alice"), now()).expect("a file").expect("a form");
    assert!(pending.take_form(&state("acme:alice"), now()).expect("a file").is_none());
    pending.give_back(&taken).expect("written");
    assert!(pending.form(&state("acme:alice"), now()).expect("a file").is_some());
    pending.finish(&taken.id).expect("written");
    assert!(pending.form(&state("acme:alice"), now()).expect("a file").is_none());
    drop(pending);
    assert_eq!(open(&folder, 7).expect("a file").standing(&taken.id, now()).expect("a file"), None);
}

#[test]
fn what_was_acted_on_at_the_end_of_the_process_has_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    let alice = wanted("crew", "acme:alice");
    begin(&pending, &alice).expect("kept");
    pending.take_form(&state("acme:alice"), now()).expect("a file").expect("a form");
    let standing = |pending: &Pending| pending.standing(&alice.id, now()).expect("a file").map(|(standing, _)| standing);
    assert_eq!(standing(&pending), Some(Standing::Pending));
    drop(pending);
    assert_eq!(standing(&open(&folder, 7).expect("a file")), Some(Standing::Failed(Ending::Failed)));
}

#[test]
fn i9_a_file_of_another_secret_or_damage_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    begin(&open(&folder, 7).expect("a file"), &wanted("crew", "acme:alice")).expect("kept");
    let file = folder.path().join("home/gateway-pending.enc");
    let before = std::fs::read(&file).expect("a file");
    let refused = open(&folder, 8).err().expect("another secret");
    assert!(matches!(refused, PendingError::Sealed(..)) && refused.to_string().contains("remove the file"), "{refused}");
    assert_eq!(std::fs::read(&file).expect("a file"), before);
}

#[test]
fn i7_one_program_has_only_so_many_and_leaves_room_for_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    let many: Vec<Flow> = (0..OF_ONE)
        .map(|number| {
            let wanted = wanted("crew", &format!("acme:user{number}"));
            Flow::new(&wanted, Secret::new(String::new()), Step::Form(state(&number.to_string())), now())
        })
        .collect();
    let fill = |flows: &mut Vec<Flow>| {
        flows.extend(many);
        Ok(())
    };
    pending.change(fill).expect("written");
    assert!(matches!(begin(&pending, &wanted("crew", "acme:alice")), Err(PendingError::Full)));
    let file = folder.path().join("home/gateway-pending.enc");
    let written = std::fs::read(&file).expect("a file");
    std::fs::write(&file, "damaged").expect("written");
    assert_eq!(pending.look(<[Flow]>::len).expect("who is refused changes nothing"), OF_ONE);
    std::fs::write(&file, written).expect("written");
    assert!(matches!(begin(&pending, &wanted("other", "acme:alice")), Ok(Begun::Now(_))));
    let later = now() + PATIENCE;
    let wanted = wanted("crew", "acme:alice");
    let flow = Flow::new(&wanted, Secret::new(String::new()), Step::Form(state("later")), later);
    assert!(matches!(pending.begin(&wanted, flow, later), Ok(Begun::Now(_))), "those before are over");
}

#[test]
fn i7_the_file_grows_no_larger_than_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    let alice = wanted("crew", "acme:alice");
    begin(&pending, &alice).expect("kept");
    let mut large = wanted("crew", "acme:bob");
    large.scopes = vec!["x".repeat(13 * 1024 * 1024)];
    assert!(matches!(begin(&pending, &large), Err(PendingError::Full)));
    let standing =
        |pending: &Pending, wanted: &Wanted| pending.standing(&wanted.id, now()).expect("a file").map(|(standing, _)| standing);
    assert_eq!((standing(&pending, &alice), standing(&pending, &large)), (Some(Standing::Pending), None));
    assert!(matches!(begin(&pending, &wanted("crew", "acme:bob")), Ok(Begun::Now(_))), "a smaller one is kept");
    drop(pending);
    assert_eq!(standing(&open(&folder, 7).expect("it can be read"), &alice), Some(Standing::Pending));
}

#[test]
fn an_answer_that_nobody_acts_on_any_more_came_to_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    let alice = wanted("crew", "acme:alice");
    begin(&pending, &alice).expect("kept");
    let taken = pending.take_form(&state("acme:alice"), now()).expect("a file").expect("a form");
    let standing = |after: Duration| pending.standing(&alice.id, now() + after).expect("a file").map(|(standing, _)| standing);
    assert_eq!(standing(ACTION - Duration::from_secs(1)), Some(Standing::Pending));
    assert_eq!(standing(ACTION), Some(Standing::Failed(Ending::Failed)));
    pending.give_back(&taken).expect("written");
    assert_eq!(standing(ACTION), Some(Standing::Pending), "it waits again");
}

#[test]
fn a_person_is_asked_once_by_name_and_by_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    // Python: uuid.uuid5(uuid.NAMESPACE_DNS, "alice").
    let number = "c2ef90b9-02bc-5d53-93cd-92652b6e1b41";
    begin(&pending, &wanted("crew", "acme:alice")).expect("kept");
    assert!(matches!(begin(&pending, &wanted("crew", &format!("acme:{number}"))), Ok(Begun::Already(_))));
    let named = |number: &str, after| pending.named(&number.parse().expect("a name"), now() + after).expect("a file");
    assert_eq!(named(number, Duration::ZERO), "alice".parse().ok());
    assert_eq!(named("c2ef90b9-02bc-5d53-93cd-92652b6e1b42", Duration::ZERO), None);
    assert_eq!(named(number, PATIENCE), None, "who is asked no more");
}

#[test]
fn an_exclusive_question_is_handed_to_nobody_and_ended_by_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let pending = open(&folder, 7).expect("a file");
    let own = Wanted { exclusive: true, ..wanted("our user", "acme:alice") };
    assert!(matches!(begin(&pending, &own), Ok(Begun::Now(_))));
    let other = Wanted { scopes: vec!["more".to_owned()], ..wanted("our user", "acme:alice") };
    for wanted in [wanted("our user", "acme:alice"), other, Wanted { exclusive: true, ..wanted("our user", "acme:alice") }] {
        assert!(matches!(begin(&pending, &wanted), Ok(Begun::Now(_))));
    }
    let standing = pending.standing(&own.id, now()).expect("a file").map(|(standing, _)| standing);
    assert_eq!(standing, Some(Standing::Pending));
}
