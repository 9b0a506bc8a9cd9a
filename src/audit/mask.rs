//! What a record may keep of a path: query names without their values, nothing of user information or tokens.

/// The longest query name that is kept; what is longer is more likely a value.
const MAX_NAME: usize = 64;

/// Appends `path` with the values of its query dropped: `/a?page=2&q=x` becomes `/a?page=&q=`.
///
/// A part without `=` is kept only where it reads like a name (`?acl`), for it may as well be a key: else it becomes `*`.
pub(super) fn without_values(out: &mut Vec<u8>, path: &[u8]) {
    let path = path.split(|&byte| byte == b'#').next().unwrap_or_default();
    let Some(mark) = memchr::memchr(b'?', path) else { return out.extend_from_slice(path) };
    let (before, query) = path.split_at(mark);
    out.extend_from_slice(before);
    let mut separator = b'?';
    for part in query.get(1..).unwrap_or_default().split(|&byte| byte == b'&') {
        out.push(separator);
        separator = b'&';
        match memchr::memchr(b'=', part) {
            Some(end) if end <= MAX_NAME => out.extend_from_slice(part.get(..=end).unwrap_or_default()),
            Some(_) => out.extend_from_slice(b"*="),
            None if reads_like_a_name(part) => out.extend_from_slice(part),
            None => out.push(b'*'),
        }
    }
}

fn reads_like_a_name(part: &[u8]) -> bool {
    part.len() <= 24 && part.iter().all(|&byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Replaces the token of a base-URL path: `/~TOKEN/host/x` becomes `/~*/host/x`.
pub(super) fn without_token(out: &mut Vec<u8>, path: &[u8]) {
    let Some(rest) = path.strip_prefix(b"/~") else { return without_values(out, path) };
    out.extend_from_slice(b"/~*");
    if let Some(end) = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')) {
        without_values(out, rest.get(end..).unwrap_or_default());
    }
}

/// Appends an authority as sent, without user information: `user:key@host` becomes `*@host`.
pub(super) fn without_userinfo(out: &mut Vec<u8>, authority: &[u8]) {
    match memchr::memrchr(b'@', authority) {
        Some(at) => {
            out.push(b'*');
            out.extend_from_slice(authority.get(at..).unwrap_or_default());
        }
        None => out.extend_from_slice(authority),
    }
}

/// Appends a request target of any form as sent (RFC 9112 §3.2), nothing of which has been checked.
pub(super) fn unchecked(out: &mut Vec<u8>, target: &[u8]) {
    if target.first() == Some(&b'/') {
        return without_token(out, target);
    }
    let Some(scheme) = memchr::memmem::find(target, b"://") else {
        return without_userinfo(out, target.split(|&byte| byte == b'?').next().unwrap_or_default());
    };
    let (before, after) = target.split_at(scheme + 3);
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
    let (authority, path) = after.split_at(end);
    out.extend_from_slice(before.split(|&byte| byte == b'?').next().unwrap_or_default());
    without_userinfo(out, authority);
    without_token(out, path);
}

#[cfg(test)]
mod tests {
    fn run(mask: fn(&mut Vec<u8>, &[u8]), value: &str) -> String {
        let mut out = Vec::new();
        mask(&mut out, value.as_bytes());
        String::from_utf8(out).expect("utf-8")
    }

    #[test]
    fn i1_query_values_are_dropped() {
        let long = format!("/a?{}=1", "k".repeat(65));
        for (path, kept) in [
            ("/a", "/a"),
            ("/a?page=2&q=secret", "/a?page=&q="),
            ("/a?token=abc=def&x=1;y=2", "/a?token=&x="),
            ("/a?ghp_0123456789", "/a?*"),
            ("/a?acl&uploads", "/a?acl&uploads"),
            ("/a?a%3Dsecret", "/a?*"),
            ("/a?", "/a?"),
            ("/a?&&b=1", "/a?&&b="),
            ("/a?b=1#secret", "/a?b="),
            (long.as_str(), "/a?*="),
        ] {
            assert_eq!(run(super::without_values, path), kept, "{path}");
        }
    }

    #[test]
    fn i1_tokens_and_user_information_are_masked() {
        for (target, kept) in [
            ("/~tok_secret/api.openai.com/v1?key=1", "/~*/api.openai.com/v1?key="),
            ("/~tok_secret", "/~*"),
            ("/~tok?x=1", "/~*?x="),
            ("http://alice:secret@host:80/p?q=1", "http://*@host:80/p?q="),
            ("http://host?q=1", "http://host?q="),
            ("alice:secret@host:443", "*@host:443"),
            ("host:443", "host:443"),
            ("x?secret", "x"),
            ("/a?u=http://b/c?d=e", "/a?u="),
        ] {
            assert_eq!(run(super::unchecked, target), kept, "{target}");
        }
    }
}
