//! The scope of a signature: for which region and service it is good.

use super::asked::Asked;
use super::error::Error;
use super::hosts::Claim;

/// A region and a service, both words that can stand in the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Such as `eu-west-1`.
    pub(crate) region: String,
    /// The service's signing name, such as `s3`.
    pub(crate) service: String,
}

/// What a rule or its connection says, where neither the caller nor the host does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Defaults<'a> {
    /// The service's signing name. It binds: a caller's signature for another is refused.
    pub(crate) service: Option<&'a str>,
    /// The region to use where nothing else names one.
    pub(crate) region: Option<&'a str>,
}

impl Scope {
    /// A scope of two checked words.
    ///
    /// # Errors
    /// A word that is empty, long or holds anything but letters, digits, `-` and `_`: it could not be told apart in the signed text.
    pub(crate) fn new(region: &str, service: &str) -> Result<Self, Error> {
        let word = |part, value: &str| {
            let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            let fits = plain && (1..=64).contains(&value.len());
            if fits { Ok(value.to_owned()) } else { Err(Error::Word { part, value: value.chars().take(64).collect() }) }
        };
        Ok(Self { region: word("region", region)?, service: word("service", service)? })
    }

    /// The scope to sign a request to `host` for: the caller's, as far as host and rule agree, else what the host or the rule says.
    ///
    /// A signature is good only at the host that it covers, so a wrong scope gives a caller little; but doubt is a refusal.
    ///
    /// # Errors
    /// A caller's scope that is not the host's or the rule's, or nothing that says one.
    pub(crate) fn of(asked: Option<&Asked>, host: &str, defaults: &Defaults<'_>) -> Result<Self, Error> {
        let claim = Claim::of(host);
        match asked {
            Some(asked) => asked.scope.agreeing(claim.as_ref(), host, defaults),
            None => Self::told(claim.as_ref(), host, defaults),
        }
    }

    fn agreeing(&self, claim: Option<&Claim<'_>>, host: &str, defaults: &Defaults<'_>) -> Result<Self, Error> {
        let mismatch = |part, asked: &str, ours: &str| {
            Err(Error::Mismatch { part, asked: asked.to_owned(), host: host.to_owned(), ours: ours.to_owned() })
        };
        match (defaults.service, claim) {
            (Some(service), _) if service != self.service => return mismatch("service", &self.service, service),
            (None, Some(claim)) if !claim.allows(&self.service) => return mismatch("service", &self.service, claim.service()),
            _ => {}
        }
        match claim.and_then(|claim| claim.region) {
            Some(region) if region != self.region => mismatch("region", &self.region, region),
            _ => Ok(self.clone()),
        }
    }

    fn told(claim: Option<&Claim<'_>>, host: &str, defaults: &Defaults<'_>) -> Result<Self, Error> {
        let unknown = |part| Error::Unknown { part, host: host.to_owned() };
        let service = defaults.service.or(claim.map(Claim::service)).ok_or_else(|| unknown("service"))?;
        let named = claim.and_then(|claim| claim.region);
        // A bucket on S3's global host may lie in any region; every other global host belongs to one.
        let global = claim.filter(|claim| !claim.is_storage()).map(|claim| claim.home);
        let region = named.or(global).or(defaults.region).or(claim.map(|claim| claim.home)).ok_or_else(|| unknown("region"))?;
        Self::new(region, service)
    }

    /// Whether the service is S3 or signs like it: the path encoded once and taken as it is, the payload's hash in a header
    /// (S3 API Reference, "Signature Calculations for the Authorization Header").
    pub(super) fn is_s3(&self) -> bool {
        matches!(self.service.as_str(), "s3" | "s3express" | "s3-object-lambda" | "s3-outposts")
    }

    /// Whether the payload's hash goes in `x-amz-content-sha256` though the caller sent none.
    pub(super) fn states_payload(&self) -> bool {
        self.is_s3() || matches!(self.service.as_str(), "aoss" | "glacier" | "vpc-lattice-svcs")
    }

    /// Whether a body that nothing is said of goes unsigned: S3 would have it read twice, VPC Lattice takes no other.
    pub(super) fn leaves_payload(&self) -> bool {
        self.is_s3() || self.service == "vpc-lattice-svcs"
    }

    /// Whether a presigned URL's session token is added after it is signed (AWS IoT Developer Guide, "MQTT over the WebSocket protocol").
    pub(super) fn adds_token_late(&self) -> bool {
        self.service == "iotdevicegateway"
    }
}
