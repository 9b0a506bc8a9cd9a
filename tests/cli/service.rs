//! A plain service on loopback, and a caller that asks it by way of the proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A service that counts what reaches it.
pub(crate) fn service() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            count.fetch_add(1, Ordering::SeqCst);
            (&stream).write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").ok();
        }
    });
    (address, served)
}

/// Asks the service by way of the proxy; the answer in lower case.
pub(crate) fn ask(proxy: &str, service: &str) -> String {
    let mut stream = TcpStream::connect(proxy).unwrap();
    let request = format!("GET http://{service}/items?page=2 HTTP/1.1\r\nHost: {service}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.to_ascii_lowercase()
}
