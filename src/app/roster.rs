//! Agents that a person adds, limits or takes away: in the file, and in force in this process at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};

use super::config::Config;
use super::home::{Home, HomeError};
use super::reload::Reload;
use crate::agent::{Limits, Registered};
use crate::gateway::{Cause, Change, Door, Roster};
use crate::model::AgentName;

impl Home {
    /// Adds `row` to the lasting agents, and says how many there were before; `None` where the name is taken.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn add_agent(&self, row: &Registered) -> Result<Option<usize>, HomeError> {
        let passing = self.passing()?;
        self.change_agents(|agents| {
            let count = agents.len();
            let taken = agents.iter().chain(&passing).any(|agent| agent.name == row.name);
            if !taken {
                agents.push(row.clone());
            }
            (!taken).then_some(count)
        })
    }

    /// Puts `limits` on the lasting agent called `name`; false = there is none.
    ///
    /// # Errors
    /// As [`HomeError`] says.
    pub fn limit_agent(&self, name: &AgentName, limits: &Limits) -> Result<bool, HomeError> {
        self.change_agents(|agents| match agents.iter_mut().find(|agent| agent.name == *name) {
            Some(row) => {
                limits.put_on(row);
                true
            }
            None => false,
        })
    }

    fn change_roster(&self, change: &Change) -> Result<bool, HomeError> {
        match change {
            Change::Add(row) => Ok(self.add_agent(row)?.is_some()),
            Change::Limit(name, limits) => self.limit_agent(name, limits),
            Change::Freeze(frozen) => self.freeze(frozen),
            Change::Thaw(name) => self.thaw(name),
            Change::Revoke(name) => self.revoke(name),
        }
    }
}

/// The way to the agents, for the gateway beside the proxy.
pub(super) fn roster(reload: &Arc<Reload>, addresses: &[SocketAddr]) -> Roster {
    let shared = Arc::downgrade(reload);
    let live = reload.live.lock().unwrap_or_else(PoisonError::into_inner);
    Roster {
        change: Box::new(move |change| {
            let reload = shared.upgrade().ok_or("the process is ending").map_err(Cause::from)?;
            Ok(reload.change_agents(|home| home.change_roster(change))?)
        }),
        door: door(&reload.home, &live.config, addresses),
    }
}

fn door(home: &Home, config: &Config, addresses: &[SocketAddr]) -> Option<Door> {
    let first = addresses.first()?;
    let far = addresses.iter().take(config.proxy.listen.len()).find(|address| !address.ip().is_loopback());
    let elsewhere = far.map(|far| match config.proxy.names.first() {
        Some(name) => format!("{name}:{}", far.port()),
        None if far.ip().is_unspecified() => format!("nexus:{}", far.port()),
        None => far.to_string(),
    });
    Some(Door { here: reachable(*first), elsewhere, bundle: home.bundle().display().to_string() })
}

/// Where a program on this machine reaches a listener: one on every address is reached by loopback.
pub fn reachable(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_by_loopback() {
        for (listens, reached) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("10.0.0.5:3", "10.0.0.5:3")] {
            assert_eq!(reachable(listens.parse().expect("an address")), reached);
        }
    }

    #[test]
    fn who_comes_from_elsewhere_is_told_a_name_that_the_proxy_has() {
        let home = Home::new("/home/me/.nexus");
        let door = |names: &str, address: &str| {
            let text = format!("[proxy]\nlisten = [\"{address}\"]\nnames = [{names}]\n[policy]\ndefault = \"deny\"\n");
            let config = Config::parse("nexus.toml", &text, &[]).expect("a configuration");
            door(&home, &config, &[address.parse().expect("an address")]).and_then(|door| door.elsewhere)
        };
        assert_eq!(door("", "127.0.0.1:8091"), None);
        assert_eq!(door("\"proxy.example\"", "0.0.0.0:8091").as_deref(), Some("proxy.example:8091"));
        assert_eq!(door("", "10.0.0.5:8091").as_deref(), Some("10.0.0.5:8091"));
    }
}
