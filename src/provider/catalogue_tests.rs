//! Tests of `catalogue`: the compiled-in files, and what a user's file may add.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::model::{Credential, Secret};

const ACME: &str = r#"
name  = "acme"
slots = ["authorization"]
[[inject]]
hosts    = ["api.acme.example"]
strategy = { bearer = "{api_key}" }
"#;

fn id(name: &str) -> ProviderId {
    name.parse().expect("a name")
}

fn credential(pairs: &[(&str, &str)]) -> Credential {
    let mut credential = Credential::default();
    for (name, value) in pairs {
        credential.set(name, Secret::new((*value).to_owned()));
    }
    credential
}

fn hosts_for(provider: &Provider, credential: &Credential) -> Vec<String> {
    let hosts = provider.bound_hosts(&|name| credential.field(name)).expect("binds");
    hosts.iter().map(ToString::to_string).collect()
}

fn add(hosts: &str, more: &str) -> Result<(), Error> {
    let text = ACME.replace(r#"["api.acme.example"]"#, hosts) + more;
    Catalogue::builtin().add("acme.toml", &text)
}

#[test]
fn every_file_of_the_folder_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/providers");
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    assert_eq!(names, builtin::FILES.iter().map(|(name, _text)| *name).collect::<Vec<_>>());
    assert_eq!(Catalogue::builtin().iter().count(), names.len());
}

#[test]
fn i2_no_compiled_in_file_takes_the_place_of_another() {
    let mut catalogue = Catalogue::default();
    let errors: Vec<String> = builtin::FILES
        .iter()
        .filter_map(|(file, text)| catalogue.add(file, text).err())
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(catalogue.iter().count(), builtin::FILES.len(), "each has a name of its own");
}

#[test]
fn dashes_and_underscores_name_the_same_provider() {
    let catalogue = Catalogue::builtin();
    assert_eq!(catalogue.get(&id("Google-Sheets")).map(|provider| provider.title.as_str()), Some("Google Sheets"));
    assert!(catalogue.is_builtin(&id("github")) && !catalogue.is_builtin(&id("acme")));
}

#[test]
fn i2_a_credential_reaches_only_the_hosts_of_its_kind_and_tenant() {
    let catalogue = Catalogue::builtin();
    let jira = catalogue.get(&id("jira")).expect("jira");
    let basic = credential(&[("username", "me@acme.example"), ("password", "t"), ("site", "acme")]);
    assert_eq!(hosts_for(jira, &basic), ["acme.atlassian.net", "api.atlassian.com"]);
    assert_eq!(hosts_for(jira, &credential(&[("access_token", "t"), ("site", "acme")])), ["api.atlassian.com"]);
    assert_eq!(hosts_for(jira, &credential(&[("username", "me"), ("password", "t")])), ["api.atlassian.com"]);
    // What is yet to be fetched (an access token) binds every host, but never a tenant that nobody named.
    assert_eq!(hosts_for(jira, &credential(&[("refresh_token", "r")])), ["api.atlassian.com"]);
    let bad = credential(&[("username", "me"), ("password", "t"), ("site", "evil.example/")]);
    assert!(jira.bound_hosts(&|name| bad.field(name)).is_err());
}

#[test]
fn i1_a_connection_is_known_by_what_was_sealed_with_it_and_else_by_its_files_hosts() {
    let catalogue = Catalogue::builtin();
    let mailchimp = catalogue.get(&id("mailchimp")).expect("mailchimp");
    let fields = credential(&[("api_key", "0123456789abcdef-us21"), ("dc", "us21")]);
    let fields = |name: &str| fields.field(name);
    let variable = mailchimp.placeholders.first().expect("a variable");
    let value = |sealed: Option<&[String]>| variable.value("tail", &fields, &mailchimp.hosts_of(sealed, &fields));
    assert_eq!(value(None), "tail-us21");
    assert_eq!(value(Some(&["us21.api.mailchimp.com".to_owned()])), "tail-us21");
    assert_eq!((value(Some(&["us2.api.mailchimp.com".to_owned()])), value(Some(&[]))), ("tail".to_owned(), "tail".to_owned()));
    // What may not be told is written as the file writes it.
    let named = mailchimp.bound_hosts(&fields).expect("binds");
    assert!(named.contains(&"us21.api.mailchimp.com".to_owned()));
    assert_eq!(mailchimp.open_hosts(&named, &named, &fields), named);
    let open = mailchimp.open_hosts(&named, &[], &fields);
    assert!(open.contains(&"{dc}.api.mailchimp.com".to_owned()) && !open.concat().contains("us21"), "{open:?}");
}

#[test]
fn i2_a_credential_for_a_server_of_ones_own_goes_to_no_other() {
    let catalogue = Catalogue::builtin();
    let gitlab = catalogue.get(&id("gitlab")).expect("gitlab");
    let own = credential(&[("api_key", "t"), ("refresh_token", "r"), ("host", "git.example.com")]);
    assert_eq!(hosts_for(gitlab, &own), ["git.example.com"]);
    assert!(gitlab.token_urls(&|name| own.field(name)).is_empty(), "the vendor's endpoint is not its own");
    let vendors = credential(&[("api_key", "t")]);
    assert_eq!(hosts_for(gitlab, &vendors), ["gitlab.com"]);
    assert_eq!(gitlab.token_urls(&|name| vendors.field(name)), ["https://gitlab.com/oauth/token"]);
    // Nothing was sealed: the fields decide all the same.
    let reaches = |credential: &Credential, host: &str| {
        gitlab.reaches(0, &host.parse().expect("a host"), None, &|name| credential.field(name))
    };
    assert!(reaches(&own, "git.example.com") && !reaches(&own, "gitlab.com"));
    assert!(reaches(&vendors, "gitlab.com") && !reaches(&vendors, "git.example.com"));
    let wordpress = catalogue.get(&id("wordpress")).expect("wordpress");
    let site = credential(&[("username", "me"), ("application_password", "p"), ("host", "www.example.com")]);
    assert_eq!(hosts_for(wordpress, &site), ["www.example.com"]);
    // A token without a tenant, where there is a server of one's own to name instead.
    let teamcity = catalogue.get(&id("teamcity")).expect("teamcity");
    assert!(hosts_for(teamcity, &credential(&[("api_key", "t")])).is_empty());
    assert_eq!(hosts_for(teamcity, &credential(&[("api_key", "t"), ("account", "acme")])), ["acme.teamcity.com"]);
    let nowhere = credential(&[("api_key", "t")]);
    assert!(!teamcity.inject[0].accepts(&|name| nowhere.field(name)));
}

#[test]
fn a_mailchimp_key_tells_its_data_centre() {
    let catalogue = Catalogue::builtin();
    let mailchimp = catalogue.get(&id("mailchimp")).expect("mailchimp");
    let mut key = credential(&[("api_key", "0123456789abcdef-us21")]);
    mailchimp.derive_fields(&mut key);
    assert_eq!(hosts_for(mailchimp, &key), ["us21.api.mailchimp.com"]);
    let mut given = credential(&[("api_key", "0123456789abcdef-us21"), ("dc", "us5")]);
    mailchimp.derive_fields(&mut given);
    assert_eq!(hosts_for(mailchimp, &given), ["us5.api.mailchimp.com"]);
    for odd in ["0123456789abcdef", "x-0123456789abcdef0123456789abcdef", "x-"] {
        let mut odd = credential(&[("api_key", odd)]);
        mailchimp.derive_fields(&mut odd);
        assert!(odd.field("dc").is_none());
    }
}

#[test]
fn i1_known_mints_are_marked() {
    let catalogue = Catalogue::builtin();
    let mints = |name: &str, method: &str, path: &str| {
        let method = method.parse().expect("a method");
        catalogue.get(&id(name)).expect("a provider").inject.iter().any(|rule| rule.mints(&method, path))
    };
    assert!(mints("github", "POST", "/app/installations/7/access_tokens"));
    assert!(mints("github", "PATCH", "/applications/abc/token"));
    assert!(mints("slack", "GET", "/api/tooling.tokens.rotate?x"));
    assert!(mints("openai", "POST", "/v1/realtime/client_secrets"));
    for path in [
        "/api/v4/projects/group%2Fproj/access_tokens",
        "/api/v4/projects/group%2Fproj/%61ccess_tokens",
        "/api/v4/projects/group%2Fproj/access_tokens;x",
        "/api/v4/%70rojects/group%2Fproj/deploy_tokens",
        "/api/v4//projects/group%252fproj/%61ccess_tokens;x",
    ] {
        assert!(mints("gitlab", "POST", path), "{path}");
    }
    assert!(!mints("gitlab", "POST", "/api/v4/projects/group%2Fproj/issues"));
    let ended = "/api/v4/personal_access_tokens/1";
    assert!(mints("gitlab", "DELETE", ended) && !mints("gitlab", "POST", ended));
    for query in ["_method=DELETE", "_method=POST&_method=delete", "method=POST&_method=DELETE"] {
        assert!(mints("gitlab", "POST", &format!("{ended}?{query}")), "{query}");
    }
    assert!(!mints("github", "GET", "/app/installations/7/access_tokens"));
    assert!(!mints("github", "GET", "/user") && !mints("slack", "POST", "/api/chat.postMessage"));
}

#[test]
fn the_longest_prefix_that_takes_a_path_is_known() {
    let catalogue = Catalogue::builtin();
    let longest = |name: &str, path: &str| {
        let provider = catalogue.get(&id(name)).expect("a provider");
        provider.inject.iter().filter_map(|rule| rule.path_specificity(path)).max()
    };
    assert_eq!(longest("google_drive", "/upload/drive/v3/files?uploadType=media"), Some(2));
    assert_eq!(longest("google_drive", "/youtube/v3/videos"), None);
    assert_eq!(longest("stripe", "/v1/charges"), Some(0));
}

#[test]
fn token_endpoints_are_known() {
    let catalogue = Catalogue::builtin();
    let endpoints = |name: &str| catalogue.get(&id(name)).expect("a provider").token_endpoints().collect::<Vec<_>>();
    let installation = "https://api.github.com/app/installations/{installation_id}/access_tokens";
    assert_eq!(endpoints("github_app"), [installation]);
    assert_eq!(endpoints("github"), ["https://github.com/login/oauth/access_token"]);
    assert_eq!(catalogue.get(&id("stripe")).expect("stripe").token_endpoints().count(), 0);
}

#[test]
fn required_headers_yield_to_the_callers() {
    let catalogue = Catalogue::builtin();
    let rule = &catalogue.get(&id("notion")).expect("notion").inject[0];
    let mut headers = http::HeaderMap::new();
    rule.add_headers(&mut headers);
    assert_eq!(headers["notion-version"], "2022-06-28");
    headers.insert("notion-version", http::HeaderValue::from_static("2025-09-03"));
    rule.add_headers(&mut headers);
    assert_eq!(headers.get_all("notion-version").iter().collect::<Vec<_>>(), ["2025-09-03"]);
}

#[test]
fn a_user_file_adds_a_provider() {
    assert!(add(r#"["api.acme.example"]"#, "").is_ok());
}

#[test]
fn i2_a_user_file_takes_neither_name_nor_host_of_another_provider() {
    let taken = Catalogue::builtin().add("github.toml", &ACME.replace("\"acme\"", "\"GitHub\""));
    assert!(matches!(taken, Err(Error::NameTaken { .. })), "{taken:?}");
    for hosts in
        [r#"["api.github.com"]"#, r#"["us1.api.mailchimp.com"]"#, r#"["{x}.api.mailchimp.com"]"#, r#"["{x}.github.com"]"#]
    {
        assert!(matches!(add(hosts, ""), Err(Error::HostTaken { .. })), "{hosts}");
    }
}

#[test]
fn i2_among_thousands_of_hosts_of_the_users_files_one_that_is_said_twice_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, hosts: Vec<String>| {
        let text = ACME.replace("\"acme\"", &format!("{name:?}")).replace("\"api.acme.example\"", &hosts.join(", "));
        fs::write(folder.path().join(format!("{name}.toml")), text).expect("written");
    };
    let hosts = |number: usize| (0..1000).map(|host| format!("\"h{host}.p{number}.example\"")).collect::<Vec<_>>();
    (0..20).for_each(|number| file(&format!("p{number:02}"), hosts(number)));
    file("q1", vec!["\"h999.p7.example\"".to_owned()]);
    file("q2", vec!["\"{x}.p8.example\"".to_owned()]);
    file("q3", vec!["\"h1000.p7.example\"".to_owned()]);
    let (catalogue, errors) = Catalogue::with_user_folder(folder.path());
    let taken: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(taken.len() == 2 && taken[0].contains("h999.p7.example") && taken[1].contains("{x}.p8.example"), "{taken:?}");
    assert_eq!(catalogue.hosts().count() - Catalogue::builtin().hosts().count(), 20_001);
}

#[test]
fn what_another_provider_has_is_shown_where_the_file_says_it() {
    let place = |text: &str| {
        let error = Catalogue::builtin().add("acme.toml", text).expect_err("refused");
        let mistake = error.mistake().expect("a place").clone();
        (text.lines().nth(mistake.line - 1).map(|line| line[mistake.column - 1..][..mistake.width].to_owned()), mistake.message)
    };
    let host = ACME.replace("api.acme.example", "API.GitHub.com");
    let (shown, said) = place(&host);
    assert_eq!(shown.as_deref(), Some("\"API.GitHub.com\""));
    assert!(said.starts_with("api.github.com belongs to github already"), "{said}");
    let (shown, said) = place(&format!("{ACME}[oauth2]\ntoken_url = 'https://api.github.com/user'\n"));
    assert_eq!(shown.as_deref(), Some("'https://api.github.com/user'"));
    assert!(said.contains("is a place of the API of github"), "{said}");
}

#[test]
fn i2_a_token_endpoint_takes_no_place_of_another_providers_api() {
    let endpoint = |url: &str| add(r#"["api.acme.example"]"#, &format!("[oauth2]\ntoken_url = \"{url}\""));
    for url in
        ["https://api.github.com/user", "https://acme.atlassian.net/rest/api/3", "https://slack.com/api/chat.postMessage"]
    {
        assert!(matches!(endpoint(url), Err(Error::EndpointTaken { .. })), "{url}");
    }
    for url in [
        "https://auth.acme.example/token",
        "https://github.com/acme/token",
        "https://slack.com/api/oauth.v2.access",
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
    ] {
        assert!(endpoint(url).is_ok(), "{url}: {:?}", endpoint(url));
    }
}

#[test]
fn another_port_or_path_prefix_tells_two_providers_apart() {
    assert!(add(r#"["api.github.com"]"#, "port = 8443").is_ok());
    assert!(add(r#"["www.googleapis.com"]"#, "paths = [\"/tasks/**\"]").is_ok());
    assert!(add(r#"["acme.atlassian.net"]"#, "paths = [\"/wiki/**\"]").is_ok());
    for paths in ["[\"/drive/**\"]", "[\"/drive/v3/**\", \"/drive/*\"]"] {
        assert!(
            matches!(add(r#"["www.googleapis.com"]"#, &format!("paths = {paths}")), Err(Error::HostTaken { .. })),
            "{paths}"
        );
    }
}

#[test]
fn a_folder_gives_its_good_files_and_tells_of_the_bad_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("written");
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o600)).expect("mode set");
    };
    put("acme.toml", ACME);
    put("bad.toml", "name = ");
    put("notes.txt", "no provider");
    put(".hidden.toml", "no provider");
    put("huge.toml", &"#".repeat(MAX_FILE + 1));
    put("open.toml", ACME);
    fs::set_permissions(folder.path().join("open.toml"), fs::Permissions::from_mode(0o666)).expect("mode set");
    std::os::unix::fs::symlink(folder.path().join("acme.toml"), folder.path().join("link.toml")).expect("linked");
    let (catalogue, errors) = Catalogue::with_user_folder(folder.path());
    assert!(catalogue.get(&id("acme")).is_some());
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    for (text, part) in
        texts.iter().zip(["bad.toml:1:", "huge.toml is larger", "link.toml is not taken", "open.toml is not taken"])
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_missing_folder_is_an_empty_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalogue, errors) = Catalogue::with_user_folder(&folder.path().join("none"));
    assert!(errors.is_empty() && catalogue.get(&id("github")).is_some());
}

#[test]
fn t146_a_folder_that_others_can_change_gives_nothing() {
    let parent = tempfile::tempdir().expect("a folder");
    let (folder, link) = (parent.path().join("providers"), parent.path().join("link"));
    fs::create_dir(&folder).expect("made");
    fs::write(folder.join("acme.toml"), ACME).expect("written");
    fs::set_permissions(folder.join("acme.toml"), fs::Permissions::from_mode(0o600)).expect("mode set");
    std::os::unix::fs::symlink(&folder, &link).expect("linked");
    let told = |folder: &Path| {
        let (catalogue, errors) = Catalogue::with_user_folder(folder);
        let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        (catalogue.get(&id("acme")).is_some(), text)
    };
    let mode = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("mode set");
    mode(0o755);
    assert_eq!(told(&folder), (true, String::new()));
    for open in [0o777, 0o775, 0o757] {
        mode(open);
        let (taken, text) = told(&folder);
        assert!(!taken && text.contains("providers is not taken: others can write it"), "{text}");
    }
    mode(0o700);
    let (taken, text) = told(&link);
    assert!(!taken && text.contains("link is not taken: it is not a folder"), "{text}");
}

#[test]
fn t146_what_belongs_to_another_user_gives_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acme.toml");
    fs::write(&file, ACME).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("mode set");
    if !rustix::process::geteuid().is_root() {
        return eprintln!("only root can give a file away");
    }
    for (path, name) in [(file.as_path(), "acme.toml"), (folder.path(), "")] {
        std::os::unix::fs::chown(path, Some(65534), None).expect("given away");
        let (catalogue, errors) = Catalogue::with_user_folder(folder.path());
        let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(catalogue.get(&id("acme")).is_none() && text.contains("belongs to another user"), "{text}");
        assert!(text.contains(name), "{text}");
        std::os::unix::fs::chown(path, Some(0), None).expect("taken back");
    }
}

#[test]
fn a_file_with_a_mistake_leaves_its_old_provider_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("written");
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o600)).expect("mode set");
    };
    put("acme.toml", ACME);
    put("gone.toml", &ACME.replace("\"acme\"", "\"gone\"").replace("acme.example", "gone.example"));
    let (before, errors) = Catalogue::with_user_folder(folder.path());
    assert!(errors.is_empty() && before.get(&id("gone")).is_some(), "{errors:?}");
    put("acme.toml", "");
    put("new.toml", &ACME.replace("\"acme\"", "\"new\"").replace("acme.example", "new.example"));
    fs::remove_file(folder.path().join("gone.toml")).expect("gone");
    let (after, errors) = before.again(folder.path());
    assert_eq!(errors.len(), 1, "{errors:?}");
    let there = |name: &str| after.get(&id(name)).is_some();
    assert_eq!((there("acme"), there("new"), there("gone")), (true, true, false));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("mode set");
    let (shut, errors) = after.again(folder.path());
    assert!(errors.len() == 1 && shut.get(&id("acme")).is_some() && shut.get(&id("new")).is_some(), "{errors:?}");
}

#[test]
fn i2_a_host_is_its_providers_whatever_the_port_path_or_purpose() {
    let mut catalogue = Catalogue::builtin();
    let own = "name = \"acme\"\nslots = [\"authorization\"]\n[[inject]]\nhosts = [\"api.acme.example\"]\nport = 8443\npaths = [\"/v1/**\"]\nstrategy = { bearer = \"{api_key}\" }\n";
    catalogue.add("acme.toml", own).unwrap();
    let whose = |host: &str| catalogue.whose(&host.parse().unwrap()).map(ToString::to_string);
    for host in ["api.github.com", "github.com", "oauth2.googleapis.com", "accounts.google.com", "api.acme.example"] {
        assert!(whose(host).is_some(), "{host}");
    }
    assert!(whose("our-team.atlassian.net").is_some() && whose("bucket.s3.eu-west-1.amazonaws.com").is_some());
    assert_eq!(whose("api.acme.test"), None);
    assert_eq!(whose("10.0.0.1"), None);
}
