//! The list by itself: what has room, what an answer does, what it lets on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::*;
use crate::agent::Agent;
use crate::attention::{Attention, Notice};
use crate::model::{Authority, Methods, Scheme, Target};
use crate::policy::{Rule, gather, read};

const HOUR: Duration = Duration::from_secs(3600);
const RULE: &str = "[[rule]]\nname = \"ask\"\nhosts = \"a.test\"\naction = \"approve\"\ntimeout = \"60s\"\n";

fn rule(text: &str) -> Arc<Rule> {
    let rows = read("p.toml", text).expect("rows");
    gather(vec![("p.toml".into(), rows)]).expect("rules").pop().expect("a rule")
}

fn agent() -> Arc<Agent> {
    Arc::new(Agent::local().expect("an agent"))
}

fn desk(hold_limit: usize) -> (Arc<Approvals>, mpsc::Receiver<Notice>) {
    let settings = crate::attention::Settings { hold: Duration::ZERO, hold_limit: 0, agent_hold_limit: 0, tells: true };
    let (attention, notices) = Attention::new(settings);
    let desk = Approvals::new(Settings { hold_limit, agent_hold_limit: hold_limit.min(2) }, attention);
    desk.open(None);
    (desk, notices)
}

fn target(method: &str, path: &str) -> Target {
    Target {
        scheme: Scheme::Https,
        authority: Authority::parse("a.test", Some(443)).expect("an authority"),
        method: method.parse().expect("a method"),
        path: path.parse().expect("a path"),
    }
}

fn question(agent: &Arc<Agent>, target: Target) -> Question {
    let path = target.path.path().to_owned();
    let body = Body { preview: Some("hello".to_owned()), ..Body::default() };
    Question {
        agent: Arc::clone(agent),
        rule: rule(RULE),
        target,
        path,
        provider: None,
        connection: None,
        form: Methods::default(),
        in_place: Methods::default(),
        fields: Fields::default(),
        body,
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn kind(word: &Word) -> &'static str {
    match word {
        Word::Allowed(_) => "allowed",
        Word::Denied => "denied",
        Word::TimedOut => "timed_out",
    }
}

fn allow(desk: &Arc<Approvals>, id: &str, answer: &Answer) -> Result<Shown, NotDone> {
    let claimed = desk.claim(id, None)?;
    claimed.takes(answer)?;
    claimed.answer(answer, "boss", now())
}

#[tokio::test(start_paused = true)]
async fn an_answer_reaches_the_request_and_a_second_one_nobody() {
    let (desk, mut notices) = desk(10);
    let mut waiting = desk.hold("A", question(&agent(), target("POST", "/x"))).expect("a place");
    let claimed = desk.claim("A", None).expect("it waits");
    assert!(matches!(desk.claim("A", None), Err(NotDone::Settled(_))), "one at a time");
    drop(claimed);
    assert_eq!(allow(&desk, "A", &Answer::Once).expect("an answer").status, State::Allowed);
    let Word::Allowed(approved) = waiting.word().await else { panic!("allowed") };
    assert_eq!((approved.how, &*approved.by, &*approved.id), (How::Once, "boss", "A"));
    let Err(NotDone::Settled(shown)) = allow(&desk, "A", &Answer::Deny) else { panic!("it is over") };
    assert_eq!((shown.status, shown.by.as_deref(), shown.body.preview), (State::Allowed, Some("boss"), None));
    drop(waiting);
    assert_eq!(desk.find("A").expect("it is remembered").status, State::Allowed);
    let kinds: Vec<String> = std::iter::from_fn(|| notices.try_recv().ok()).map(|notice| notice.body).collect();
    assert!(kinds[0].contains("approval.asked") && kinds[1].contains("approval.settled") && kinds.len() == 2, "{kinds:?}");
    assert!(!kinds[0].contains("reply_url\":\""), "nobody can reply without a key");
}

#[tokio::test(start_paused = true)]
async fn nobodys_answer_is_a_no_and_so_is_leaving() {
    let (desk, _notices) = desk(10);
    let began = tokio::time::Instant::now();
    let mut waiting = desk.hold("A", question(&agent(), target("POST", "/x"))).expect("a place");
    assert_eq!(kind(&waiting.word().await), "timed_out");
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    assert!(matches!(allow(&desk, "A", &Answer::Once), Err(NotDone::Settled(_))));
    drop(desk.hold("B", question(&agent(), target("POST", "/x"))).expect("a place"));
    assert_eq!(desk.find("B").expect("it is remembered").status, State::Left);
    let Err(NotDone::Settled(_)) = allow(&desk, "B", &Answer::For(HOUR)) else { panic!("it is over") };
    assert!(desk.grants(now()).is_empty(), "what nobody waited for lets nothing on");
    let mut denied = desk.hold("C", question(&agent(), target("POST", "/x"))).expect("a place");
    allow(&desk, "C", &Answer::Deny).expect("an answer");
    assert_eq!(kind(&denied.word().await), "denied");
    let numbers: Vec<u64> = desk.numbers.all().iter().map(|(_, count)| *count).collect();
    assert_eq!(numbers, [3, 0, 1, 1, 1, 0]);
}

#[tokio::test]
async fn i7_only_so_many_wait_and_of_one_agent_fewer() {
    let (desk, _notices) = desk(3);
    let (greedy, other) = (agent(), Arc::new(Agent::from(&registered("other"))));
    let hold = |agent: &Arc<Agent>, id: &str| desk.hold(id, question(agent, target("POST", "/x")));
    let held = [hold(&greedy, "1").expect("a place"), hold(&greedy, "2").expect("a place")];
    assert_eq!(hold(&greedy, "3").err(), Some(NotAsked::Crowded), "two of one agent");
    let third = hold(&other, "4").expect("a place");
    assert_eq!(hold(&Arc::new(Agent::from(&registered("third"))), "5").err(), Some(NotAsked::Crowded), "three in all");
    drop((held, third));
    assert_eq!(desk.waiting(), 0);
    for number in 0..1000 {
        drop(hold(&greedy, &number.to_string()).expect("a place"));
    }
    assert_eq!(desk.all().len(), 256);
}

fn registered(name: &str) -> crate::agent::Registered {
    let token = crate::agent::Token::random().expect("random numbers");
    crate::agent::Registered::unlimited(name.parse().expect("a name"), &token)
}

#[tokio::test]
async fn i2_a_grant_lets_on_what_it_says_and_nothing_else() {
    let (desk, _notices) = desk(10);
    let (ours, rule) = (agent(), rule(RULE));
    let waiting = desk.hold("A", question(&ours, target("POST", "/items/7?x=1"))).expect("a place");
    let shown = allow(&desk, "A", &Answer::For(HOUR)).expect("an answer");
    let until = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
    let settled = shown.settled_at.expect("a time");
    assert_eq!(until(&shown.allowed_until.expect("a time")).duration_since(until(&settled)).as_hours(), 1);
    drop(waiting);
    let granted = |agent: &Arc<Agent>, rule: &Arc<Rule>, target: &Target, at| {
        desk.granted(&Passing { agent, rule, target, connection: None, form: Methods::default() }, at).is_some()
    };
    assert!(granted(&ours, &rule, &target("POST", "/items/7?x=2"), now()));
    for other in ["/items/8", "/items/7/", "/Items/7", "/items/%37", "/items//7", "/items/7/../7"] {
        assert!(!granted(&ours, &rule, &target("POST", other), now()), "{other}");
    }
    for other in ["_method=DELETE", "x=1&_method=POST&_method=DELETE", "%5Fmethod=PUT"] {
        assert!(!granted(&ours, &rule, &target("POST", &format!("/items/7?{other}")), now()), "{other}");
    }
    let same = target("POST", "/items/7");
    for form in [Methods::named(b"DELETE"), Methods::ANY] {
        let passing = Passing { agent: &ours, rule: &rule, target: &same, connection: None, form };
        assert!(desk.granted(&passing, now()).is_none(), "a body that puts another method in place");
    }
    assert!(!granted(&ours, &rule, &target("PUT", "/items/7"), now()));
    assert!(!granted(&agent(), &rule, &same, now()), "another agent of that name");
    let changed = super::tests::rule(&RULE.replace("a.test", "*.test"));
    assert!(!granted(&ours, &changed, &same, now()), "a rule that was changed asks anew");
    let connection = crate::model::ConnectionId::new("acme".parse().expect("a name"), None);
    let elsewhere =
        Passing { agent: &ours, rule: &rule, target: &same, connection: Some(&connection), form: Methods::default() };
    assert!(desk.granted(&elsewhere, now()).is_none(), "another account");
    let plain = Target { scheme: Scheme::Http, ..same.clone() };
    let port = Target { authority: Authority::parse("a.test:8443", None).expect("an authority"), ..same.clone() };
    assert!(!granted(&ours, &rule, &plain, now()) && !granted(&ours, &rule, &port, now()));
    assert!(granted(&ours, &rule, &same, now() + HOUR - Duration::from_secs(60)));
    assert!(!granted(&ours, &rule, &same, now() - Duration::from_secs(60)), "a clock that was set back opens nothing");
    assert_eq!(desk.grants(now()).len(), 0, "and what it ended stays ended");
}

#[tokio::test]
async fn i2_a_pattern_fits_in_all_readings_or_not_at_all() {
    let (desk, _notices) = desk(10);
    let (ours, rule) = (agent(), rule(RULE));
    let waiting = desk.hold("A", question(&ours, target("POST", "/repos/acme/x/issues"))).expect("a place");
    let pattern = |text: &str| Answer::Pattern(text.parse().expect("a pattern"), HOUR);
    assert_eq!(allow(&desk, "A", &pattern("/repos/other/*/issues")).err(), Some(NotDone::Unfit));
    assert_eq!(allow(&desk, "A", &pattern("/repos/acme/*/issues")).expect("an answer").status, State::Allowed);
    drop(waiting);
    let granted = |path: &str| {
        let target = target("POST", path);
        desk.granted(&Passing { agent: &ours, rule: &rule, target: &target, connection: None, form: Methods::default() }, now())
            .is_some()
    };
    assert!(granted("/repos/acme/y/issues?a=b"));
    for other in [
        "/repos/acme/y/../../../admin",
        "/repos/acme/y%2f..%2f..%2fz/issues",
        "/repos/ACME/y/issues",
        "/repos/acme/y/issues/1",
        "/%00",
    ] {
        assert!(!granted(other), "{other}");
    }
    let shown = desk.grants(now()).pop().expect("a grant");
    assert_eq!((shown.path.as_str(), shown.uses, shown.by.as_str()), ("/repos/acme/*/issues", 1, "boss"));
    assert!(desk.revoke("A") && !desk.revoke("A") && !granted("/repos/acme/y/issues"));
}

#[tokio::test(start_paused = true)]
async fn a_yes_for_a_time_lets_on_what_waits_already_and_fits() {
    let (attention, mut notices) =
        Attention::new(crate::attention::Settings { hold: Duration::ZERO, hold_limit: 0, agent_hold_limit: 0, tells: true });
    let desk = Approvals::new(Settings { hold_limit: 9, agent_hold_limit: 9 }, attention);
    desk.open(None);
    let ours = agent();
    let hold =
        |id: &str, agent: &Arc<Agent>, path: &str| desk.hold(id, question(agent, target("POST", path))).expect("a place");
    let mut asked = hold("A", &ours, "/repos/acme/x/issues");
    let mut fits = hold("B", &ours, "/repos/acme/y/issues");
    let away = target("POST", "/repos/acme/z/issues");
    let head = Print::of(&away, &[]);
    desk.ask_later("C", question(&ours, away), (head, head.with(&[1; 32]))).expect("a place");
    let _elsewhere = hold("D", &ours, "/repos/other/y/issues");
    let _another = hold("E", &agent(), "/repos/acme/y/issues");
    let form = Question { form: Methods::named(b"DELETE"), ..question(&ours, target("POST", "/repos/acme/y/issues")) };
    let _deleting = desk.hold("F", form).expect("a place");
    let _claimed = hold("G", &ours, "/repos/acme/y/issues");
    let claim = desk.claim("G", None).expect("it waits");
    drop(hold("H", &ours, "/repos/acme/y/issues"));
    let answer = Answer::Pattern("/repos/acme/*/issues".parse().expect("a pattern"), HOUR);
    allow(&desk, "A", &answer).expect("an answer");
    assert_eq!(kind(&asked.word().await), "allowed");
    let Word::Allowed(approved) = fits.word().await else { panic!("allowed") };
    assert_eq!((approved.how, &*approved.by, &*approved.id), (How::Grant, "boss", "A"));
    let shown = desk.find("B").expect("it is remembered");
    assert_eq!((shown.status, shown.by.as_deref()), (State::Allowed, Some("boss")));
    let later = desk.find("C").expect("it is remembered");
    assert!(later.status == State::Allowed && later.allowed_until.is_some() && !desk.expects(&ours, head), "{later:?}");
    drop(claim);
    for (id, state) in
        [("D", State::Waiting), ("E", State::Waiting), ("F", State::Waiting), ("G", State::Waiting), ("H", State::Left)]
    {
        assert_eq!(desk.find(id).expect("it is remembered").status, state, "{id}");
    }
    assert_eq!(desk.grants(now())[0].uses, 1, "the one that comes back has not gone on yet");
    let settled = std::iter::from_fn(|| notices.try_recv().ok()).filter(|notice| notice.body.contains("approval.settled"));
    assert_eq!(settled.count(), 4, "A, B, C and H");
}

#[tokio::test(start_paused = true)]
async fn who_did_not_wait_collects_once_the_very_same_request() {
    let (desk, _notices) = desk(10);
    let (ours, rule, place) = (agent(), rule(RULE), target("POST", "/x?a=1"));
    let print = |target: &Target, body: u8| Print::of(target, &[b"json", b""]).with(&[body; 32]);
    let head = Print::of(&place, &[b"json", b""]);
    let asked = desk.ask_later("A", question(&ours, place.clone()), (head, print(&place, 1))).expect("a place");
    assert_eq!((asked.status, asked.respond_async, asked.allowed_until), (State::Waiting, true, None));
    let collect = |print: Print| {
        desk.collect(
            &Passing { agent: &ours, rule: &rule, target: &place, connection: None, form: Methods::default() },
            print,
            now(),
        )
    };
    assert!(matches!(collect(print(&place, 1)), Some(Found::Waiting(shown)) if shown.id == "A"));
    assert!(allow(&desk, "A", &Answer::Once).expect("an answer").allowed_until.is_some(), "by then it must come back");
    assert!(desk.expects(&ours, head) && !desk.expects(&agent(), head));
    for other in [print(&place, 2), print(&target("POST", "/x?a=2"), 1), print(&target("PUT", "/x?a=1"), 1), head] {
        assert!(collect(other).is_none());
    }
    assert_ne!(Print::of(&place, &[b"js", b"on"]), head, "no part runs into the next");
    assert!(matches!(collect(print(&place, 1)), Some(Found::Allowed(_))));
    assert!(collect(print(&place, 1)).is_none() && !desk.expects(&ours, head), "once");
    let used = desk.find_of("A", &ours).expect("it is remembered");
    assert_eq!((used.status, used.allowed_until), (State::Used, None));
    assert!(desk.find_of("A", &agent()).is_none(), "another's is none");

    desk.ask_later("B", question(&ours, place.clone()), (head, print(&place, 1))).expect("a place");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(desk.find("B").expect("it is remembered").status, State::TimedOut);
    desk.ask_later("C", question(&ours, place.clone()), (head, print(&place, 1))).expect("a place");
    allow(&desk, "C", &Answer::Once).expect("an answer");
    tokio::time::advance(HOUR + Duration::from_secs(1)).await;
    assert!(collect(print(&place, 1)).is_none(), "what nobody collects lapses");
    assert_eq!(desk.find("C").expect("it is remembered").status, State::Left);
}

#[test]
fn where_nobody_can_answer_nobody_is_asked() {
    let (attention, _notices) =
        Attention::new(crate::attention::Settings { hold: Duration::ZERO, hold_limit: 0, agent_hold_limit: 0, tells: false });
    let desk = Approvals::new(Settings { hold_limit: 9, agent_hold_limit: 9 }, attention);
    let question = question(&agent(), target("POST", "/x"));
    assert_eq!(desk.hold("A", question).err(), Some(NotAsked::Nobody));
}

#[tokio::test]
async fn a_reply_must_be_signed_new_and_show_the_notices_own_word() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let key = || {
        let text = format!("whsec_{}", STANDARD.encode([7; 32]));
        crate::attention::Key::parse(&crate::model::Secret::new(text)).expect("a key")
    };
    let (attention, mut notices) =
        Attention::new(crate::attention::Settings { hold: Duration::ZERO, hold_limit: 0, agent_hold_limit: 0, tells: true });
    let desk = Approvals::new(Settings { hold_limit: 9, agent_hold_limit: 9 }, attention);
    desk.open(Some(ReplyTo { url: "https://gw.test".to_owned(), key: Arc::new(key()) }));
    let _waiting = desk.hold("A", question(&agent(), target("POST", "/x"))).expect("a place");
    let notice: serde_json::Value = serde_json::from_str(&notices.try_recv().expect("a notice").body).expect("JSON");
    assert_eq!(notice["data"]["reply_url"], "https://gw.test/api/approvals/A/reply");
    let token = notice["data"]["reply_token"].as_str().expect("a word");
    assert_eq!(desk.claim("A", Some("x")).err(), Some(NotDone::Unknown));
    drop(desk.claim("A", Some(token)).expect("the word of its notice"));

    let seconds = now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
    let signed = |at: u64, body: &str| {
        let notice = Notice { id: "msg_1".to_owned(), body: body.to_owned() };
        (at.to_string(), key().sign(&notice, at))
    };
    let check = |(timestamp, signature): &(String, String), id: &str, body: &str| {
        let reply = Reply { id, timestamp, signature, body: body.as_bytes() };
        desk.check(&reply, now()).is_ok()
    };
    let right = signed(seconds, "{}");
    assert!(check(&right, "msg_1", "{}"));
    let among = (right.0.clone(), format!("v1a,x v1,AAAA {}", right.1));
    assert!(check(&among, "msg_1", "{}"), "one of several");
    assert!(!check(&right, "msg_2", "{}") && !check(&right, "msg_1", "{ }"));
    assert!(!check(&(right.0.clone(), "v1,".to_owned()), "msg_1", "{}") && !check(&(String::new(), right.1), "msg_1", "{}"));
    assert!(!check(&signed(seconds - 301, "{}"), "msg_1", "{}") && !check(&signed(seconds + 400, "{}"), "msg_1", "{}"));
}
