//! `Limits`: what of an agent can be changed while it keeps its name and its token.

use std::time::SystemTime;

use super::file::Registered;
use crate::model::{HostTerm, ProviderId, Rate};

/// What is to be another; what is `None` stays as it is, and an inner `None` takes the limit away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Providers that it may use.
    pub providers: Option<Option<Vec<ProviderId>>>,
    /// Hosts that it may reach.
    pub hosts: Option<Option<Vec<HostTerm>>>,
    /// How many requests it may make.
    pub rate: Option<Option<Rate>>,
    /// When it ends.
    pub expires: Option<Option<SystemTime>>,
}

impl Limits {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts them on `row`.
    pub fn put_on(&self, row: &mut Registered) {
        let Self { providers, hosts, rate, expires } = self.clone();
        providers.into_iter().for_each(|providers| row.providers = providers);
        hosts.into_iter().for_each(|hosts| row.hosts = hosts);
        rate.into_iter().for_each(|rate| row.rate = rate);
        expires.into_iter().for_each(|expires| row.expires = expires);
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Token;
    use super::*;

    #[test]
    fn what_is_not_said_stays_and_a_limit_can_be_taken_away() {
        let token = Token::random().expect("random");
        let rate: Rate = "60/min".parse().expect("a rate");
        let before = Registered { rate: Some(rate), ..Registered::unlimited("ci".parse().expect("a name"), &token) };
        let put = |limits: Limits| {
            let mut row = before.clone();
            limits.put_on(&mut row);
            row
        };
        assert!(Limits::default().is_empty());
        assert_eq!(put(Limits::default()), before);
        let github = vec!["github".parse().expect("a provider")];
        let narrowed = put(Limits { providers: Some(Some(github.clone())), ..Limits::default() });
        assert_eq!(narrowed, Registered { providers: Some(github), ..before.clone() });
        assert_eq!(put(Limits { rate: Some(None), ..Limits::default() }), Registered { rate: None, ..before.clone() });
    }
}
