//! Tokens held against the published vectors, against PyJWT, and against the library's verifying half.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

/// The key of RFC 7515 §A.2.1 as PKCS#8; from byte 26 on it is the same key as PKCS#1.
const RSA_PKCS8: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXOjS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913Ee\
     Z8dCn5VrD7io8ImtxLaYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNnjuygxmj3AbONv/s4yDQs4v5tJ/re\
     SlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkftoaHLFcW9Q\
     r4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHgVFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZ\
     D50LpXyWPEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/GO+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l\
     9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoF\
     aFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0KpL\
     ttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDn\
     Ed3BbVWG8qf6deqElMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6kqa0finGG0KgeqlaZPxgCZnFp7AeAc\
     CMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAPrq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNwkgMTP1FZ1wKB\
     gAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75g\
     JLVds29+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2\
     LF2mjMJDpTg7FmuyPcVw6EcGyoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZjOYiIDktVWZzmevJuv6WywU\
     qd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3ydy5\
     cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A5603k2+ZQwVK0JKSHuLFkuQ3U=";
/// Its public half as PKCS#1.
const RSA_PUBLIC: &str = "MIIBCgKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+\
     yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo\
     7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kz\
     k2PAcDTW9gb54h4FRWyuXpoQIDAQAB";
/// The key of RFC 7515 §A.3.1 as PKCS#8.
const EC_PKCS8: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIffH1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXU\
     GDy+5v20t7WAczNXvp7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt";
/// The same as SEC1.
const EC_SEC1: &str = "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus\
     9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==";
/// Its public half, an uncompressed point.
const EC_PUBLIC: &str = "BH/Nzidw9sRdQYPL7m/bS3tYBzM1e+nvE7rPbjx70VRFx/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0=";
/// A key on another curve.
const P384_PKCS8: &str = "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
     WhZANiAAQR3iSiwlHHd1c8rF6gJeRn8gjlHb/5j8VPZmHL5WWDsDeIL0ocopfmCrzbw4NthLyPppbHdED5LQ9YN+kKAOfFKEtEd1TV3uiMmGUz\
     tpAa6zF3aG0K6PszGEQUq+bBcTo=";

/// A certificate made with Python for the thumbprint.
const CERTIFICATE: &str = "MIIBBDCBq6ADAgECAgEBMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAW4wHhcNMjQwMTAxMDAwMDAwWhcNMzQwMTAxMDAwMDAwWjAMMQowCAYDVQ\
     QDDAFuMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ld\
     bqkLJK2KRiMohYjlrTAKBggqhkjOPQQDAgNIADBFAiEA8AUDxx11pCtvgjV4g+fwTEu9DUD+djYoyniiFAuj9SECIES8gxR8yURKfcCMOUnabl\
     vONjoH886xUyUsJXA8vjPW";

/// The claims of RFC 7515 §A.1.1, line ends included.
const CLAIMS: &str = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

fn pem(label: &str, der: &str) -> String {
    let lines: Vec<&str> = der.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn pkcs1() -> String {
    STANDARD.encode(STANDARD.decode(RSA_PKCS8).expect("base64").get(26..).expect("a header of 26 bytes"))
}

fn read(algorithm: Algorithm, pem: String) -> Result<Key, Error> {
    Key::from_pem(algorithm, &Secret::new(pem))
}

fn rsa_key() -> Key {
    read(Algorithm::Rs256, pem("PRIVATE KEY", RSA_PKCS8)).expect("the key of RFC 7515")
}

fn shared(secret: &str, encoding: Encoding) -> Key {
    Key::from_secret(&Secret::new(secret.to_owned()), encoding).expect("a secret")
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

fn token(key: &Key, header: Value, claims: Value) -> String {
    sign(key, &object(header), &object(claims)).expect("signs").expose().clone()
}

/// What is signed, and the signature.
fn parts(token: &str) -> (&str, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').expect("two dots");
    (message, URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
}

#[test]
fn hs256_gives_the_token_of_rfc_7515_a_1() {
    let key =
        shared("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==", Encoding::Base64);
    let token = compact(&key, "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", CLAIMS).expect("signs");
    assert_eq!(
        token.expose(),
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
         cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
}

#[test]
fn rs256_gives_the_token_of_rfc_7515_a_2_from_either_form_of_the_key() {
    let expected = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb29\
         0Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb\
         F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--x\
         i12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ\
         Ge77Rw";
    let folded = pem("RSA PRIVATE KEY", &pkcs1()).replace('\n', "\\n");
    let crlf = pem("RSA PRIVATE KEY", &pkcs1()).replace('\n', "\r\n");
    for text in [pem("PRIVATE KEY", RSA_PKCS8), folded, crlf] {
        let key = read(Algorithm::Rs256, text).expect("a key");
        assert_eq!(compact(&key, "{\"alg\":\"RS256\"}", CLAIMS).expect("signs").expose(), expected);
    }
}

#[test]
fn es256_gives_a_signature_of_64_bytes_that_the_public_key_of_rfc_7515_a_3_verifies() {
    let parameters = pem("EC PARAMETERS", "BggqhkjOPQMBBw==");
    for text in [pem("PRIVATE KEY", EC_PKCS8), format!("{parameters}{}", pem("EC PRIVATE KEY", EC_SEC1))] {
        let key = read(Algorithm::Es256, text).expect("a key");
        let token = token(&key, json!({"kid": "2X9R4HXF34"}), json!({"iss": "57246542", "aud": "appstoreconnect-v1"}));
        let (message, signature) = parts(&token);
        assert_eq!(signature.len(), 64);
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, STANDARD.decode(EC_PUBLIC).expect("base64"));
        public.verify(message.as_bytes(), &signature).expect("the signature fits");
        public.verify(b"another message", &signature).expect_err("the signature fits one message");
        assert!(message.starts_with(&URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT","kid":"2X9R4HXF34"}"#)));
    }
}

#[test]
fn rs256_is_what_the_public_key_verifies() {
    let token = token(&rsa_key(), json!({}), json!({"iss": "a"}));
    let (message, signature) = parts(&token);
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, STANDARD.decode(RSA_PUBLIC).expect("base64"));
    public.verify(message.as_bytes(), &signature).expect("the signature fits");
}

/// The same as PyJWT 2.15 makes: `jwt.encode({"iss": "12345", "iat": 1699999940, "exp": 1700000600}, key, "RS256")`.
#[test]
fn a_github_app_token_is_the_one_of_pyjwt() {
    let mut claims = object(json!({"iss": "12345"}));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    stamp(&mut claims, now, Duration::from_secs(60), Duration::from_secs(600)).expect("a time");
    let token = sign(&rsa_key(), &Map::new(), &claims).expect("signs");
    assert_eq!(
        token.expose(),
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiIxMjM0NSIsImlhdCI6MTY5OTk5OTk0MCwiZXhwIjoxNzAwMDAwNjAwfQ.GtsbuB\
         yg6RDXRN53dRpZuwgBAhUm4ulXiaTg18QTuVbrsVaMiJy8B4FmANbiZbvLuIhpu4IsG7ozG70D2jnmYmZm55v8UaIkaN1KzYvq28stBWYIXiTZ\
         gXa8yJTBtfz0ILzSKqoUoEegsrXSJhmERlxOzWV4bOzfRm8_o-Fhd6eIMNm3nPqjZKSndo66-P8GrorGALFu5Ufxu8WKAIU9mm3J9JcxNy8C2_\
         XlbhWlb7tZ1OPjwj3ku1fcSe14992IuRR9rgKSnTyRbs_NDddhAaMrdoCS4ZKHk8EdVd3NRkU0w2V8fx-m4O4o4CwiOGVUnQrXx_FLwIZqTyvk\
         ZUsMsQ"
    );
}

/// PyJWT 2.15 with `headers={"x5t#S256": "abc"}`.
#[test]
fn an_azure_certificate_assertion_is_the_one_of_pyjwt() {
    let claims = json!({
        "aud": "https://login.microsoftonline.com/t/oauth2/v2.0/token", "iss": "c", "sub": "c", "jti": "j",
        "iat": 1_700_000_000, "exp": 1_700_000_600,
    });
    assert_eq!(
        token(&rsa_key(), json!({"x5t#S256": "abc"}), claims),
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsIng1dCNTMjU2IjoiYWJjIn0.eyJhdWQiOiJodHRwczovL2xvZ2luLm1pY3Jvc29mdG9ubGluZS\
         5jb20vdC9vYXV0aDIvdjIuMC90b2tlbiIsImlzcyI6ImMiLCJzdWIiOiJjIiwianRpIjoiaiIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAw\
         MDAwNjAwfQ.d7yNCjzJySoyLQj1ykCYM1xfDSDHRKrNcULbyYKnliEtRcYMKsMXFwOl1RCT0D-ZZ0ihJd4mwa3b0a6gU_uhcEQPkTRWiJVGxhs\
         Nr3v9NFO4lb-7OJT-lhQWj8x-u0txBBuuwVdRYpye6TcZ5BkFE2dizmKZNQiaxlWfKMeb5iue1C_d9_m_HEnYl-4dIh8jE_9J97xNxuMgcNNHQ\
         E6c5WIoJ_W2kFCjB2J-PPnerfdzSRvdC6ftpveGV9wl_8y1qoXjI-FysnNORWEeoCPNmvZnCduLW8nJYtm6pc-OG11vORlEfA2T4i2DIN_q4iE\
         Lf5rs9gIYsQiLN0wWMYJrqQ"
    );
}

/// PyJWT 2.15 with `headers={"kid": …}` and `bytes.fromhex`, as Ghost's documentation has it.
#[test]
fn a_ghost_admin_token_is_the_one_of_pyjwt() {
    let stored = "6489f5b1a3a2a40001f1a3b2:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0fa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
    let (id, key) = Key::from_pair(&Secret::new(stored.to_owned()), Encoding::Hex).expect("a pair");
    let claims = json!({"aud": "/admin/", "iat": 1_700_000_000, "exp": 1_700_000_300});
    assert_eq!(
        token(&key, json!({"kid": id, "typ": "JWT"}), claims),
        "eyJhbGciOiJIUzI1NiIsImtpZCI6IjY0ODlmNWIxYTNhMmE0MDAwMWYxYTNiMiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiIvYWRtaW4vIiwiaWF0I\
         joxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDAzMDB9.qx_qrJyua3xaxnyhDvZayFMZJyjiAKchWgGeePH1Dkc"
    );
}

/// `base64.urlsafe_b64encode(hashlib.sha256(der).digest())` in Python.
#[test]
fn a_thumbprint_is_the_hash_of_the_certificates_der() {
    let certificate = pem("CERTIFICATE", CERTIFICATE);
    assert_eq!(thumbprint(&certificate).as_deref(), Ok("j5XfUxwiZWVUC38NMS7_5DgT01nwKfgnSaEdIsoED48"));
    assert_eq!(thumbprint("MIIBBDCBq6AD"), Err(Error::NotACertificate));
}

#[test]
fn the_header_can_not_name_another_algorithm() {
    let key = shared("secret", Encoding::Utf8);
    for other in [json!("none"), json!("RS256"), json!(null)] {
        let header = object(json!({"alg": other}));
        assert_eq!(sign(&key, &header, &Map::new()).err(), Some(Error::Alg("HS256")));
    }
    let own = token(&key, json!({"alg": "HS256", "kid": "k"}), json!({}));
    assert_eq!(own, token(&key, json!({"kid": "k"}), json!({})));
}

#[test]
fn a_key_of_the_wrong_kind_is_refused_with_what_to_do() {
    let rsa = || pem("PRIVATE KEY", RSA_PKCS8);
    let wrong = |algorithm, text| read(algorithm, text).err().expect("a refusal");
    assert_eq!(wrong(Algorithm::Es256, rsa()), Error::NotP256);
    assert_eq!(wrong(Algorithm::Es256, pem("RSA PRIVATE KEY", &pkcs1())), Error::NotP256);
    assert_eq!(wrong(Algorithm::Es256, pem("PRIVATE KEY", P384_PKCS8)), Error::NotP256);
    assert_eq!(wrong(Algorithm::Rs256, pem("PRIVATE KEY", EC_PKCS8)), Error::NotRsa);
    assert_eq!(wrong(Algorithm::Rs256, pem("EC PRIVATE KEY", EC_SEC1)), Error::NotRsa);
    assert_eq!(wrong(Algorithm::Hs256, rsa()), Error::Kind);
    assert_eq!(wrong(Algorithm::Rs256, pem("ENCRYPTED PRIVATE KEY", EC_SEC1)), Error::Encrypted);
    assert_eq!(wrong(Algorithm::Rs256, pem("CERTIFICATE", CERTIFICATE)), Error::NotPem);
    assert_eq!(wrong(Algorithm::Rs256, rsa().replace('\n', " ")), Error::NotPem);
    assert_eq!(wrong(Algorithm::Rs256, String::new()), Error::NotPem);
    assert_eq!(Key::from_secret(&Secret::new(rsa()), Encoding::Utf8).err(), Some(Error::Kind));
}

#[test]
fn a_secret_is_in_the_encoding_it_is_said_to_be() {
    let refused = |text: &str, encoding| Key::from_secret(&Secret::new(text.to_owned()), encoding).err().expect("a refusal");
    assert_eq!(refused("", Encoding::Utf8), Error::Empty);
    assert_eq!(refused("abc", Encoding::Hex), Error::NotEncoded("hexadecimal"));
    assert_eq!(refused("a_b-", Encoding::Base64), Error::NotEncoded("standard base64"));
    assert_eq!(
        token(&shared("0F0f", Encoding::Hex), json!({}), json!({})),
        token(&shared("Dw8=", Encoding::Base64), json!({}), json!({}))
    );
    for text in ["nocolon", ":0f", "id:"] {
        assert_eq!(Key::from_pair(&Secret::new(text.to_owned()), Encoding::Hex).err(), Some(Error::NotAPair));
    }
}

#[test]
fn i1_no_error_quotes_the_key() {
    let squashed = "-----BEGIN PRIVATE KEY----- hunter2hunter2 -----END PRIVATE KEY-----";
    let error = read(Algorithm::Rs256, squashed.to_owned()).err().expect("a refusal");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_clock_before_1970_is_refused() {
    let stamped = stamp(&mut Map::new(), SystemTime::UNIX_EPOCH, Duration::from_secs(60), Duration::from_secs(1));
    assert_eq!(stamped, Err(Error::Clock));
}
