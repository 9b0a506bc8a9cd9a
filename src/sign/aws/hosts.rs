//! What the name of a host says about service and region.
//!
//! Source: AWS General Reference, "Service endpoints and quotas"; where a service signs under another name than its host's, the
//! service models that AWS ships with its SDKs (`signingName` beside `endpointPrefix`).

/// Domains of AWS, and the region of the global services there.
const DOMAINS: [(&str, &str); 7] = [
    (".amazonaws.com", "us-east-1"),
    (".api.aws", "us-east-1"),
    (".on.aws", "us-east-1"),
    (".amazonaws.com.cn", "cn-northwest-1"),
    (".api.amazonwebservices.com.cn", "cn-northwest-1"),
    (".amazonaws.eu", "eusc-de-east-1"),
    (".api.amazonwebservices.eu", "eusc-de-east-1"),
];

/// Labels whose services sign under other names; the first is taken where a caller says none. `*.` stands for any label before it.
const NAMES: [(&str, &[&str]); 68] = [
    ("*.connect", &["execute-api", "connect"]),
    ("*.geo", &["geo", "geo-maps", "geo-places", "geo-routes"]),
    ("*.iot", &["iotdata", "iotdevicegateway", "iot-jobs-data", "IoTSecuredTunneling"]),
    ("*.pinpoint", &["sms-voice", "mobiletargeting"]),
    ("*.sso", &["awsssoportal"]),
    ("account-access-runtime", &["account-access"]),
    ("agent-registry-control", &["agent-registry"]),
    ("aos", &["es"]),
    ("appconfigdata", &["appconfig"]),
    ("appstream2", &["appstream"]),
    ("appsync-api", &["appsync"]),
    ("aps-workspaces", &["aps"]),
    ("arc-recovery-control-config", &["route53-recovery-control-config"]),
    ("bedrock-agent", &["bedrock"]),
    ("bedrock-agent-runtime", &["bedrock"]),
    ("bedrock-agentcore-control", &["bedrock-agentcore"]),
    ("bedrock-data-automation", &["bedrock"]),
    ("bedrock-data-automation-runtime", &["bedrock"]),
    ("bedrock-mantle", &["bedrock-mantle", "bedrock"]),
    ("bedrock-runtime", &["bedrock"]),
    ("cassandra-streams", &["cassandra"]),
    ("cloudhsmv2", &["cloudhsm"]),
    ("cloudsearchdomain", &["cloudsearch"]),
    ("cloudwatch-omni", &["cloudwatch"]),
    ("contact-lens", &["connect"]),
    ("control-kinesis", &["kinesis"]),
    ("data-kinesis", &["kinesis"]),
    ("data-signer", &["signer"]),
    ("ddb", &["dynamodb"]),
    ("efs", &["elasticfilesystem"]),
    ("email", &["ses"]),
    ("eventsv2", &["events"]),
    ("forecastquery", &["forecast"]),
    ("git-codecommit", &["codecommit"]),
    ("iam-toolbox", &["iam"]),
    ("importexport", &["IngestionService", "importexport"]),
    ("iot", &["iot", "execute-api", "iotdata", "iotdevicegateway"]),
    ("iot-tunneling", &["IoTSecuredTunneling"]),
    ("ivsrealtime", &["ivs"]),
    ("kafka-api", &["kafka"]),
    ("kinesis-queues", &["kinesis"]),
    ("lambda-url", &["lambda"]),
    ("mail-manager", &["ses"]),
    ("marketplace", &["aws-marketplace"]),
    ("memory-db", &["memorydb"]),
    ("migrationhub-config", &["mgh"]),
    ("neptune", &["neptune-db"]),
    ("oidc", &["sso-oauth"]),
    ("partnercentral-prm", &["partnercentral"]),
    ("personalize-events", &["personalize"]),
    ("personalize-runtime", &["personalize"]),
    ("pinpoint", &["mobiletargeting"]),
    ("queue", &["sqs"]),
    ("s3", &["s3"]),
    ("s3-accelerate", &["s3"]),
    ("s3-accesspoint", &["s3"]),
    ("s3-control", &["s3"]),
    ("s3-external-1", &["s3"]),
    ("s3-global", &["s3"]),
    ("s3-object-lambda", &["s3-object-lambda"]),
    ("s3-outposts", &["s3-outposts"]),
    ("s3express-control", &["s3express"]),
    ("servicecatalog-appregistry", &["servicecatalog"]),
    ("streaming-logs", &["logs"]),
    ("streams-dynamodb", &["dynamodb"]),
    ("timestream-ingest", &["timestream"]),
    ("timestream-query", &["timestream"]),
    ("transcribestreaming", &["transcribe"]),
];

/// Families of labels: every `meetings-chime` signs as `chime`.
const FAMILIES: [(&str, &[&str]); 3] = [("-chime", &["chime"]), ("-lex", &["lex"]), ("-marketplace", &["aws-marketplace"])];

/// What a host name of AWS says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim<'a> {
    /// The label that stands for the service, without `-fips`.
    label: &'a str,
    /// Its signing names, where they are not the label.
    names: &'static [&'static str],
    /// The region, where the host names one.
    pub(super) region: Option<&'a str>,
    /// The region that a host without one belongs to.
    pub(super) home: &'static str,
}

impl<'a> Claim<'a> {
    /// What `host`, in lower case and with or without a port, says; nothing where it is not AWS's or of no known form.
    pub(super) fn of(host: &'a str) -> Option<Self> {
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let (rest, home) = DOMAINS.iter().find_map(|(domain, home)| Some((name.strip_suffix(domain)?, *home)))?;
        let mut labels: Vec<&str> = rest.split('.').collect();
        // Interface endpoints of a VPC, and the two words that stand for no region.
        labels.pop_if(|last| *last == "vpce");
        labels.pop_if(|last| *last == "global");
        let government = labels.pop_if(|last| *last == "us-gov").is_some();
        let mut region = labels.pop_if(|last| is_region(last));
        labels.pop_if(|last| *last == "dualstack");
        let mut label = without_fips(labels.pop()?);
        // OpenSearch, Neptune and older hosts have the region first. A bucket's name before `s3` is no region.
        if region.is_none() && !label.starts_with("s3") {
            region = labels.pop_if(|last| is_region(last));
        }
        if let Some(found) = label.strip_prefix("s3-").map(without_fips_prefix).filter(|found| is_region(found)) {
            (label, region) = ("s3", Some(found));
        }
        let home = match label {
            _ if government => "us-gov-west-1",
            "iam" | "sts" if home == "cn-northwest-1" => "cn-north-1",
            _ => home,
        };
        Some(Self { label, names: names(label, !labels.is_empty()), region, home })
    }

    /// Whether a signature for `service` belongs to this host.
    ///
    /// A label that is not in the table may sign as itself or as the service that it is a part of, as `personalize-events` does: AWS
    /// adds such hosts faster than a table can follow.
    pub(super) fn allows(&self, service: &str) -> bool {
        if !self.names.is_empty() {
            return self.names.contains(&service);
        }
        let part_of = |rest: Option<&str>| rest.is_some_and(|rest| rest.starts_with('-') || rest.ends_with('-'));
        service == self.label || part_of(self.label.strip_prefix(service)) || part_of(self.label.strip_suffix(service))
    }

    /// The signing name to take where the caller says none.
    pub(super) fn service(&self) -> &str {
        self.names.first().copied().unwrap_or(self.label)
    }

    /// Whether the host is S3's, whose global name says no region.
    pub(super) fn is_storage(&self) -> bool {
        self.names.first() == Some(&"s3")
    }
}

fn names(label: &str, prefixed: bool) -> &'static [&'static str] {
    let row = |found: &dyn Fn(&str) -> bool| NAMES.iter().find(|(name, _names)| found(name)).map(|(_name, names)| *names);
    let any = prefixed.then(|| row(&|name| name.strip_prefix("*.") == Some(label))).flatten();
    let zone = label.starts_with("s3express-").then_some(&["s3express"] as &[&str]);
    let family = || FAMILIES.iter().find(|(ending, _names)| label.ends_with(ending)).map(|(_ending, names)| *names);
    any.or_else(|| row(&|name| name == label)).or(zone).or_else(family).unwrap_or_default()
}

/// `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`.
fn is_region(label: &str) -> bool {
    let mut parts = label.split('-');
    let area = parts.next().is_some_and(|part| (2..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase()));
    let number =
        parts.next_back().is_some_and(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    let middle: Vec<&str> = parts.collect();
    let words = middle.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()));
    area && number && words && (1..=3).contains(&middle.len())
}

fn without_fips(label: &str) -> &str {
    without_fips_prefix(label.strip_suffix("-fips").unwrap_or(label))
}

fn without_fips_prefix(label: &str) -> &str {
    label.strip_prefix("fips-").unwrap_or(label)
}
