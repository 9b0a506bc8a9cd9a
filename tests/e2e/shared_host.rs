//! A host that several providers share: what a caller sends passes in no slot of any of them (I3), whichever the request is for.

use http::Method;

use crate::attack::talk;
use crate::harness::{Authority, Builder, Caller, Nexus, Offers, Seen, Upstream, answer, empty, full, request, run};

const DRIVE: &str = "www.googleapis.com";
const SITE: &str = "acme.atlassian.net";
const STOLEN: &str = "STOLEN-BY-SOMEBODY-0123456789";

/// A user's provider beside the one for Drive that ships.
const FITNESS: &str = r#"
name = "fitness"
title = "Fitness"
slots = ["x-fitness-key", "query:fit", "cookie:fit"]
[[inject]]
hosts = ["www.googleapis.com"]
paths = ["/fitness/**"]
strategy = { header = { name = "x-fitness-key", value = "{api_key}" } }
"#;

/// A user's provider that spells out a host which ships as a tenant's.
const WIKI: &str = r#"
name = "wiki"
title = "Wiki"
slots = ["x-wiki-token", "cookie:wiki"]
[[inject]]
hosts = ["acme.atlassian.net"]
paths = ["/plugins/**"]
strategy = { header = { name = "x-wiki-token", value = "{api_key}" } }
mints = ["POST /plugins/rest/mint"]
"#;

const JIRA_FIELDS: [(&str, &str); 3] =
    [("username", "me@acme.test"), ("password", "own-password-0123456789"), ("site", "acme")];

async fn scene(register: impl FnOnce(Builder) -> Builder) -> (Upstream, Nexus) {
    let ca = Authority::new();
    let service = Upstream::serve(&ca, &[DRIVE, SITE], Offers::Http1, |_call| async { answer(200, "") }).await;
    let builder = Builder::new(&ca).provider("fitness", FITNESS).provider("wiki", WIKI);
    let builder = builder.resolve(DRIVE, service.address).resolve(SITE, service.address);
    let nexus = register(builder).start();
    (service, nexus)
}

/// A request with something stolen in the slots of both providers of the host.
async fn steal(nexus: &Nexus, host: &str, path: &str) -> u16 {
    let (names, parameters, cookies) = if host == DRIVE {
        (["x-goog-api-key", "X-Fitness-Key", "x_fitness_key"], &["key", "access_token", "fit", "f%69t"][..], ["fit", " fit"])
    } else {
        (["X-Wiki-Token", "x_wiki_token", "x-wiki-token"], &["jwt", "os_password"][..], ["wiki", "JSESSIONID"])
    };
    let names = ["Authorization"].into_iter().chain(names);
    let fields: String = names.map(|name| format!("{name}: Bearer {STOLEN}\r\n")).collect();
    let query: String = parameters.iter().map(|name| format!("{name}={STOLEN}&")).collect();
    let cookies = cookies.map(|name| format!("{name}={STOLEN}; ")).concat() + "kept=2";
    let bytes = format!(
        "GET {path}?{query}kept=1 HTTP/1.1\r\nHost: {host}\r\n{fields}Proxy-Authorization: Basic {STOLEN}\r\nCookie: {cookies}\r\n\
         Connection: close\r\n\r\n"
    );
    talk(Caller::new(nexus).tls(host, &[]).await, bytes.as_bytes()).await.status()
}

fn clean(service: &Upstream) -> Seen {
    let seen = service.seen().pop().expect("a request");
    let text = format!("{seen:?}");
    assert!(!text.contains("STOLEN") && text.contains("kept=1") && text.contains("kept=2"), "{text}");
    seen
}

#[test]
fn i3_a_credential_passes_in_no_slot_of_a_provider_that_shares_the_host() {
    run(async {
        let (service, nexus) = scene(|builder| {
            let builder = builder.register("fitness", &[("api_key", "own-fitness-key-0123456789")]);
            let builder = builder.register("google_drive", &[("access_token", "own-drive-token-0123456789")]);
            builder.register("wiki", &[("api_key", "own-wiki-key-0123456789")]).register("jira", &JIRA_FIELDS)
        })
        .await;
        assert_eq!(steal(&nexus, DRIVE, "/drive/v3/files").await, 200);
        let seen = clean(&service);
        assert_eq!((seen.bearer(), seen.header("x-fitness-key")), (Some("own-drive-token-0123456789"), None));
        assert_eq!(steal(&nexus, DRIVE, "/fitness/v1/users").await, 200);
        let seen = clean(&service);
        assert_eq!((seen.bearer(), seen.header("x-fitness-key")), (None, Some("own-fitness-key-0123456789")));
        assert_eq!(steal(&nexus, DRIVE, "/discovery/v1/apis").await, 200);
        assert_eq!(clean(&service).header("x-fitness-key"), None);
        assert_eq!(steal(&nexus, SITE, "/plugins/rest/api/content").await, 200);
        let seen = clean(&service);
        assert_eq!((seen.header("authorization"), seen.header("x-wiki-token")), (None, Some("own-wiki-key-0123456789")));
        assert_eq!(steal(&nexus, SITE, "/rest/api/3/myself").await, 200);
        let seen = clean(&service);
        assert!(seen.header("authorization").is_some_and(|value| value.starts_with("Basic ")), "{seen:?}");
        assert_eq!(seen.header("x-wiki-token"), None);
    });
}

#[test]
fn i3_one_connection_on_the_host_is_enough_for_paths_of_nobody() {
    run(async {
        let (service, nexus) =
            scene(|builder| builder.register("google_drive", &[("access_token", "own-drive-token-0123456789")])).await;
        assert_eq!(steal(&nexus, DRIVE, "/discovery/v1/apis").await, 200);
        let _seen = clean(&service);
        // Nobody registered anything for this host: what goes there is the caller's own affair.
        assert_eq!(steal(&nexus, SITE, "/login").await, 200);
        let seen = service.seen().pop().expect("a request");
        assert!(format!("{seen:?}").contains("STOLEN"), "{seen:?}");
    });
}

#[test]
fn i1_what_mints_at_a_tenants_host_mints_there_too_when_another_provider_spells_it_out() {
    run(async {
        let (service, nexus) = scene(|builder| builder.register("jira", &JIRA_FIELDS)).await;
        for path in ["/rest/auth/1/session", "/plugins/rest/mint"] {
            let reply = Caller::new(&nexus).send(request(Method::POST, &format!("https://{SITE}{path}"), empty())).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{path}: {reply:?}");
        }
        assert_eq!(service.count(), 0);
    });
}

#[test]
fn t45_a_token_endpoint_of_several_providers_is_for_no_caller_once_one_has_a_connection() {
    run(async {
        const TOKEN: &str = "oauth2.googleapis.com";
        let ca = Authority::new();
        let service = Upstream::serve(&ca, &[TOKEN], Offers::Http1, |_call| async { answer(200, "") }).await;
        let ask = async |builder: Builder| {
            let builder = builder.config("[proxy]\nlog_ins = \"pass\"");
            let nexus = builder.resolve(TOKEN, service.address).start();
            let code = full("grant_type=authorization_code&code=theirs");
            Caller::new(&nexus).send(request(Method::POST, &format!("https://{TOKEN}/token"), code)).await
        };
        assert_eq!(ask(Builder::new(&ca)).await.status, 200);
        for provider in ["google_drive", "google_sheets"] {
            let reply = ask(Builder::new(&ca).register(provider, &[("access_token", "own-token-0123456789")])).await;
            assert_eq!((reply.status, reply.refusal()), (403, Some("policy")), "{provider}: {reply:?}");
        }
        assert_eq!(service.count(), 1);
    });
}

#[test]
fn i1_a_placeholder_of_a_neighbour_is_never_forwarded() {
    run(async {
        let (service, nexus) =
            scene(|builder| builder.register("google_drive", &[("access_token", "own-drive-token-0123456789")])).await;
        let tail = nexus.placeholder_key().tail(&"local".parse().expect("a name"), &"google_drive".parse().expect("a handle"));
        let mut asked = request(Method::GET, &format!("https://{DRIVE}/fitness/v1/users"), empty());
        asked.headers_mut().insert("authorization", format!("Bearer {tail}").parse().expect("a value"));
        let reply = Caller::new(&nexus).send(asked).await;
        assert_eq!((reply.status, reply.refusal(), service.count()), (403, Some("auth_required"), 0), "{reply:?}");
    });
}

#[test]
fn i3_one_connection_on_the_host_is_enough_for_paths_of_a_provider_without_one() {
    run(async {
        let (service, nexus) =
            scene(|builder| builder.register("google_drive", &[("access_token", "own-drive-token-0123456789")])).await;
        let answered = steal(&nexus, DRIVE, "/fitness/v1/users").await;
        assert_eq!((answered, service.count()), (403, 0), "{:?}", service.seen());
        // Where nobody registered anything, it is the caller's own affair.
        assert_eq!(steal(&nexus, SITE, "/plugins/rest/api/content").await, 200);
        assert_eq!(service.count(), 1);
    });
}
