//! What the strict head accepts, other careful readers read identically: h11, llhttp, and the HTTP engine behind the gate.
//!
//! Needs what `tests/install.sh` installs: Node, whose built-in parser is llhttp, and Python with h11 in `target/test-venv`.

#![expect(clippy::indexing_slicing, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nexus::fuzzing::{read_requests, serve_requests};
use serde_json::{Value, json};

const INPUTS: usize = 10_000;

/// splitmix64: the same inputs in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.roll() % count as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn text(&mut self, alphabet: &[u8], most: usize) -> String {
        let count = self.below(most + 1);
        (0..count).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }
}

const METHODS: &[&str] = &["GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "REPORT", "M-SEARCH"];
const TARGET: &[u8] = b"abcXYZ019-._~!$&'()*+,;=:@/?%|{}[]^\\\"`<>#";
const VALUE: &[u8] = b"abcXYZ019 \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const FIELDS: &[&str] = &[
    "Connection: keep-alive",
    "Connection: Host",
    "connection: a, b",
    "Expect: 100-continue",
    "Expect: x",
    "Content-Length: 0",
    "Content-Length: +1",
    "content-length:\t0",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked, chunked",
    "Upgrade: h2c",
    "X : y",
    "X\t: y",
    " folded",
    "\tfolded: x",
    "X",
    ":",
    ": x",
    "TE: trailers",
    "Accept:*/*",
    "accept:  */*  ",
    "Cookie: a=b; c=\"d\"",
    "X-A: \u{e9}",
    "X-A: \u{1}",
    "X-A: a\rb",
    "X-A: a\nb",
    "X-A:",
    "X-A: ",
    "X-A: \t",
    "!#$%&'*+-.^_`|~09: x",
    "(X): y",
    "Host: b",
    "Trailer: X-T",
    "Proxy-Authorization: Basic YTpi",
    "Authorization: Bearer x",
    "Keep-Alive: timeout=5",
    "Date: Thu, 01 Jan 1970 00:00:00 GMT",
];
const TRAILERS: &[&str] =
    &["X-T: 1", "grpc-status: 0", "X-T:", "Host: x", "Content-Length: 3", "X T: 1", " X: 1", "Authorization: x"];

fn target(dice: &mut Dice) -> String {
    let path = if dice.one_in(10) { dice.text(TARGET, 12) } else { dice.text(&TARGET[..26], 12) };
    match dice.below(12) {
        0 => format!("http://a.example/{path}"),
        1 => format!("http://a.example:{}", dice.pick(&["80", "", "080", "99999", "1/x"])),
        2 => dice
            .pick(&["*", "a", "//a/b", "http://u@a/", "ftp://a/", "HTTP://a.example/", "/\u{e9}", "a.example:443"])
            .to_owned(),
        _ => format!("/{path}"),
    }
}

fn chunked(dice: &mut Dice) -> String {
    let mut body = String::new();
    for _ in 0..dice.below(4) {
        let data = dice.text(VALUE, 20).replace(['\t'], "x") + "y";
        let size = dice.pick(&["", "", "", "0", "000", "+", " "]).to_owned() + &format!("{:x}", data.len());
        let size = if dice.one_in(3) { size.to_uppercase() } else { size };
        let extension = dice.pick(&["", "", "", "", ";a", ";a=b", ";a=\"b c\"", ";a=\"\\\"\"", ";", ";a=", "; a", " ", ";a\n"]);
        let end = if dice.one_in(30) { "\n" } else { "\r\n" };
        body += &format!("{size}{extension}{end}{data}\r\n");
    }
    body += dice.pick(&["0", "0", "0", "00", "0;x", ""]);
    body += "\r\n";
    for _ in 0..if dice.one_in(3) { dice.below(3) } else { 0 } {
        body = body + dice.pick(TRAILERS) + "\r\n";
    }
    body + "\r\n"
}

/// A body, mostly framed as the fields it adds say.
fn body(dice: &mut Dice, lines: &mut Vec<String>) -> String {
    match dice.below(4) {
        0 => {
            let body = dice.text(VALUE, 30);
            let length = if dice.one_in(10) { format!("0{}", body.len()) } else { body.len().to_string() };
            lines.push(format!("Content-Length: {length}"));
            body
        }
        1 => {
            lines.push(
                dice.pick(&["Transfer-Encoding: chunked", "transfer-encoding:CHUNKED", "Transfer-Encoding: chunked "])
                    .to_owned(),
            );
            chunked(dice)
        }
        _ => String::new(),
    }
}

fn request(dice: &mut Dice) -> String {
    if dice.one_in(25) {
        let authority = dice.pick(&["a.example:443", "[::1]:443", "a@b:1", "/", "a.example:99999"]);
        return format!("CONNECT {authority} HTTP/1.1\r\nHost: a.example\r\n\r\n");
    }
    let mut lines = vec![
        dice.pick(&[
            "Host: a.example",
            "Host: a.example",
            "host:a.example:8080",
            "Host: [::1]",
            "Host: a",
            "host: A.b",
            "Host: a.example:1",
            "Host: a b",
            "A: b",
        ])
        .to_owned(),
    ];
    for _ in 0..dice.below(5) {
        let common = if dice.one_in(4) {
            dice.pick(FIELDS).to_owned()
        } else {
            format!("X-{}: {}", dice.below(3), dice.text(VALUE, 15))
        };
        let at = dice.below(lines.len() + 1);
        lines.insert(at, common);
    }
    let body = body(dice, &mut lines);
    let version = if dice.one_in(8) { dice.pick(&["1.0", "1.2"]) } else { "1.1" };
    let method = if dice.one_in(20) { dice.pick(&["get", "G(T", "", "BREW"]) } else { dice.pick(METHODS) };
    format!("{method} {} HTTP/{version}\r\n{}\r\n\r\n{body}", target(dice), lines.join("\r\n"))
}

fn input(dice: &mut Dice) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=dice.below(3)).flat_map(|_| request(dice).into_bytes()).collect();
    for _ in 0..if dice.one_in(4) { 1 + dice.below(3) } else { 0 } {
        let odd = b"\r\n\0 \t:;,=\"x0f\x80\x7f/"[dice.below(16)];
        let at = dice.below(bytes.len());
        match dice.below(3) {
            0 => bytes[at] = odd,
            1 => bytes.insert(at, odd),
            _ => drop(bytes.remove(at)),
        }
    }
    bytes
}

/// One message that we accepted, as we read it, and where it stood.
struct Accepted {
    message: Vec<u8>,
    rest: Vec<u8>,
    reading: Value,
}

fn accepted(bytes: &[u8], readings: &[Value]) -> Vec<Accepted> {
    let mut start = 0;
    let mut all = Vec::new();
    for reading in readings {
        let end = usize::try_from(reading["end"].as_u64().expect("a position")).expect("a position");
        let mut reading = reading.clone();
        reading["end"] = json!(end - start);
        all.push(Accepted { message: bytes[start..end].to_vec(), rest: bytes[end..].to_vec(), reading });
        start = end;
    }
    all
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a reader over all messages at once and gives its answers in order.
fn ask(program: &Path, script: &str, messages: &[Accepted]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/head_property").join(script);
    let mut child =
        Command::new(program).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("{} does not run ({error}); see the top of this test for what it needs", program.display())
        });
    let lines: String =
        messages.iter().map(|each| format!("{} {}\n", hexadecimal(&each.message), hexadecimal(&each.rest))).collect();
    let mut stdin = child.stdin.take().expect("a pipe");
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("an answer");
    assert!(output.status.success(), "{} failed; see the top of this test for what it needs", program.display());
    writing.join().expect("no panic").expect("written");
    let answers = String::from_utf8(output.stdout).expect("text");
    answers.lines().map(|line| serde_json::from_str(line).expect("json")).collect()
}

/// Codings are case-insensitive, and h11 writes them in lower case.
fn folded(reading: &Value) -> Value {
    let mut folded = reading.clone();
    for field in folded["headers"].as_array_mut().into_iter().flatten().filter(|field| field[0] == "transfer-encoding") {
        field[1] = json!(field[1].as_str().map(str::to_lowercase));
    }
    folded
}

fn compare(reader: &str, messages: &[Accepted], answers: &[Value], excused: impl Fn(&Accepted, &Value) -> bool) {
    assert_eq!(messages.len(), answers.len(), "{reader} answered every message");
    let mut excuses = 0;
    for (each, answer) in messages.iter().zip(answers) {
        if excused(each, answer) {
            excuses += 1;
            continue;
        }
        assert_eq!(folded(answer), folded(&each.reading), "{reader} reads {} otherwise", each.message.escape_ascii());
    }
    assert!(excuses * 10 < messages.len(), "{reader}: {excuses} of {} excused", messages.len());
}

fn read(bytes: &[u8]) -> (Vec<Value>, String) {
    let mut reading: Value = serde_json::from_str(&read_requests(bytes)).expect("json");
    let messages = reading["messages"].take().as_array().cloned().unwrap_or_default();
    (messages, reading["rest"].as_str().unwrap_or_default().to_owned())
}

fn inputs(seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut dice = Dice(seed);
    (0..INPUTS).map(move |_| input(&mut dice))
}

#[test]
fn what_we_accept_h11_and_llhttp_read_identically() {
    let (mut messages, mut refused) = (Vec::new(), 0);
    for bytes in inputs(1) {
        let (readings, rest) = read(&bytes);
        refused += usize::from(rest != "complete" && rest != "incomplete");
        messages.extend(accepted(&bytes, &readings));
    }
    assert!(messages.len() > INPUTS / 3 && refused > INPUTS / 4, "{} accepted, {refused} refused", messages.len());
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let python = target.join("test-venv/bin/python");
    compare("h11", &messages, &ask(&python, "h11_reader.py", &messages), |_, _| false);
    // llhttp knows a closed list of methods; a message with another one it can't read at all.
    let unknown = |each: &Accepted, answer: &Value| {
        let known = each.reading["method"].as_str().is_some_and(|method| METHODS.contains(&method) || method == "CONNECT");
        !known && answer["error"].as_str().is_some_and(|error| error.contains("INVALID_METHOD"))
    };
    compare("llhttp", &messages, &ask(Path::new("node"), "llhttp_reader.js", &messages), unknown);
}

/// The engine writes a target and groups fields in its own way; this is what must be the same.
fn essence(reading: &Value) -> Value {
    let mut target = reading["target"].as_str().unwrap_or_default().to_owned();
    if let Some((scheme, rest)) = target.split_once("://") {
        let path = if rest.contains('/') { "" } else { "/" };
        target = format!("{}://{rest}{path}", scheme.to_lowercase());
    }
    let mut fields = reading["headers"].as_array().cloned().unwrap_or_default();
    fields.sort_by_key(|field| field[0].as_str().unwrap_or_default().to_owned());
    json!([reading["method"], target, reading["version"], fields, reading["body"]])
}

/// After these the engine takes no more requests.
fn is_last(reading: &Value) -> bool {
    let says = |word: &str| {
        let has = |field: &Value| field[0] == "connection" && field[1].as_str().is_some_and(|value| value.contains(word));
        reading["headers"].as_array().is_some_and(|fields| fields.iter().any(has))
    };
    says("close") || (reading["version"] == "HTTP/1.0" && !says("keep-alive"))
}

#[test]
fn what_we_accept_the_engine_behind_the_gate_serves_identically() {
    let mut served = 0;
    for bytes in inputs(2) {
        let (readings, _) = read(&bytes);
        let answer: Value = serde_json::from_str(&serve_requests(&bytes).expect("a runtime")).expect("json");
        let seen: Vec<_> = answer["messages"].as_array().into_iter().flatten().map(essence).collect();
        let until_last = readings.iter().position(is_last).map_or(readings.len(), |at| at + 1);
        let meant: Vec<_> = readings.iter().take(until_last).map(essence).collect();
        assert_eq!(seen, meant, "{}", bytes.escape_ascii());
        served += seen.len();
    }
    assert!(served > INPUTS / 3, "{served} served");
}
