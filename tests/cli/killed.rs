//! I8 against `kill -9` of the proxy itself, under load: what reached the service stands in the log.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::world::World;

/// How many callers ask at the same time.
const CALLERS: usize = 4;

/// A service that notes the path of every request that reaches it, on connections that stay open.
#[derive(Default)]
struct Service {
    paths: Mutex<Vec<String>>,
    count: AtomicUsize,
}

impl Service {
    fn start() -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, service) = (listener.local_addr().unwrap().to_string(), Arc::new(Self::default()));
        let shared = Arc::clone(&service);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        (address, service)
    }

    fn serve(&self, mut stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let path = head(&mut reader).and_then(|first| Some(first.split(' ').nth(1)?.to_owned()));
            let Some(path) = path else { return };
            self.paths.lock().unwrap().push(path);
            self.count.fetch_add(1, Ordering::SeqCst);
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                return;
            }
        }
    }
}

/// Reads a head that has come in full; its first line.
fn head(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut first = None;
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) if !line.ends_with('\n') => return None,
            Ok(_) if line.trim().is_empty() => return first,
            Ok(_) => drop(first.get_or_insert(line)),
        }
    }
}

/// Asks for one path after the other until the proxy is gone.
fn ask(proxy: &str, service: &str, name: &str) {
    let Ok(stream) = TcpStream::connect(proxy) else { return };
    let mut reader = BufReader::new(&stream);
    for number in 0.. {
        let request = format!("GET http://{service}/{name}/{number} HTTP/1.1\r\nHost: {service}\r\n\r\n");
        if (&stream).write_all(request.as_bytes()).is_err() || head(&mut reader).is_none() {
            return;
        }
    }
}

/// One life of the proxy: it ends a random number of requests after it began.
fn one_life(world: &World, service: &str, served: &Service, life: usize) {
    let up = world.up();
    let before = served.count.load(Ordering::SeqCst);
    let wanted = before + 1 + getrandom::u32().unwrap() as usize % 80;
    let proxy = up.address.clone();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let proxy = &proxy;
            scope.spawn(move || ask(proxy, service, &format!("{life}/{caller}")));
        }
        while served.count.load(Ordering::SeqCst) < wanted {
            std::thread::yield_now();
        }
        up.kill();
    });
}

/// 25 times, or 200 with `NEXUS_TEST_ALL=1`.
#[test]
fn i8_no_request_that_reached_the_service_is_missing_from_the_log_of_a_killed_proxy() {
    let lives = if std::env::var_os("NEXUS_TEST_ALL").is_some_and(|all| all == "1") { 200 } else { 25 };
    let world = World::new();
    world.config(
        "[proxy]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[limits]\ndrain_secs = 1\n[upstream]\nallow_private = [\"127.0.0.0/8\"]\n\
         [audit]\nhead_secs = 1\n",
    );
    let (address, service) = Service::start();
    for life in 0..lives {
        one_life(&world, &address, &service, life);
    }
    assert_eq!(world.up().stop(), Some(0), "the last one chains what all others left");
    let mut opened: HashMap<String, usize> = HashMap::new();
    for line in world.read("audit/00000001.jsonl").lines().filter(|line| line.contains("\"event\":\"open\"")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *opened.entry(line["path"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let reached = service.paths.lock().unwrap();
    let missing: Vec<&String> = reached.iter().filter(|path| !opened.contains_key(*path)).collect();
    assert!(reached.len() >= lives && missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), reached.len());
    assert!(opened.values().all(|times| *times == 1), "none is there twice");
    let proven = world.nexus(&["audit", "verify", "--json"]).json();
    assert_eq!(proven["signed"]["lines_after"], 0, "{proven:#}");
    assert!(!proven["carried"].as_array().unwrap().is_empty(), "what was not signed when they died is told: {proven:#}");
}
