#!/usr/bin/env python3
r"""Turn a list of providers (CSV) into the golden table of wire placements.

    python3 placements.py PROVIDERS_CSV > placements.json
    python3 placements.py --check PROVIDERS_CSV < placements.json
    python3 -m doctest placements.py

`placements.json`, beside this script, is what the provider files are held
against. It is made of the vendors' facts alone: this script never looks at a
provider file, so that a mistake there can't repeat itself here. The CSV has
one row per provider, to which the table ADDED below adds some; the columns that are read are

    name                    of the provider, as its file has it
    hosts                   separated by ";", `{label}` for a customer's label,
                            `{host}` for a host of the customer's own, also
                            `{NAME_host}` and `{NAME_x_host}`, which a file of
                            that name calls `host` and `x_host`
    placement               alternatives separated by " | ", each of parts
                            joined by " + ", in the grammar read below
    credential_fields       sets of field names, separated by " | "
    extra_required_headers  `Name: value`, separated by "; "

For every provider, and every alternative of its `placement` column, the output
has one JSON object (one per line, sorted by provider and alternative,
alternatives counted from 1; one for each path where the secret is a piece of
it):

    host, path    a request that belongs to the provider: its first usable
                  host; for `host/prefix` the path is prefix + "/probe"
    sent_path     the path on the wire, where it is another one
    tenant        the labels chosen for the braces in that host
    fields        sample values, one per {name} used by this entry
    headers       lower-case name -> exact value on the wire
    query         name -> percent-DECODED value
    json          place in a JSON body -> value
    form          name of a field of a form -> DECODED value
    strategy      for what is signed: which scheme, as provider files call it;
                  the values on the wire are for other tests to say
    says          a word that the description of that strategy holds
    signature     the slot that the signature goes to, where a vendor chose it
    required      further headers to add when the client sent none, exact value
    required_any  names of headers that must be present, but whose value the
                  catalog does not fix (a date, a user agent of one's own)

All but the first six are left out when empty.

The samples are visible ASCII. Those that go into a query, a form or Basic also
hold + / = & # ? ~ and the text "%2B", so that a missing, wrong or doubled
encoding shows; ":" is added where it is not in a Basic user name. The runs of
"~" and "?" make the base64 text contain "+" and "/", which tells the standard
alphabet from the URL-safe one. A field that is also a tenant label of the host
has the label as its value. A token that is signed on the spot stands for
itself: what goes on the wire is the field `jwt`.

What is left out, and why, goes to stderr. The grammar is read strictly: a text
that is neither understood nor listed in one of the tables below ends the run
with status 2. With --check, status 1 means that stdin is not the expected
output, byte for byte.
"""

import base64
import csv
import difflib
import json
import re
import sys

TENANT_LABEL = "acme"
OWN_HOST = "own.example.com"

COLUMNS = ("name", "hosts", "placement", "credential_fields", "extra_required_headers")

# Words that may stand before the credential in a header, exactly as written.
SCHEMES = (
    "", "Basic ", "Bearer ", "bearer ", "Token ", "token ", "Token token=",
    "Key ", "App ", "Bot ", "Ghost ", "FlyV1 ", "OAuth2 ", "SSWS ", "apikey ",
    "api-key ", "Klaviyo-API-Key ", "Zoho-oauthtoken ",
)

TEMPLATE = r"\{[a-z][a-z0-9_]*\}"

# Parts that sign: the shape of their argument, with the group that their
# description holds, and the scheme's name in provider files.
SIGNING = {
    "sigv4": (rf"service=(?:([a-z0-9]+)|{TEMPLATE}) region={TEMPLATE}", "aws_sigv4"),
    "oauth1": (r"\((?:TBA, )?(HMAC-SHA(?:1|256))\)", "oauth1"),
    "sharedkey": (r"\([^()]+\)()", "azure_shared_key"),
    "digest": (rf"{TEMPLATE}:{TEMPLATE}()", "digest"),
    "sas": (rf"{TEMPLATE}()", "azure_sas"),
}

# Alternatives that say more, or less, than what goes on one request:
# (provider, alternative) -> (text in the catalog, what it comes to, why).
# A text that no longer matches the catalog is an error; one that comes to
# nothing is left out.
READ_AS = {
    ("backblaze_b2", 1): (
        "basic {key_id}:{application_key} on b2_authorize_account"
        " + header Authorization: {account_token} elsewhere",
        "header Authorization: {account_token}",
        "the first of two steps is a log-in, whose reply brings the token for all others"),
    ("docker_hub", 1): (
        "basic {username}:{access_token} on the auth host"
        " + header Authorization: Bearer {registry_token} on the registry host",
        "basic {username}:{access_token}",
        "the second step's token is the caller's own, for one repository and five minutes"),
    ("ghcr", 1): (
        "basic {username}:{personal_access_token} on the token endpoint"
        " + header Authorization: Bearer {registry_token}",
        "header Authorization: Bearer {registry_token}",
        "the first of two steps is the token request, whose reply brings the token for all others"),
    ("algolia", 1): (
        "header X-Algolia-API-Key: {api_key} + header X-Algolia-Application-Id: {app_id}",
        "header X-Algolia-API-Key: {api_key}",
        "the application is a label of the host as well, and every SDK sends that header itself"),
    ("google_ads", 1): (
        "header Authorization: Bearer {access_token}",
        "header Authorization: Bearer {access_token} + header developer-token: {developer_token}",
        "the developer token is a secret of its own, though the catalog has it among the required headers"),
    ("matomo", 1): (
        "query token_auth={api_key}",
        "header Authorization: Bearer {api_key}",
        "since Matomo 5.4; tokens for secure requests only are refused in the query"),
    ("snowflake", 1): (
        "header Authorization: Bearer {access_token} + header X-Snowflake-Authorization-Token-Type: {kind}",
        "header Authorization: Bearer {access_token}",
        "the kind of the token is optional, no secret, and the caller's to say"),
    ("wix_stores", 1): (
        "header Authorization: {access_token} + header wix-site-id: {site_id}",
        "header Authorization: {access_token}",
        "the site is no secret and the caller's to say"),
    # A SAS token is a whole piece of query string (sv=..&sig=..). There is no
    # parameter called "sas" on the wire, so the catalog text is not literal.
    ("azure_storage", 3): (
        "query sas={sas_token}",
        "sas {sas_token}",
        "a SAS token is several query parameters as one string, not a parameter named sas"),
}

# Providers that are not in the catalog, as it would write them.
ADDED = [
    # "Sending messages using incoming webhooks" (api.slack.com): the URL is the credential, and nothing else of the request is.
    {"name": "slack_webhooks", "hosts": "hooks.slack.com", "extra_required_headers": "",
     "credential_fields": "team_id;webhook_id;secret",
     "placement": "path /services/{team_id}/{webhook_id}/{secret}"},
]

# Hosts of alternatives that are not for the provider's first one, as the catalog would write them.
PLACES = {
    ("amplitude", 2): "api2.amplitude.com",
    # The log-in's reply names hosts such as this one.
    ("backblaze_b2", 1): "api005.backblazeb2.com",
    ("docker_hub", 1): "{docker_hub_auth_host}",
    # Two labels of a cluster's name are one of a list of regions, such as this one.
    ("qdrant_cloud", 1): "{cluster}.us-east-1-0.aws.cloud.qdrant.io",
    ("qdrant_cloud", 2): "{cluster}.us-east-1-0.aws.cloud.qdrant.io",
    ("qdrant_cloud", 3): "api.cloud.qdrant.io",
}

# Required headers that are not for the proxy to add: provider -> (text in the
# catalog, what it comes to, why).
HEADERS_READ_AS = {
    "google_ads": (
        "developer-token: {developer_token}; login-customer-id: {manager_id}", "",
        "the first is a secret and placed, the second the caller's choice of an account"),
    "linkedin": (
        "LinkedIn-Version: {yyyymm} on /rest; X-Restli-Protocol-Version: 2.0.0", "",
        "both change how the caller's request is read"),
    "linkedin_ads": (
        "LinkedIn-Version: {yyyymm} on /rest; X-Restli-Protocol-Version: 2.0.0", "",
        "both change how the caller's request is read"),
    "pagerduty": (
        "Accept: application/vnd.pagerduty+json;version=2; From: {email} on writes", "",
        "media type and author are the caller's to say"),
    "pinecone": ("X-Pinecone-Api-Version: {yyyy-mm}", "", "optional, and changes how the caller's request is read"),
    "xero": ("xero-tenant-id: {tenant_id}", "", "the organisation is the caller's choice"),
}

# Items of extra_required_headers that need not be on every request: exact text.
CONDITIONAL_HEADERS = {
    "Output-Format: JSON (optional)": "optional",
    "Square-Version: {yyyy-mm-dd} (optional)": "optional",
    "orgId: {org_id} (optional)": "optional",
    "X-Goog-FieldMask on the new Places and Routes APIs (caller)": "the caller sends it, on some APIs",
}

# Header values that describe what is wanted instead of giving it: exact text.
FREE_VALUES = {
    "any value",
    "unique descriptive value",
    "identifying value",
    "app name with contact",
    "DiscordBot (url, version)",
    "2020-10-02 or newer",
    "{yyyy-mm-dd}",
    "{yyyy-mm}",
    "application/vnd.atlas.{yyyy-mm-dd}+json",
}

# Fields whose value the vendor restricts: (provider, field) -> sample.
FIXED_SAMPLES = {
    # The data centre (here the tenant label) is the part after the last dash.
    ("mailchimp", "api_key"): "sample-api_key-0A+/=:&%2B#~~~???-" + TENANT_LABEL,
    # Digits before a colon, which the service wants as it is.
    ("telegram", "bot_token"): "1234567890:sample-bot_token-0A_z",
}

FIELD = re.compile(r"\{([a-z][a-z0-9_]*)\}")
TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # a header name
HMAC = re.compile(r"\{hmac_\w+\([^{}]*\)\}")


class GrammarError(Exception):
    """A catalog text that this script does not understand."""


def part_kind(part):
    """Split a part into its kind and its argument.

    >>> part_kind("header X-Api-Key: {api_key}")
    ('header', 'X-Api-Key: {api_key}')
    >>> part_kind("basic :{pat}")
    ('basic', ':{pat}')
    >>> part_kind("cookie sid={sid}")
    Traceback (most recent call last):
    placements.GrammarError: unknown part 'cookie sid={sid}'
    """
    kind, _, argument = part.partition(" ")
    if kind not in ("header", "basic", "query", "path", "body_json", "body_form", *SIGNING) or not argument:
        raise GrammarError(f"unknown part {part!r}")
    return kind, argument


def parse_header(argument):
    """Read `NAME: template`; returns the lower-case name and the template.

    >>> parse_header("Authorization: Token token={api_key}")
    ('authorization', 'Token token={api_key}')
    >>> parse_header("x-api-key: {keystring}:{shared_secret}")
    ('x-api-key', '{keystring}:{shared_secret}')
    >>> parse_header('Authorization: OAuth a="{b}", c="{d}"')
    ('authorization', 'OAuth a="{b}", c="{d}"')
    >>> parse_header("Authorization: Beerer {api_key}")
    Traceback (most recent call last):
    placements.GrammarError: header 'Authorization: Beerer {api_key}'
    >>> parse_header("Authorization: {account_token} elsewhere")
    Traceback (most recent call last):
    placements.GrammarError: header 'Authorization: {account_token} elsewhere'
    """
    match = re.fullmatch(rf"({TOKEN}): (\S.*)", argument)
    if match:
        name, template = match.groups()
        schemes = "|".join(re.escape(scheme) for scheme in SCHEMES)
        pair = rf'[a-z_]+="{TEMPLATE}"'
        if (re.fullmatch(rf"(?:{schemes}){TEMPLATE}(?::{TEMPLATE})?", template)
                or re.fullmatch(rf"OAuth {pair}(?:, {pair})*", template)):
            return name.lower(), template
    raise GrammarError(f"header {argument!r}")


def parse_basic(argument):
    """Read `user:pass`; either side may be empty, a literal, or both mixed.

    >>> parse_basic("{email}/token:{api_token}")
    ('{email}/token', '{api_token}')
    >>> parse_basic("{api_key}:")
    ('{api_key}', '')
    >>> parse_basic(":{pat}")
    ('', '{pat}')
    >>> parse_basic("{user}:{key} on the auth host")
    Traceback (most recent call last):
    placements.GrammarError: basic '{user}:{key} on the auth host'
    """
    side = rf"(?:{TEMPLATE}|[A-Za-z0-9_/.-])*"
    match = re.fullmatch(rf"({side}):({side})", argument)
    if not match or not FIELD.search(argument):
        raise GrammarError(f"basic {argument!r}")
    return match.groups()


def parse_query(argument):
    """Read `name=template`.

    >>> parse_query("token_auth={api_key}")
    ('token_auth', '{api_key}')
    >>> parse_query("key={a}&x={b}")
    Traceback (most recent call last):
    placements.GrammarError: query 'key={a}&x={b}'
    """
    match = re.fullmatch(rf"([A-Za-z0-9_.-]+)=({TEMPLATE})", argument)
    if not match:
        raise GrammarError(f"query {argument!r}")
    return match.groups()


def parse_paths(argument):
    """Read `/a{b}/ and /c{d}/`: the beginnings of the paths, or a whole path
    whose last segments are all of the credential.

    >>> parse_paths("/bot{t}/ and /file/bot{t}/")
    ['/bot{t}/', '/file/bot{t}/']
    >>> parse_paths("/services/{a}/{b}")
    ['/services/{a}/{b}']
    >>> parse_paths("/bot{t}")
    Traceback (most recent call last):
    placements.GrammarError: path '/bot{t}'
    """
    beginnings = argument.split(" and ")
    shape = rf"(?:/[a-z]+)*/[a-z]*{TEMPLATE}/|(?:/[a-z]+)+(?:/{TEMPLATE})+"
    if not all(re.fullmatch(shape, begin) for begin in beginnings):
        raise GrammarError(f"path {argument!r}")
    return beginnings


def parse_json(argument):
    """Read `a.b[2]={c}`: the place as a JSON pointer, if it is not at the top.

    >>> parse_json("api_key={k}")
    ('api_key', '{k}')
    >>> parse_json("params.args[2]={k}")
    ('/params/args/2', '{k}')
    """
    match = re.fullmatch(rf"([a-z_]+(?:\.[a-z_]+)*(?:\[\d+\])?)=({TEMPLATE})", argument)
    if not match:
        raise GrammarError(f"body_json {argument!r}")
    steps = re.findall(r"[a-z_]+|\d+", match.group(1))
    return steps[0] if len(steps) == 1 else "/" + "/".join(steps), match.group(2)


def parse_signing(kind, argument):
    """Read the argument of a part that signs: the scheme, what it says, and
    the fields that the argument itself names.

    >>> parse_signing("sigv4", "service=s3 region={region}")
    ('aws_sigv4', 's3', [])
    >>> parse_signing("digest", "{public}:{private}")
    ('digest', '', ['public', 'private'])
    """
    shape, scheme = SIGNING[kind]
    match = re.fullmatch(shape, argument)
    if not match:
        raise GrammarError(f"{kind} {argument!r}")
    names = FIELD.findall(argument) if kind in ("digest", "sas") else []
    return scheme, match.group(1) or "", names


def parse_alternative(text):
    """Read one alternative; returns its parts.

    >>> parse_alternative("basic {u}:{p} + query apikey={k}")
    [('basic', ('{u}', '{p}')), ('query', ('apikey', '{k}'))]
    >>> parse_alternative("oauth1 (HMAC-SHA1)")
    [('sign', ('oauth1', 'HMAC-SHA1', [], ''))]
    >>> parse_alternative("query hash={hmac_sha1_hex(secret, key+time)} + header X-Key: {key}")
    [('sign', ('hmac', '', [], 'query:hash'))]
    >>> parse_alternative("header A: {b} + digest {c}:{d}")
    Traceback (most recent call last):
    placements.GrammarError: a signature and other parts mixed in 'header A: {b} + digest {c}:{d}'
    """
    parts, hmac = [], None
    for part in text.split(" + "):
        kind, argument = part_kind(HMAC.sub("{hmac}", part))
        if kind == "header":
            parts.append((kind, parse_header(argument)))
        elif kind == "basic":
            parts.append((kind, parse_basic(argument)))
        elif kind == "query":
            name, value = parse_query(argument)
            hmac = f"query:{name}" if value == "{hmac}" else hmac
            parts.append((kind, (name, value)))
        elif kind == "path":
            parts.append((kind, parse_paths(argument)))
        elif kind == "body_json":
            parts.append(("json", parse_json(argument)))
        elif kind == "body_form":
            parts.append(("form", parse_query(argument)))
        else:
            parts.append(("sign", (*parse_signing(kind, argument), "")))
    if hmac:
        # All parts are the scheme's: which of them are signed is not said.
        return [("sign", ("hmac", "", [], hmac))]
    if len(parts) > 1 and any(kind in ("sign", "path") for kind, _ in parts):
        raise GrammarError(f"a signature and other parts mixed in {text!r}")
    return parts


def field_set(text, number, count):
    """The fields of alternative `number` of `count`, from credential_fields:
    as many sets as alternatives stand side by side, else the last one is the
    last alternative's.

    >>> field_set("a;b | c", 2, 2)
    ['c']
    >>> field_set("a | b | c;d", 2, 2)
    ['c', 'd']
    >>> field_set("a | b | c;d", 1, 2)
    Traceback (most recent call last):
    placements.GrammarError: no set of fields for alternative 1 in 'a | b | c;d'
    """
    sets = [fields.split(";") for fields in text.split(" | ")]
    if len(sets) == count:
        return sets[number - 1]
    if number == count:
        return sets[-1]
    raise GrammarError(f"no set of fields for alternative {number} in {text!r}")


def pick_host(provider, hosts):
    """Choose the first usable host; returns (host, path, tenant).

    >>> pick_host("p", "api.example.com;b.example.com")
    ('api.example.com', '/probe', {})
    >>> pick_host("p", "api.example.com/ex/jira;{site}.example.net")
    ('api.example.com', '/ex/jira/probe', {})
    >>> pick_host("p", "{host}/wp-json;{app_id}-dsn.{zone}.example.net")
    ('acme-dsn.acme.example.net', '/probe', {'app_id': 'acme', 'zone': 'acme'})
    >>> pick_host("p", "{host}/ghost")
    ('own.example.com', '/ghost/probe', {'host': 'own.example.com'})
    >>> pick_host("q_registry", "{q_registry_host}")
    ('own.example.com', '/probe', {'host': 'own.example.com'})
    >>> pick_host("q", "{q_auth_host};{q_api_host}")
    ('own.example.com', '/probe', {'auth_host': 'own.example.com'})
    >>> pick_host("p", "{site}")
    Traceback (most recent call last):
    placements.GrammarError: host '{site}'
    """
    chosen = own = None
    for entry in hosts.split(";"):  # all of them are read, so that all are checked
        host, slash, rest = entry.partition("/")
        prefix = slash + rest
        if not re.fullmatch(r"(?:/[A-Za-z0-9._-]+)*", prefix):
            raise GrammarError(f"host {entry!r}")
        if match := re.fullmatch(rf"\{{(?:{provider}_)?((?:[a-z]+_)?host)\}}", host):
            own = own or (OWN_HOST, prefix + "/probe", {match.group(1): OWN_HOST})
            continue
        bound = FIELD.sub(TENANT_LABEL, host)
        if not re.fullmatch(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", bound):
            raise GrammarError(f"host {entry!r}")
        if chosen is None:
            tenant = {label: TENANT_LABEL for label in FIELD.findall(host)}
            chosen = bound, prefix + "/probe", tenant
    return chosen or own


def parse_required(text):
    """Read extra_required_headers: (exact, names with a free value, left out).

    >>> parse_required("Accept: a/b;version=2; Output-Format: JSON (optional)")
    ({'accept': 'a/b;version=2'}, [], [('Output-Format: JSON (optional)', 'optional')])
    >>> parse_required("Accept: application/x; version=3")
    ({'accept': 'application/x; version=3'}, [], [])
    >>> parse_required("a-token: {a_token}; User-Agent: any value")
    ({'a-token': '{a_token}'}, ['user-agent'], [])
    >>> parse_required("User-Agent: something nice")
    Traceback (most recent call last):
    placements.GrammarError: required header 'User-Agent: something nice'
    """
    exact, free, left_out = {}, [], []
    for item in re.split(rf"; (?={TOKEN}: )", text) if text else []:
        if item in CONDITIONAL_HEADERS:
            left_out.append((item, CONDITIONAL_HEADERS[item]))
            continue
        match = re.fullmatch(rf"({TOKEN}): (\S.*)", item)
        if not match:
            raise GrammarError(f"required header {item!r}")
        name, value = match.group(1).lower(), match.group(2)
        if name in exact or name in free:
            raise GrammarError(f"required header twice: {name!r}")
        if value in FREE_VALUES:
            free.append(name)
        elif re.fullmatch(rf"{TEMPLATE}|[A-Za-z0-9.+/;=-]+(?:; [a-z]+=[A-Za-z0-9]+)?", value):
            exact[name] = value
        else:
            raise GrammarError(f"required header {item!r}")
    return exact, sorted(free), left_out


def sample(field, encoded=False, user=False):
    """A sample value; `encoded` if it goes into Basic or a query, `user` if it
    is (also) in a Basic user name.

    >>> sample("api_key")
    'sample-api_key-0A_z.~'
    >>> sample("api_key", encoded=True)
    'sample-api_key-0A+/=:&%2B#~~~???'
    >>> sample("api_key", encoded=True, user=True)
    'sample-api_key-0A+/=&%2B#~~~???'
    >>> sample("email", encoded=True, user=True)
    'sample+email/0A=z@example.com'
    """
    if field == "email":
        return "sample+email/0A=z@example.com"
    if not encoded:
        return f"sample-{field}-0A_z.~"
    return f"sample-{field}-0A+/={'' if user else ':'}&%2B#~~~???"


def fill(template, fields):
    """Put the values into a template, in one pass.

    >>> fill("Bearer {a}:{b}", {"a": "{b}", "b": "2"})
    'Bearer {b}:2'
    """
    return FIELD.sub(lambda match: fields[match.group(1)], template)


def basic_value(user, password):
    """The value of an Authorization header for Basic (RFC 7617, UTF-8).

    >>> basic_value("Aladdin", "open sesame")
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='
    >>> basic_value("test", "123\\u00a3")
    'Basic dGVzdDoxMjPCow=='
    >>> basic_value("", "~~~???")
    'Basic On5+fj8/Pw=='
    """
    if ":" in user:
        raise GrammarError(f"colon in the user name {user!r}")
    pair = f"{user}:{password}".encode("utf-8")
    return "Basic " + base64.b64encode(pair).decode("ascii")


def choose_fields(provider, parts, required, tenant):
    """One sample value for every {name} in the parts and required headers.

    >>> choose_fields("p", [("header", ("x", "{a}")), ("header", ("y", "{t}"))], {"z": "{c}"}, {"t": "acme"})
    {'a': 'sample-a-0A_z.~', 'c': 'sample-c-0A_z.~', 't': 'acme'}
    """
    encoded, users, names = set(), set(), set()
    for template in required.values():
        names.update(FIELD.findall(template))
    for kind, argument in parts:
        if kind == "path":
            names.update(FIELD.findall(argument))
            continue
        if kind == "sign":
            names.update(argument[2])
            continue
        left, right = argument
        names.update(FIELD.findall(right))
        if kind == "basic":
            users.update(FIELD.findall(left))
        if kind in ("basic", "query", "form"):
            encoded.update(FIELD.findall(right))
    names |= users
    fields = {}
    for name in sorted(names):
        if name in tenant:
            fields[name] = tenant[name]
        elif (provider, name) in FIXED_SAMPLES:
            fields[name] = FIXED_SAMPLES[provider, name]
        else:
            fields[name] = sample(name, name in encoded | users, name in users)
    return fields


def build_entry(provider, number, place, parts, required, free):
    """One object of the output.

    >>> build_entry("p", 1, ("h.example", "/probe", {}), [("basic", ("", "{pat}")), ("query", ("k", "{key}"))], {}, [])["query"]
    {'k': 'sample-key-0A+/=:&%2B#~~~???'}
    >>> build_entry("p", 1, ("h.example", "/probe", {}), [("basic", ("", "{a}")), ("header", ("authorization", "{b}"))], {}, [])
    Traceback (most recent call last):
    placements.GrammarError: authorization is set twice
    """
    host, path, tenant = place
    fields = choose_fields(provider, parts, required, tenant)
    headers, query = {}, {}
    places = {"header": headers, "query": query, "json": {}, "form": {}}
    sent_path, scheme = None, ()
    for kind, argument in parts:
        if kind == "path":
            rest = "probe" if argument.endswith("/") else ""
            path, sent_path = FIELD.sub("theirs", argument) + rest, fill(argument, fields) + rest
            continue
        if kind == "sign":
            scheme = argument
            continue
        left, right = argument
        if kind == "basic":
            target, name = headers, "authorization"
            value = basic_value(fill(left, fields), fill(right, fields))
        else:
            target, name = places[kind], left
            value = fill(right, fields)
        if name in target:
            raise GrammarError(f"{name} is set twice")
        target[name] = value
    clash = set(headers) & (set(required) | set(free))
    if clash:
        raise GrammarError(f"{sorted(clash)} is both a credential and a required header")
    entry = {
        "provider": provider,
        "alternative": number,
        "host": host,
        "tenant": dict(sorted(tenant.items())),
        "path": path,
        "fields": fields,
        "headers": dict(sorted(headers.items())),
        "query": dict(sorted(query.items())),
    }
    if sent_path:
        entry["sent_path"] = sent_path
    entry.update({kind: dict(sorted(places[kind].items())) for kind in ("json", "form") if places[kind]})
    if scheme:
        word, says, _, signature = scheme
        told = {"strategy": word, "says": says, "signature": signature}
        entry.update({name: value for name, value in told.items() if value})
    if required:
        entry["required"] = {name: fill(required[name], fields) for name in sorted(required)}
    if free:
        entry["required_any"] = free
    return entry


def read_alternative(provider, number, text):
    """Parts of an alternative, or None, and what there is to say about it."""
    known, meant, why = READ_AS.get((provider, number), (text, text, None))
    if known != text:
        raise GrammarError(f"the alternative {number} has changed: {text!r}")
    return (None if meant is None else parse_alternative(meant)), why


def read_headers(provider, text):
    """The required headers of a row, and what there is to say about them."""
    known, meant, why = HEADERS_READ_AS.get(provider, (text, text, None))
    if known != text:
        raise GrammarError(f"the required headers have changed: {text!r}")
    return meant, why


def read_row(row):
    """Read one catalog row; returns (entries, notes for stderr).

    >>> entries, notes = read_row({"name": "p", "hosts": "h.example", "extra_required_headers": "",
    ...     "credential_fields": "t | u;v", "placement": "header Authorization: Bearer {t} | oauth1 (HMAC-SHA1)"})
    >>> entries[0]["headers"]
    {'authorization': 'Bearer sample-t-0A_z.~'}
    >>> entries[1]["strategy"], sorted(entries[1]["fields"])
    ('oauth1', ['u', 'v'])
    """
    provider = row["name"]
    if not re.fullmatch(r"[a-z0-9_]+", provider):
        raise GrammarError(f"name {provider!r}")
    place = pick_host(provider, row["hosts"])
    headers, headers_why = read_headers(provider, row["extra_required_headers"])
    required, free, left_out = parse_required(headers)
    entries, notes = [], [f"{provider}: required headers read otherwise: {headers_why}"] if headers_why else []
    alternatives = row["placement"].split(" | ")
    for number, text in enumerate(alternatives, 1):
        parts, why = read_alternative(provider, number, text)
        if why:
            notes.append(f"{provider}: alternative {number} {'read otherwise' if parts else 'skipped'}: {why}")
        if parts is None:
            continue
        here = place
        if (provider, number) in PLACES:
            here = pick_host(provider, PLACES[provider, number])
        for kind, argument in parts:
            if kind == "sign" and not argument[2]:
                argument[2].extend(field_set(row["credential_fields"], number, len(alternatives)))
        paths = [begins for kind, begins in parts if kind == "path"]
        for ways in [[("path", begin)] for begins in paths for begin in begins] or [parts]:
            entries.append(build_entry(provider, number, here, ways, required, free))
    notes.extend(f"{provider}: required header left out: {item} ({why})" for item, why in left_out)
    return entries, notes


def read_catalog(path):
    """Read the whole file; returns (entries, notes for stderr)."""
    with open(path, encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise GrammarError(f"{path}: these columns are needed: {', '.join(COLUMNS)}")
        rows = list(reader)
    rows += ADDED
    seen, entries, notes = set(), [], []
    for row in sorted(rows, key=lambda row: row["name"]):
        try:
            if None in row or None in row.values():
                raise GrammarError("wrong number of cells")
            if row["name"] in seen:
                raise GrammarError("provider listed twice")
            seen.add(row["name"])
            row_entries, row_notes = read_row(row)
        except GrammarError as error:
            raise GrammarError(f"{row['name']}: {error}") from None
        for entry in row_entries:
            values = [*entry["fields"].values()]
            if len(set(values)) != len(values) or not all(re.fullmatch(r"[!-~]+", v) for v in values):
                raise GrammarError(f"{row['name']}: the sample values are not distinct visible ASCII")
        entries.extend(row_entries)
        notes.extend(row_notes)
    covered = len({entry["provider"] for entry in entries})
    notes.append(f"{len(entries)} entries, {covered} of {len(seen)} providers")
    return entries, notes


def render(entries):
    """The JSON text, one entry per line.

    >>> print(render([{"a": 1}, {"b": {}}]), end="")
    [
    {"a":1},
    {"b":{}}
    ]
    """
    lines = [json.dumps(entry, separators=(",", ":")) for entry in entries]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def main(arguments):
    check = "--check" in arguments
    paths = [argument for argument in arguments if argument != "--check"]
    if len(paths) != 1 or paths[0].startswith("-"):
        print("usage: placements.py [--check] PROVIDERS_CSV", file=sys.stderr)
        return 2
    try:
        entries, notes = read_catalog(paths[0])
    except (GrammarError, OSError, UnicodeDecodeError, csv.Error) as error:
        print(f"placements.py: {error}", file=sys.stderr)
        return 2
    text = render(entries)
    if check:
        given = sys.stdin.buffer.read()
        if given == text.encode("ascii"):
            return 0
        diff = difflib.unified_diff(
            given.decode("utf-8", "replace").splitlines(), text.splitlines(),
            "stdin", "expected", n=0, lineterm="")
        print("\n".join(diff) or "only line ends or undecodable bytes differ", file=sys.stderr)
        return 1
    sys.stdout.write(text)
    for note in notes:
        print(note, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
