//! The issuer from inside: what a leaf holds, how long it is kept, and that nothing is made twice or without bound.

use std::net::IpAddr;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::ProducesTickets as _;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::ticket::HostTickets;
use super::{Error, Issuer, Root, Settings, leaf, read};
use crate::model::Host;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn issuer(root: &Root, cache_hosts: usize) -> Issuer {
    Issuer::new(root, Arc::new(aws_lc_rs::default_provider()), Settings { cache_hosts }, start()).unwrap()
}

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

/// The leaf for `host` as it is at `now`, as DER.
fn minted(root: &Root, host: &Host, now: SystemTime) -> Vec<u8> {
    let validity = leaf::validity(&(root.not_before()..root.not_after()), now).unwrap();
    let key = super::signer::Signer::generate().unwrap();
    leaf::mint(&root.issuer(), &key, (host, &[]), &validity).unwrap().to_vec()
}

mod leaf_certificates {
    use super::*;

    #[test]
    fn hold_what_clients_check() {
        let root = Root::create("laptop", start()).unwrap();
        let der = minted(&root, &host("api.github.com"), start());
        let certificate = read::parse(&der).unwrap();
        let parsed_root = read::parse(root.certificate_der()).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=api.github.com");
        assert_eq!(certificate.issuer().as_raw(), parsed_root.subject().as_raw());
        let basic = certificate.basic_constraints().unwrap().unwrap();
        assert!(basic.critical && !basic.value.ca && basic.value.path_len_constraint.is_none());
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.digital_signature() && usage.value.flags.count_ones() == 1);
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && !extended.any && !extended.client_auth && extended.other.is_empty());
        assert!(!certificate.subject_alternative_name().unwrap().unwrap().critical);
        assert!(certificate.raw_serial().len() == 17 && certificate.raw_serial()[0] == 1);
    }

    #[test]
    fn name_their_own_key_and_their_roots() {
        let root = Root::create("laptop", start()).unwrap();
        let der = minted(&root, &host("a.example"), start());
        let identifiers = |der: &[u8]| {
            let (mut own, mut authority) = (None, None);
            for extension in read::parse(der).unwrap().extensions() {
                match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id.0.to_vec()),
                    ParsedExtension::AuthorityKeyIdentifier(id) => {
                        authority = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                    }
                    _ => {}
                }
            }
            (own, authority)
        };
        let (leaf_id, issuer_id) = identifiers(&der);
        let (root_id, _) = identifiers(root.certificate_der());
        assert!(root_id.is_some() && issuer_id == root_id);
        assert!(leaf_id.is_some() && leaf_id != root_id);
    }

    #[test]
    fn name_addresses_as_addresses() {
        let root = Root::create("laptop", start()).unwrap();
        for text in ["192.0.2.7", "[2001:db8::7]"] {
            let host = host(text);
            let Host::Ip(address) = &host else { panic!("{host} is an address") };
            let octets = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let der = minted(&root, &host, start());
            let certificate = read::parse(&der).unwrap();
            let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
            assert_eq!(names.as_slice(), [GeneralName::IPAddress(&octets)]);
            assert_eq!(certificate.subject().to_string(), format!("CN={address}"));
        }
    }

    #[test]
    fn of_a_long_name_have_no_common_name_and_a_critical_alternative() {
        let root = Root::create("laptop", start()).unwrap();
        let long = format!("{}.example", "label-of-some-length.".repeat(4).trim_end_matches('.'));
        let der = minted(&root, &host(&long), start());
        let certificate = read::parse(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "");
        let alternative = certificate.subject_alternative_name().unwrap().unwrap();
        assert!(alternative.critical);
        assert_eq!(alternative.value.general_names.as_slice(), [GeneralName::DNSName(&long)]);
    }

    #[test]
    fn live_a_week_and_never_longer_than_the_root() {
        let root = Root::create("laptop", start()).unwrap();
        let whole = root.not_before()..root.not_after();
        let in_the_middle = leaf::validity(&whole, start() + 30 * DAY).unwrap();
        assert_eq!(in_the_middle, start() + 30 * DAY - HOUR..start() + 37 * DAY);
        assert_eq!(leaf::validity(&whole, root.not_after() - DAY).unwrap().end, root.not_after());
        assert_eq!(leaf::validity(&whole, root.not_before()).unwrap().start, root.not_before());
    }

    #[test]
    fn have_unpredictable_serial_numbers() {
        let root = Root::create("laptop", start()).unwrap();
        let ders: Vec<_> = (0..32).map(|_| minted(&root, &host("a.example"), start())).collect();
        let serials: std::collections::HashSet<_> =
            ders.iter().map(|der| read::parse(der).unwrap().raw_serial().to_vec()).collect();
        assert_eq!(serials.len(), 32);
    }
}

mod the_cache {
    use super::*;

    #[test]
    fn i7_stays_bounded_whatever_names_come() {
        let root = Root::create("laptop", start()).unwrap();
        let issuer = issuer(&root, 100);
        for number in 0..10_000 {
            issuer.server_config_at(&host(&format!("h{number}.example")), true, start()).unwrap();
        }
        assert!((50..=128).contains(&issuer.cached_hosts()), "{}", issuer.cached_hosts());
    }

    #[test]
    fn a_host_is_signed_for_once_however_many_ask() {
        let root = Root::create("laptop", start()).unwrap();
        let issuer = issuer(&root, 100);
        let barrier = Barrier::new(8);
        let ask = || {
            barrier.wait();
            issuer.server_config_at(&host("api.github.com"), true, start()).unwrap()
        };
        let configs: Vec<_> = thread::scope(|scope| {
            let askers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            askers.into_iter().map(|asker| asker.join().unwrap()).collect()
        });
        assert!(configs.iter().all(|config| Arc::ptr_eq(config, &configs[0])));
        assert_eq!(issuer.cached_hosts(), 1);
    }

    #[test]
    fn a_leaf_is_made_anew_at_half_its_life_and_when_the_clock_leaves_it_behind() {
        let root = Root::create("laptop", start()).unwrap();
        let issuer = issuer(&root, 100);
        let now = start() + 30 * DAY;
        let at = |now| issuer.server_config_at(&host("a.example"), true, now).unwrap();
        let first = at(now);
        assert!(Arc::ptr_eq(&first, &at(now + 83 * HOUR)), "still fresh after 83 of 84 hours");
        assert!(Arc::ptr_eq(&first, &at(now - HOUR / 2)), "still valid when the clock goes back half an hour");
        let second = at(now + 84 * HOUR);
        assert!(!Arc::ptr_eq(&first, &second), "too old after 84 hours");
        assert!(!Arc::ptr_eq(&second, &at(now)), "not valid yet when the clock goes back for days");
    }

    #[test]
    fn a_bound_of_nothing_still_serves() {
        let root = Root::create("laptop", start()).unwrap();
        let issuer = issuer(&root, 0);
        assert!(issuer.server_config_at(&host("a.example"), false, start()).is_ok());
    }
}

mod an_issuer {
    use super::*;

    #[test]
    fn signs_nothing_outside_the_life_of_its_root() {
        let root = Root::create("laptop", start()).unwrap();
        let provider = || Arc::new(aws_lc_rs::default_provider());
        let late = Issuer::new(&root, provider(), Settings { cache_hosts: 1 }, root.not_after());
        assert!(matches!(late, Err(Error::Expired { .. })));
        let issuer = issuer(&root, 10);
        let at = |now| issuer.server_config_at(&host("a.example"), true, now);
        assert!(at(start()).is_ok());
        assert!(matches!(at(root.not_after()), Err(Error::Expired { .. })));
        assert!(matches!(at(root.not_before() - DAY), Err(Error::NotYetValid { .. })));
    }

    #[test]
    fn refuses_a_provider_without_the_suites_for_both_versions() {
        let root = Root::create("laptop", start()).unwrap();
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.clear();
        let refused = Issuer::new(&root, Arc::new(provider), Settings { cache_hosts: 1 }, start());
        assert!(matches!(refused, Err(Error::Tls(_))));
    }

    #[test]
    fn says_nothing_of_its_keys() {
        let root = Root::create("laptop", start()).unwrap();
        let issuer = issuer(&root, 10);
        issuer.warm().unwrap();
        assert_eq!(format!("{issuer:?}"), "Issuer { cached_hosts: 0, .. }");
    }

    #[test]
    fn offers_the_protocols_of_each_door() {
        let root = Root::create("laptop", SystemTime::now()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let issuer = Issuer::new(&root, provider, Settings { cache_hosts: 10 }, SystemTime::now()).unwrap();
        let host = host("proxy.example");
        assert_eq!(issuer.server_config(&host, true).unwrap().alpn_protocols, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(issuer.server_config(&host, false).unwrap().alpn_protocols, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(issuer.listener_config(&host, &[]).unwrap().alpn_protocols, [b"http/1.1"]);
        assert_eq!(issuer.cached_hosts(), 1, "a port's certificate is kept apart from those of hosts");
    }

    #[test]
    fn i6_gives_tickets_only_where_a_name_was_sent() {
        let root = Root::create("laptop", start()).unwrap();
        let issuer = issuer(&root, 10);
        let at = |text: &str, sni| issuer.server_config_at(&host(text), sni, start()).unwrap().ticketer.enabled();
        assert!(at("a.example", true));
        assert!(!at("a.example", false));
        assert!(!at("192.0.2.7", true));
    }
}

#[test]
fn i6_a_ticket_is_none_at_another_host() {
    let shared = Ticketer::new().unwrap();
    let tickets = |host: &str| HostTickets::new(host, Arc::clone(&shared));
    let sealed = tickets("a.example").encrypt(b"state").unwrap();
    assert_eq!(tickets("a.example").decrypt(&sealed).as_deref(), Some(&b"state"[..]));
    for other in ["b.example", "a.exampl", "a.example.", "", "a.example2"] {
        assert_eq!(tickets(other).decrypt(&sealed), None, "{other}");
    }
    assert_eq!(tickets("a.example").decrypt(&shared.encrypt(b"state").unwrap()), None);
}
