//! Scopes and hosts: `hosts.tsv` holds host, signing name and region as botocore 1.44.5 resolves its endpoints.

use crate::sign::aws::asked::{Asked, Place};
use crate::sign::aws::{Defaults, Error, Scope};

const NO_DEFAULTS: Defaults<'static> = Defaults { service: None, region: None };

fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    include_str!("hosts.tsv").lines().map(|line| {
        let mut fields = line.split('\t');
        (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap())
    })
}

fn asked(region: &str, service: &str) -> Asked {
    let scope = Scope::new(region, service).unwrap();
    Asked {
        access_key_id: String::from("x"),
        scope,
        signed: Vec::new(),
        time: std::time::SystemTime::UNIX_EPOCH,
        place: Place::Header,
    }
}

fn agreed(region: &str, service: &str, host: &str) -> Result<Scope, Error> {
    Scope::of(Some(&asked(region, service)), host, &NO_DEFAULTS)
}

fn told(host: &str) -> (String, String) {
    let scope = Scope::of(None, host, &NO_DEFAULTS).unwrap();
    (scope.service, scope.region)
}

#[test]
fn each_scope_that_an_sdk_resolves_is_taken() {
    assert!(rows().count() > 150);
    for (host, service, region) in rows() {
        let scope = agreed(region, service, host).unwrap_or_else(|error| panic!("{host} {service} {region}: {error}"));
        assert_eq!((scope.service.as_str(), scope.region.as_str()), (service, region));
    }
}

#[test]
fn without_a_signature_the_host_tells_what_an_sdk_resolves() {
    // Several services share these hosts; budgets, CloudFront and CodeCatalyst have one host for two partitions.
    let shared = |host: &str, region: &str| {
        host.contains(".geo.") || host.contains(".iot") || region == "us-gov-west-1" && !host.contains("us-gov")
    };
    for (host, service, region) in rows().filter(|(host, _, region)| !shared(host, region) && !host.starts_with("codecatalyst"))
    {
        assert_eq!(told(host), (service.to_owned(), region.to_owned()), "{host}");
    }
}

#[test]
fn hosts_that_carry_names_of_the_callers_tell_service_and_region() {
    for (host, service, region) in [
        ("bucket.s3.amazonaws.com", "s3", "us-east-1"),
        ("my.bucket.s3.dualstack.eu-west-1.amazonaws.com:443", "s3", "eu-west-1"),
        ("us-west-2.s3.amazonaws.com", "s3", "us-east-1"),
        ("s3.us-west-2.s3.eu-west-1.amazonaws.com", "s3", "eu-west-1"),
        ("bucket.s3-us-west-2.amazonaws.com", "s3", "us-west-2"),
        ("s3-fips-us-gov-west-1.amazonaws.com", "s3", "us-gov-west-1"),
        ("bucket.s3-fips.dualstack.us-east-2.amazonaws.com", "s3", "us-east-2"),
        ("bucket.s3-accelerate.dualstack.amazonaws.com", "s3", "us-east-1"),
        ("point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", "s3", "eu-west-1"),
        ("123456789012.s3-control.eu-west-1.amazonaws.com", "s3", "eu-west-1"),
        ("p-1.op-1.s3-outposts.eu-west-1.amazonaws.com", "s3-outposts", "eu-west-1"),
        ("p-1.s3-object-lambda.eu-west-1.amazonaws.com", "s3-object-lambda", "eu-west-1"),
        ("b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com", "s3express", "us-east-1"),
        ("s3express-control.us-east-1.amazonaws.com", "s3express", "us-east-1"),
        ("bucket.vpce-1a2b.s3.us-east-1.vpce.amazonaws.com", "s3", "us-east-1"),
        ("vpce-0abc-xyz.sqs.eu-west-1.vpce.amazonaws.com", "sqs", "eu-west-1"),
        ("a1b2c3.execute-api.eu-west-1.amazonaws.com", "execute-api", "eu-west-1"),
        ("a1b2c3.appsync-api.eu-west-1.amazonaws.com", "appsync", "eu-west-1"),
        ("abcdef.lambda-url.eu-west-1.on.aws", "lambda", "eu-west-1"),
        ("svc-1.7d67968.vpc-lattice-svcs.eu-west-1.on.aws", "vpc-lattice-svcs", "eu-west-1"),
        ("search-logs-abc.eu-west-1.es.amazonaws.com", "es", "eu-west-1"),
        ("abc123.eu-west-1.aoss.amazonaws.com", "aoss", "eu-west-1"),
        ("eu-west-1.queue.amazonaws.com", "sqs", "eu-west-1"),
        ("c.cluster-abc.us-east-1.neptune.amazonaws.com:8182", "neptune-db", "us-east-1"),
        ("111122223333.ddb.eu-west-1.amazonaws.com", "dynamodb", "eu-west-1"),
        ("aps-workspaces.eu-west-1.amazonaws.com", "aps", "eu-west-1"),
        ("sts.amazonaws.com", "sts", "us-east-1"),
        ("iam.amazonaws.com", "iam", "us-east-1"),
        ("sts.cn-north-1.amazonaws.com.cn", "sts", "cn-north-1"),
        ("a1b2-ats.iot.eu-west-1.amazonaws.com", "iotdata", "eu-west-1"),
        ("sqs.eusc-de-east-1.amazonaws.eu", "sqs", "eusc-de-east-1"),
    ] {
        assert_eq!(told(host), (service.to_owned(), region.to_owned()), "{host}");
        assert!(agreed(region, service, host).is_ok(), "{host}");
    }
}

#[test]
fn a_scope_of_another_service_or_region_than_the_hosts_is_refused() {
    for (region, service, host) in [
        ("us-east-1", "sts", "bucket.s3.us-east-1.amazonaws.com"),
        ("us-east-1", "s3", "sts.us-east-1.amazonaws.com"),
        ("eu-west-1", "sqs", "sqs.us-east-1.amazonaws.com"),
        ("eu-west-1", "s3", "s3.us-east-1.amazonaws.com"),
        ("us-east-1", "iam", "iamx.us-east-1.amazonaws.com"),
        ("us-east-1", "iam", "x.iamiam.us-east-1.amazonaws.com"),
        ("us-east-1", "email", "email.us-east-1.amazonaws.com"),
        ("eu-west-1", "es", "search-logs-abc.us-east-1.es.amazonaws.com"),
    ] {
        assert!(matches!(agreed(region, service, host), Err(Error::Mismatch { .. })), "{region} {service} {host}");
    }
    let text = agreed("us-east-1", "sts", "sqs.us-east-1.amazonaws.com").unwrap_err().to_string();
    assert_eq!(
        text,
        "the request is signed for the service \"sts\", but sqs.us-east-1.amazonaws.com belongs to \"sqs\"; use the endpoint of what is called"
    );
}

#[test]
fn a_host_that_names_no_region_takes_the_callers() {
    assert_eq!(agreed("eu-west-1", "s3", "bucket.s3.amazonaws.com").unwrap().region, "eu-west-1");
    assert_eq!(agreed("eu-west-1", "s3", "bucket.s3-accelerate.amazonaws.com").unwrap().region, "eu-west-1");
}

#[test]
fn hosts_of_others_take_the_callers_scope_and_the_rules() {
    let host = "account.r2.cloudflarestorage.com";
    assert_eq!(agreed("auto", "s3", host).unwrap().region, "auto");
    assert_eq!(agreed("auto", "s3", "[::1]:9000").unwrap().region, "auto");
    let rule = Defaults { service: Some("s3"), region: Some("auto") };
    let scope = Scope::of(None, host, &rule).unwrap();
    assert_eq!((scope.service.as_str(), scope.region.as_str()), ("s3", "auto"));
    // The service of the rule binds, its region does not.
    assert!(matches!(Scope::of(Some(&asked("auto", "sts")), host, &rule), Err(Error::Mismatch { part: "service", .. })));
    assert_eq!(Scope::of(Some(&asked("us-east-1", "s3")), host, &rule).unwrap().region, "us-east-1");
    assert!(matches!(Scope::of(None, host, &NO_DEFAULTS), Err(Error::Unknown { part: "service", .. })));
    let service = Defaults { service: Some("s3"), region: None };
    assert!(matches!(Scope::of(None, host, &service), Err(Error::Unknown { part: "region", .. })));
    // A name that only ends like one of AWS's is another's.
    assert!(matches!(Scope::of(None, "s3.evilamazonaws.com", &NO_DEFAULTS), Err(Error::Unknown { .. })));
}

#[test]
fn a_default_region_serves_buckets_and_no_global_service() {
    let rule = Defaults { service: None, region: Some("eu-west-1") };
    let region = |host| Scope::of(None, host, &rule).unwrap().region;
    assert_eq!(region("bucket.s3.amazonaws.com"), "eu-west-1");
    assert_eq!(region("iam.amazonaws.com"), "us-east-1");
    assert_eq!(region("sqs.us-west-2.amazonaws.com"), "us-west-2");
    let bad = Defaults { service: None, region: Some("eu/west") };
    assert!(matches!(Scope::of(None, "bucket.s3.amazonaws.com", &bad), Err(Error::Word { part: "region", .. })));
}
