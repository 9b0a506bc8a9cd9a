use super::*;

const SALT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn hexadecimal(key: &DataKey) -> String {
    key.0.expose().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> DataKey {
    DataKey::from_bytes([7; 32])
}

#[test]
fn the_key_is_that_of_the_published_vectors() {
    let salt: Salt = SALT.parse().expect("a salt");
    let chosen = Passphrase::new("correct horse battery staple").expect("not empty");
    assert_eq!(
        hexadecimal(&DataKey::derive(&chosen, &salt)),
        "0dba5d2e52bd27a43e497a6553669931f646c7fd7dd370aee8081890de674124"
    );
    let fallback = Passphrase::of_hardware_address([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);
    assert_eq!(fallback.0.expose(), "2485377892354");
    assert_eq!(
        hexadecimal(&DataKey::derive(&fallback, &salt)),
        "0ada9d5120b39f003626ca5bc4149cfea51c4aee4316b33bcc9f1bb7fed657b2"
    );
}

#[test]
fn a_salt_is_read_as_it_is_written() {
    let salt: Salt = format!("{SALT}\n").parse().expect("a salt with a line end");
    assert_eq!(salt.to_string(), SALT);
    for text in ["", "AAEC", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "////////////////////////////////////////////"] {
        assert!(matches!(text.parse::<Salt>(), Err(Error::Salt)), "{text:?}");
    }
    assert_ne!(Salt::random().expect("random"), Salt::random().expect("random"));
}

#[test]
fn an_empty_secret_is_no_secret() {
    assert!(matches!(Passphrase::new(""), Err(Error::EmptyPassphrase)));
}

#[test]
fn what_is_sealed_opens_again_and_never_looks_the_same() {
    for plain in [&b""[..], b"x", &[0xff; 100_000]] {
        let (one, two) = (seal(&key(), plain).expect("sealed"), seal(&key(), plain).expect("sealed"));
        assert_ne!(one, two);
        assert_eq!(open(&key(), one.as_bytes()).expect("opened").as_slice(), plain);
    }
}

#[test]
fn t143_no_nonce_comes_twice() {
    let key = key();
    // Sixteen characters of base64 are the twelve bytes of the nonce; half of them, should they be a counter or a clock, differ too.
    let seals: Vec<String> = (0..10_000).map(|_| seal(&key, b"{}").expect("sealed")).collect();
    for part in [0..16, 0..8, 8..16] {
        let distinct: std::collections::HashSet<&str> = seals.iter().map(|sealed| &sealed[part.clone()]).collect();
        assert_eq!(distinct.len(), seals.len(), "{part:?}");
    }
}

#[test]
fn published_test_cases_of_gcm_open() {
    // Test cases 13 and 14 of the GCM specification: a zero key and nonce over no plaintext, and over sixteen zero bytes.
    let zero = DataKey::from_bytes([0; 32]);
    let case_13 = open(&zero, b"AAAAAAAAAAAAAAAAUw-K-8dFNrmpY7TxxMtziw==").expect("case 13");
    assert!(case_13.is_empty());
    let case_14 = open(&zero, b"AAAAAAAAAAAAAAAAzqdAPU1ga24HTsXTuvOdGNDRyKeZmWvwJluYtdSKuRk=").expect("case 14");
    assert_eq!(case_14.as_slice(), [0; 16]);
}

#[test]
fn a_text_that_does_not_open_says_why() {
    let sealed = seal(&key(), b"{}").expect("sealed");
    let opened = |text: &str| open(&key(), text.as_bytes()).expect_err("refused");
    assert!(matches!(opened(""), Error::Empty));
    assert!(matches!(opened("AAAA"), Error::Truncated));
    assert!(matches!(opened(&sealed[..sealed.len() - 1]), Error::Truncated));
    assert!(matches!(opened(&format!("{sealed}\n")), Error::NotBase64(_)));
    assert!(matches!(opened("{\"github\": {}}"), Error::NotBase64(_)));
    assert!(matches!(open(&DataKey::from_bytes([8; 32]), sealed.as_bytes()), Err(Error::WrongKeyOrDamaged)));
    assert!(matches!(open_stream_cipher(&key(), sealed.as_bytes()), Err(Error::WrongKeyOrDamaged)));
}

#[test]
fn i9_a_flipped_bit_never_opens() {
    let sealed = seal(&key(), b"{\"github\": {}}").expect("sealed");
    let bytes = URL_SAFE.decode(&sealed).expect("base64");
    for at in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let text = URL_SAFE.encode(&flipped);
        assert!(matches!(open(&key(), text.as_bytes()), Err(Error::WrongKeyOrDamaged)), "bit {at}");
        assert!(open_stream_cipher(&key(), text.as_bytes()).is_err(), "bit {at}");
    }
}
