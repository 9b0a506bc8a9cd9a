//! Mistakes in a provider file, and the files that ship.

use nexus::provider::{Catalogue, parse};

/// A valid file; the cases below break one thing of it each.
const ACME: &str = r#"name = "acme"
title = "Acme"
slots = ["authorization", "query:key"]

[oauth2]
token_url = "https://acme.example/token"

[[inject]]
hosts = ["api.acme.example"]
paths = ["/v1/**"]
strategy = { bearer = "{access_token}" }

[placeholder]
ACME_TOKEN = "acme_"
"#;

/// What to replace, by what, where the mistake is shown, what is said.
const BROKEN: &[(&str, &str, (usize, usize), &str)] = &[
    ("title =", "titel =", (2, 1), "unknown key `titel`; did you mean `title`?"),
    ("hosts =", "host =", (9, 1), "unknown key `host`; did you mean `hosts`?"),
    ("token_url =", "zzz = 1\ntoken_url =", (6, 1), "unknown key `zzz`"),
    ("\"acme\"", "\"acme", (1, 13), "invalid basic string, expected `\"`"),
    ("title = \"Acme\"", "title = \"Acme\"\ntitle = \"x\"", (3, 1), "duplicate key"),
    ("title = \"Acme\"", "title = 7", (2, 9), "expected a text, found integer"),
    ("title = \"Acme\"", "whoami = \"/v1/me\"", (2, 10), "expected GET, HEAD or POST, a space and an https:// URL"),
    ("title = \"Acme\"", "whoami = \"PUT https://api.acme.example/v1/me\"", (2, 10), "expected GET, HEAD or POST"),
    ("title = \"Acme\"", "whoami = \"GET http://api.acme.example/v1/me\"", (2, 10), "expected GET, HEAD or POST"),
    ("title = \"Acme\"", "whoami = \"GET https://api.acme.test/v1/me\"", (2, 10), "is not one of the hosts"),
    ("title = \"Acme\"", "whoami = \"GET https://api.acme.example:8443/v1/me\"", (2, 10), "with port 8443"),
    ("title = \"Acme\"", "whoami = \"GET https://api.acme.example/v2/me\"", (2, 10), "no [[inject]] of this host takes"),
    ("title = \"Acme\"", "whoami = \"GET /v2/me\"", (2, 10), "no [[inject]] takes the path"),
    ("title = \"Acme\"", "whoami = []", (2, 10), "must not be empty"),
    ("title = \"Acme\"", "whoami = [\"GET /v1/me\", \"GET /v2/me\"]", (2, 25), "no [[inject]] takes the path"),
    ("title = \"Acme\"", "whoami = [{ none = \"billed\" }]", (2, 13), "unknown key `none`"),
    ("title = \"Acme\"", "whoami = { none = \" \" }", (2, 19), "expected one line of text"),
    ("title = \"Acme\"", "whoami = { none = \"billed\", at = \"GET /v1/me\" }", (2, 29), "unknown key `at`"),
    ("title = \"Acme\"", "whoami = { json = \"{}\" }", (2, 10), "the key `at` is missing"),
    ("title = \"Acme\"", "whoami = { at = \"GET /v1/me\", json = \"{}\" }", (2, 17), "only a POST has a body"),
    ("title = \"Acme\"", "whoami = { at = \"POST /v1/me\", json = \"{\" }", (2, 39), "this is not JSON"),
    ("title = \"Acme\"", "whoami = { at = \"POST /v1/me\", form = \"x\" }", (2, 39), "expected a form, as in name=value"),
    ("title = \"Acme\"", "whoami = { at = \"POST /v1/me\", json = \"1\", form = \"a=\" }", (2, 51), "a request has one body"),
    (
        "title = \"Acme\"",
        "whoami = { at = \"POST /v1/me\", json = '{\"query\":\"mutation { x }\"}' }",
        (2, 39),
        "but this is a mutation",
    ),
    ("title = \"Acme\"", "whoami = \"GET /v1/{api_key}/me\"", (2, 10), "{api_key} is no [[field]] with secret = false"),
    ("title = \"Acme\"", "whoami = \"GET /v1/{team}/me\"", (2, 10), "{team} is no [[field]] with secret = false"),
    ("title = \"Acme\"", "whoami = \"GET /v1/me#x\"", (2, 10), "not a path that a request can have"),
    ("\"acme\"", "\"acme inc\"", (1, 8), "provider name \"acme inc\" is not valid"),
    ("\"acme\"", "\"other\"", (1, 8), "the provider other must be in a file called other.toml"),
    ("slots = [\"authorization\", \"query:key\"]\n", "", (1, 1), "the key `slots` is missing"),
    ("\"query:key\"", "\"body:key\"", (3, 27), "\"body\" is no kind of slot"),
    ("\"query:key\"", "\"Host\"", (3, 27), "host belongs to the connection or the message"),
    ("\"query:key\"", "\"proxy-authorization\"", (3, 27), "proxy-authorization belongs to the connection"),
    ("\"authorization\", ", "", (11, 23), "`slots` does not list authorization, so a caller's own credential could pass there"),
    ("https://acme.example/token", "http://acme.example/token", (6, 13), "must begin with https://"),
    ("https://acme.example/token", "https://me@acme.example/", (6, 13), "user information before the host is not allowed"),
    (
        "token\"\n",
        "token\"\nrevocation_url = \"https://evil.example/revoke\"\n",
        (7, 18),
        "tokens go to no other host than that of `token_url`",
    ),
    ("token\"\n", "token\"\nrevocation_url = \"http://acme.example/revoke\"\n", (7, 18), "must begin with https://"),
    ("token\"\n", "token\"\nissuer = \"acme\"\n", (7, 10), "must begin with https://"),
    ("token\"\n", "token\"\nauthorize_params = { nonce = \"1\" }\n", (7, 22), "nonce is nexus's own to set"),
    ("token_url", "device_url", (5, 1), "the key `token_url` is missing"),
    (
        "token\"\n",
        "token\"\nclient_authentication = \"basic\"\n",
        (7, 25),
        "expected one of client_secret_basic, client_secret_post, none",
    ),
    ("token\"\n", "token\"\nscopes = [\"a b\"]\n", (7, 11), "not a scope"),
    ("token\"\n", "token\"\nauthorize_params = { state = \"1\" }\n", (7, 22), "state is nexus's own to set"),
    ("api.acme.example", "*.acme.example", (9, 9), "a host cannot hold *"),
    ("api.acme.example", "{x}.co.uk", (9, 10), "anyone can register a name under co.uk"),
    ("api.acme.example", "{x}.github.io", (9, 10), "anyone can register a name under github.io"),
    ("api.acme.example", "{a}.{b}.acme.example", (9, 10), "a host can hold one {field}"),
    ("api.acme.example", "10.0.0.1", (9, 10), "a credential goes to a name, never to an address"),
    ("api.acme.example", "https://api.acme.example", (9, 10), "write the name alone, without https://, port or path"),
    ("api.acme.example", "nexus.internal", (9, 10), "this host is served by nexus itself"),
    ("[\"api.acme.example\"]", "[]", (9, 9), "must not be empty"),
    ("[\"api.acme.example\"]", "\"api.acme.example\"", (9, 9), "expected a list, found string"),
    ("/v1/**", "v1/**", (10, 10), "a path begins with /"),
    ("/v1/**", "/v1/**/x", (10, 10), "** can only be the last segment"),
    ("/v1/**", "/*v1", (10, 10), "* stands for a whole segment"),
    ("/v1/**", "/v1/%2e", (10, 10), "a path pattern is plain"),
    ("bearer", "barer", (11, 14), "unknown strategy `barer`; did you mean `bearer`?"),
    ("bearer", "path", (11, 21), "expected a table, found string"),
    (
        "{ bearer = \"{access_token}\" }",
        "{ path = { segment = 0, value = \"{api_key}\" } }",
        (11, 33),
        "expected the number of a segment from 1 to 16",
    ),
    (
        "{ bearer = \"{access_token}\" }",
        "{ json = { name = \"/a//b\", value = \"{api_key}\" } }",
        (11, 30),
        "is not the name of a query parameter or cookie",
    ),
    ("{ bearer = \"{access_token}\" }", "{}", (11, 12), "expected one strategy"),
    ("{ bearer = \"{access_token}\" }", "[]", (11, 12), "must not be empty"),
    ("{access_token}", "{acces_token}", (11, 23), "unknown field {acces_token}; did you mean `access_token`?"),
    ("{access_token}", "{client_secret}", (11, 23), "unknown field {client_secret}"),
    ("{access_token}", "{refresh_token}", (11, 23), "{refresh_token} is for renewals only"),
    ("{access_token}", "{access_token", (11, 23), "braces do not pair"),
    ("{access_token}", "static", (11, 23), "names no {field}"),
    ("{ bearer = \"{access_token}\" }", "{ basic = { username = \"x\" } }", (11, 22), "the key `password` is missing"),
    (
        "{ bearer = \"{access_token}\" }",
        "{ header = { name = \"content-length\", value = \"{api_key}\" } }",
        (11, 32),
        "content-length belongs to the connection or the message",
    ),
    (
        "{ bearer = \"{access_token}\" }",
        "{ query = { name = \"a&b\", value = \"{api_key}\" } }",
        (11, 31),
        "\"a&b\" is not the name",
    ),
    (
        "{ bearer = \"{access_token}\" }",
        "[{ bearer = \"{access_token}\" }, { basic = { username = \"\", password = \"{api_key}\" } }]",
        (11, 12),
        "two strategies write to authorization",
    ),
    ("hosts = [\"api.acme.example\"]", "hosts = [\"{api_key}.acme.example\"]", (11, 23), ""),
    ("}\" }\n", "}\" }\nheaders = { authorization = \"x\" }\n", (12, 13), "authorization is a slot"),
    ("}\" }\n", "}\" }\nheaders = { X-A = \"1\", x-a = \"2\" }\n", (12, 24), "x-a is there twice"),
    ("}\" }\n", "}\" }\nreplay = \"maybe\"\n", (12, 10), "expected one of all, safe, never"),
    ("}\" }\n", "}\" }\nport = 0\n", (12, 8), "expected a port from 1 to 65535"),
    ("}\" }\n", "}\" }\nport = 65536\n", (12, 8), "expected a port from 1 to 65535"),
    ("}\" }\n", "}\" }\nset_cookie = 1\n", (12, 14), "expected true or false, found integer"),
    ("}\" }\n", "}\" }\nmints = [\"FETCH /x\"]\n", (12, 10), "expected a method such as POST"),
    ("}\" }\n", "}\" }\nmints = [\"POST x\"]\n", (12, 10), "a path begins with /"),
    ("ACME_TOKEN", "acme_token", (14, 1), "a variable is upper-case letters, digits and _"),
    ("ACME_TOKEN", "LD_PRELOAD", (14, 1), "LD_PRELOAD steers programs"),
    ("ACME_TOKEN", "HTTPS_PROXY", (14, 1), "HTTPS_PROXY steers programs"),
    ("ACME_TOKEN", "PAGER", (14, 1), "PAGER steers programs"),
    ("ACME_TOKEN", "PATHEXT", (14, 1), "PATHEXT steers programs"),
    ("\"acme_\"", "\"$(id)\"", (14, 14), "a placeholder is visible ASCII"),
    ("\"acme_\"", "{ fix = \"x\" }", (14, 16), "unknown key `fix`; did you mean `fixed`?"),
    ("\"acme_\"", "{ suffix = \"-x\" }", (14, 14), "the key `prefix` is missing"),
    ("\"acme_\"", "{ prefix = \"a\", suffix = \"-{api_key}\" }", (14, 39), "{api_key} is no [[field]] with secret = false"),
    ("\"acme_\"", "{ prefix = \"a\", suffix = \"$(id)\" }", (14, 39), "a placeholder is visible ASCII"),
    ("\"acme_\"", "{ fixed = \"a\", suffix = \"-b\" }", (14, 38), "a fixed value has no suffix"),
    ("acme_\"\n", "acme_\"\n[[field]]\nname = \"Site\"\nprompt = \"Site\"\n", (16, 8), "a field's name is lower-case"),
    ("acme_\"\n", "acme_\"\n[[field]]\nname = \"site\"\n", (15, 1), "the key `prompt` is missing"),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credential\"\n[[inject]]",
        (9, 8),
        "expected one of client_credentials, account_credentials",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nscope = \"x\"\n[[inject]]",
        (10, 1),
        "unknown key `scope`; did you mean `scopes`?",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"http://x.example/\"\n[[inject]]",
        (10, 13),
        "must begin with https://",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"https://{x}.acme.example/t\"\n[[inject]]",
        (10, 13),
        "{x} is no field that a [[field]] declares",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nclient_authentication = \"none\"\n[[inject]]",
        (10, 25),
        "this grant is for clients that authenticate",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nclient_authentication = \"private_key_jwt\"\n[[inject]]",
        (8, 1),
        "the key `jwt` is missing",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nmethod = \"GET\"\n[[inject]]",
        (8, 1),
        "a query is no place for a secret",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nparams = { client_id = \"x\" }\n[[inject]]",
        (10, 12),
        "client_id is nexus's own to set",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nparams = { x = \"{client_secret}\" }\n[[inject]]",
        (10, 16),
        "{client_secret} does not go into a parameter or claim",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nparams = { x = \"{acount}\" }\n[[inject]]",
        (10, 16),
        "unknown field {acount}",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\nscopes = [\"a\"]\nparams = { scope = \"b\" }\n[[inject]]",
        (8, 1),
        "the scope is said twice",
    ),
    ("[[inject]]", "[[grant]]\nkind = \"token_exchange\"\n[[inject]]", (8, 1), "`params` must hold subject_token_type"),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"service_account\"\n[[inject]]",
        (8, 1),
        "this grant needs the field service_account_json, which no [[field]] declares",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"service_account\"\n[[field]]\nname = \"service_account_json\"\nprompt = \"Key\"\n[[inject]]",
        (8, 1),
        "service_account_json holds several lines: it needs file = true",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"service_account\"\nparams = { a = \"b\" }\n[[inject]]",
        (10, 10),
        "`params` has no meaning for a grant of the kind service_account",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"self_signed\"\ntoken_url = \"https://x.example/\"\n[[inject]]",
        (10, 13),
        "`token_url` has no meaning for a grant of the kind self_signed",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"jwt_bearer\"\njwt = { algorithm = \"none\", key = \"k\", lifetime_secs = 600 }\n[[inject]]",
        (10, 21),
        "expected one of RS256, ES256, HS256",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"jwt_bearer\"\njwt = { algorithm = \"RS256\", key = \"k\", lifetime_secs = 600 }\n[[inject]]",
        (10, 36),
        "no [[field]] of this name is declared",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"jwt_bearer\"\njwt = { algorithm = \"RS256\", key = \"k\", lifetime_secs = 60 }\n[[inject]]",
        (10, 57),
        "a signed token lives from 120 seconds to a day",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"jwt_bearer\"\njwt = { algorithm = \"HS256\", key = \"k\", key_form = \"pem\", lifetime_secs = 600 }\n[[field]]\nname = \"k\"\nprompt = \"Key\"\n[[inject]]",
        (10, 52),
        "HS256 signs with a shared secret",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"jwt_bearer\"\njwt = { algorithm = \"HS256\", key = \"k\", claims = { exp = \"1\" }, lifetime_secs = 600 }\n[[field]]\nname = \"k\"\nprompt = \"Key\"\n[[inject]]",
        (10, 52),
        "exp is nexus's own to set",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"https://{x}.acme.example/t\"\n[[field]]\nname = \"x\"\nprompt = \"X\"\n[[inject]]",
        (10, 13),
        "{x}.acme.example is not one of the hosts of any [[inject]]",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"https://{x}.co.uk/t\"\n[[field]]\nname = \"x\"\nprompt = \"X\"\n[[inject]]",
        (10, 13),
        "anyone can register a name under co.uk",
    ),
    (
        "[[inject]]",
        "[[grant]]\nkind = \"client_credentials\"\ntoken_url = \"https://{x}.acme.example:1/t\"\n[[field]]\nname = \"x\"\nprompt = \"X\"\n[[inject]]",
        (10, 13),
        "holds no port",
    ),
    (
        "[[inject]]\nhosts = [\"api.acme.example\"]\npaths = [\"/v1/**\"]\nstrategy = { bearer = \"{access_token}\" }",
        "[[grant]]\nkind = \"client_credentials\"\n[[field]]\nname = \"client_secret\"\nprompt = \"Secret\"\n[[inject]]\n\
         hosts = [\"api.acme.example\"]\nstrategy = { bearer = \"{client_secret}\" }",
        (15, 23),
        "{client_secret} is for renewals only",
    ),
    (
        "[[inject]]\nhosts = [\"api.acme.example\"]\npaths = [\"/v1/**\"]\nstrategy = { bearer = \"{access_token}\" }",
        "[[field]]\nname = \"k\"\nprompt = \"Key\"\nfile = true\n[[inject]]\n\
         hosts = [\"api.acme.example\"]\nstrategy = { bearer = \"{k}\" }",
        (14, 23),
        "{k} is what a file holds and never goes on a request",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_tokn = \"a\"\n[placeholder]",
        (14, 1),
        "unknown key `access_tokn`; did you mean `access_token`?",
    ),
    ("[placeholder]", "[[token_response]]\nlifetime_secs = 60\n[placeholder]", (13, 1), "the key `access_token` is missing"),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"$(id)\"\n[placeholder]",
        (14, 16),
        "a placeholder is visible ASCII",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = { jwt = \"RS512\" }\n[placeholder]",
        (14, 24),
        "expected one of RS256, ES256, HS256",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = { jwt = \"RS256\", claims = { exp = 1 } }\n[placeholder]",
        (14, 44),
        "exp is nexus's own to set",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = { jwt = \"RS256\", claims = { a = { b = { c = { d = {} } } } } }\n[placeholder]",
        (14, 66),
        "tables in tables",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nlifetime_secs = 0\n[placeholder]",
        (15, 17),
        "expected a number of seconds",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nlifetime_secs = 9999999\n[placeholder]",
        (15, 17),
        "lives for 30 days at most",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nshape = \"jwt\"\n[placeholder]",
        (15, 9),
        "expected one of oauth2, github_app",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nshape = \"github_app\"\nscope = \"\"\n[placeholder]",
        (16, 9),
        "`scope` is no part of an answer of the shape github_app",
    ),
    ("[placeholder]", "[[token_response]]\naccess_token = \"a\"\nat = []\n[placeholder]", (15, 6), "no place to answer at"),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nat = [\"https://acme.example/token\"]\n[placeholder]",
        (15, 7),
        "expected POST, a space and an https:// URL without port",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nat = [\"GET https://acme.example/token\"]\n[placeholder]",
        (15, 7),
        "expected POST",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nat = [\"POST https://acme.example:1/token\"]\n[placeholder]",
        (15, 7),
        "write the name alone, without",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nat = [\"POST https://*.acme.example/token\"]\n[placeholder]",
        (15, 7),
        "expected POST",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nat = [\"POST https://{x}.co.uk/token\"]\n[placeholder]",
        (15, 7),
        "anyone can register a name under co.uk",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nat = [\"POST https://api.acme.example/v1/token\"]\n[placeholder]",
        (15, 7),
        "name the path in its `mints`",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nmembers = { access_token = \"x\" }\n[placeholder]",
        (15, 13),
        "access_token is nexus's own to set",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nmembers = { x = 1.5 }\n[placeholder]",
        (15, 17),
        "expected a text, a whole number, true, false or a table",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nmembers = { x = \"{api_key}\" }\n[placeholder]",
        (15, 17),
        "{api_key} is no [[field]] with secret = false",
    ),
    (
        "[placeholder]",
        "[[token_response]]\naccess_token = \"a\"\nmembers = { x = \"https://{s}.evil.example/\" }\n[[field]]\nname = \"s\"\nprompt = \"S\"\nsecret = false\n[placeholder]",
        (15, 17),
        "{s}.evil.example is not one of the hosts",
    ),
    (
        "[placeholder]",
        "mints = [{ at = \"/v1/keys\", capture = { access_token = \"key\" } }]\n[placeholder]",
        (13, 17),
        "name the one method",
    ),
    ("[placeholder]", "mints = [{ at = \"POST /v1/keys\" }]\n[placeholder]", (13, 10), "the key `capture` is missing"),
    (
        "[placeholder]",
        "mints = [{ at = \"POST /v1/keys\", capture = { api_key = \"key\" } }]\n[placeholder]",
        (13, 44),
        "with these fields this [[inject]] puts no credential on requests",
    ),
    (
        "[placeholder]",
        "mints = [{ at = \"POST /v1/keys\", capture = { acess_token = \"key\" } }]\n[placeholder]",
        (13, 46),
        "acess_token is no field that a connection of this provider has",
    ),
    (
        "[placeholder]",
        "mints = [{ at = \"POST /v1/keys\", capture = { access_token = { member = \"k\", prefix = \"$(id)\" } } }]\n[placeholder]",
        (13, 86),
        "a placeholder is visible ASCII",
    ),
    (
        "[placeholder]",
        "mints = [{ at = \"POST /v1/keys\", capture = { access_token = \"k\" }, show = [] }]\n[placeholder]",
        (13, 68),
        "unknown key `show`; did you mean `shows`?",
    ),
    (
        "[placeholder]",
        "[[revocation]]\nat = [\"PUT https://acme.example/revoke\"]\n[placeholder]",
        (14, 7),
        "expected POST, GET or DELETE, a space and an https:// URL",
    ),
    ("[placeholder]", "[[revocation]]\nat = []\n[placeholder]", (14, 6), "must not be empty"),
    ("[placeholder]", "[[revocation]]\nmembers = {}\n[placeholder]", (13, 1), "the key `at` is missing"),
    (
        "[placeholder]",
        "[[revocation]]\nat = [\"POST https://acme.example/token\"]\n[placeholder]",
        (14, 7),
        "this is where tokens are asked for",
    ),
    (
        "[placeholder]",
        "[[revocation]]\nat = [\"GET https://api.acme.example/v1/revoke\"]\n[placeholder]",
        (14, 7),
        "name the path in its `mints`",
    ),
    (
        "[placeholder]",
        "[[revocation]]\nat = [\"POST https://acme.example/revoke\"]\nstatus = 204\nmembers = {}\n[placeholder]",
        (15, 10),
        "an answer 204 has no body",
    ),
    (
        "[placeholder]",
        "[[revocation]]\nat = [\"POST https://acme.example/revoke\"]\nstatus = 302\n[placeholder]",
        (15, 10),
        "expected 200 or 204",
    ),
    (
        "[placeholder]",
        "[[introspection]]\nat = [\"POST https://acme.example/look\"]\nmembers = { active = false }\n[placeholder]",
        (15, 13),
        "active is nexus's own to set",
    ),
    (
        "[placeholder]",
        "[[introspection]]\nat = [\"POST https://acme.example/look\"]\nstatus = 204\n[placeholder]",
        (15, 1),
        "unknown key `status`",
    ),
];

#[test]
fn the_example_is_valid() {
    let provider = parse("acme.toml", ACME).expect("valid");
    assert_eq!((provider.title.as_str(), provider.category.as_str(), provider.verified), ("Acme", "other", true));
    assert_eq!((provider.inject.len(), provider.inject[0].port), (1, 443));
}

#[test]
fn every_mistake_is_shown_at_its_place() {
    for (from, to, place, message) in BROKEN {
        let text = ACME.replacen(from, to, 1);
        assert_ne!(&text, ACME, "{from} is in the example");
        let text = if to.contains("{api_key}.") { text.replace("{access_token}", "{api_key}") } else { text };
        let message = if message.is_empty() { "{api_key} names a host, which everyone can see" } else { message };
        let error = parse("acme.toml", &text).expect_err(to);
        let mistake = error.mistake().expect("a place");
        assert_eq!((mistake.line, mistake.column), *place, "{error}");
        assert!(mistake.message.contains(message), "{error}\nexpected: {message}");
    }
}

#[test]
fn a_mistake_is_drawn_with_a_caret() {
    let error = parse("acme.toml", &ACME.replace("hosts =", "hosst =")).expect_err("a mistake");
    let shown = "acme.toml:9:1: unknown key `hosst`; did you mean `hosts`?\n  |\n9 | hosst = [\"api.acme.example\"]\n  | ^^^^^";
    assert_eq!(error.to_string(), shown);
}

#[test]
fn text_of_any_kind_is_refused_without_a_panic() {
    for text in ["", "\u{feff}", "=", "[", "name", "a = 1\0", "é = \"ü\"", "[[inject]]", "inject = 1", "name = \"\\u0000\""] {
        let error = parse("acme.toml", text).expect_err(text);
        assert!(!error.to_string().contains('\0'), "{text:?}");
    }
    for at in (0..ACME.len()).filter(|at| ACME.is_char_boundary(*at)) {
        drop(parse("acme.toml", &ACME[..at]));
        drop(parse("acme.toml", &format!("{}\u{1b}{}", &ACME[..at], &ACME[at..])).expect_err("a control character"));
    }
    assert!(parse("acme.toml", &" ".repeat(70_000)).expect_err("too large").to_string().contains("64 KiB"));
}

#[test]
fn the_worked_examples_of_the_catalogue_are_valid() {
    let text = include_str!("../../config/providers/README.md");
    let examples: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let name = example.split('"').nth(1).expect("a name");
        let provider = parse(&format!("{name}.toml"), example).unwrap_or_else(|error| panic!("{error}"));
        assert!(!provider.whoami.is_empty() && provider.console.is_some(), "{name}");
    }
}

#[test]
fn every_shipped_provider_is_valid_and_complete() {
    let catalogue = Catalogue::builtin();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/providers");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with("README.md") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let provider = parse(name, &text).unwrap_or_else(|error| panic!("{error}"));
        assert!(catalogue.is_builtin(&provider.id), "{name}");
    }
    for seed in [
        "github",
        "slack",
        "notion",
        "hubspot",
        "linear",
        "google-sheets",
        "google-drive",
        "stripe",
        "airtable",
        "brevo",
        "mailchimp",
        "apollo",
        "jira",
        "openai",
        "anthropic",
    ] {
        assert!(catalogue.get(&seed.parse().expect("a name")).is_some(), "{seed}");
    }
}

#[test]
fn a_file_without_a_token_endpoint_must_say_where_it_answers() {
    let text = ACME.replacen("[oauth2]\ntoken_url = \"https://acme.example/token\"\n", "", 1);
    let table = "[[token_response]]\naccess_token = \"acme_\"\n";
    let error = parse("acme.toml", &format!("{text}{table}")).expect_err("no place");
    assert!(error.to_string().contains("`at` must name one"), "{error}");
    let named = format!("{text}{table}at = [\"POST https://auth.acme.example/{{site}}/token\"]\n");
    let provider = parse("acme.toml", &named).expect("a place");
    assert_eq!(provider.token_responses[0].at[0].to_string(), "https://auth.acme.example/*/token");
    let own = parse("acme.toml", &format!("{ACME}{table}")).expect("the file's own");
    assert_eq!(own.token_responses[0].at[0].to_string(), "https://acme.example/token");
}
