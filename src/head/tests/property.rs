use proptest::prelude::*;

use super::*;

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}"
}

/// A head that RFC 9112 allows, with its method, target and fields.
fn valid() -> impl Strategy<Value = (String, String, Vec<(String, String)>)> {
    let target = "/[!$-;=@-Z\\[-\\]_a-z|~]{0,40}(\\?[!$-;=?-Z_a-z{|}~]{0,20})?";
    let field = ("X-[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", "([!-~]([ \t!-~]{0,30}[!-~])?)?");
    (token().prop_filter("takes another target", |method| method != "CONNECT"), target, prop::collection::vec(field, 0..20))
}

fn write((method, target, fields): &(String, String, Vec<(String, String)>)) -> Vec<u8> {
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n").into_bytes()
}

proptest! {
    #[test]
    fn valid_heads_are_taken_as_they_were_meant(request in valid()) {
        let bytes = write(&request);
        let head = head(&bytes).expect("valid");
        let view = head.view(&bytes);
        prop_assert_eq!((view.method, view.target), (request.0.as_str(), request.1.as_str()));
        let fields: Vec<_> = view.fields().skip(1).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        let meant: Vec<_> = request.2.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect();
        prop_assert_eq!(fields, meant);
    }

    #[test]
    fn i7_changed_heads_never_panic_and_are_read_alike_in_pieces(
        request in valid(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = write(&request);
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let (left, right) = bytes.split_at(cut.index(bytes.len()));
        prop_assert_eq!(pass_requests(&[left, right]), pass_requests(&[&bytes]));
    }

    #[test]
    fn i7_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let passed = pass_requests(&[&bytes]);
        prop_assert!(passed.requests <= 1 + bytes.len() as u64 / 16);
    }

    #[test]
    fn i7_any_chunked_body_is_passed_on_only_as_far_as_it_is_sound(body in "[0-9a-fA-F;=\"\r\n x]{0,60}") {
        let bytes = [b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", body.as_bytes()].concat();
        let whole = pass_requests(&[&bytes]);
        if whole.malformed.is_none() {
            prop_assert!(bytes.starts_with(&whole.bytes));
        }
        prop_assert_eq!(pass_requests(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    }
}
