//! The device flow (RFC 8628): a code that is typed on another device, and the questions until it was.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::account::Account;
use super::error::Error;
use super::obtained::Obtained;
use super::ports::Ports;
use crate::oauth::{self, Authentication, Client, Device, Expected, Poll, SLOWER};

/// So many questions in a row may get no answer.
const UNANSWERED: u32 = 5;

/// A device code that waits for a person.
#[derive(Debug)]
pub struct DeviceCode {
    device: Device,
    scope: String,
    ends: Instant,
}

impl DeviceCode {
    /// What is typed.
    pub fn user_code(&self) -> &str {
        &self.device.user_code
    }

    /// Where: an https page.
    pub fn verification_uri(&self) -> &str {
        &self.device.verification_uri
    }

    /// The same page with the code in it, where the service has one.
    pub fn complete(&self) -> Option<&str> {
        self.device.complete.as_deref()
    }

    /// How long it can still be typed.
    pub fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }
}

impl Account {
    /// Asks for a device code.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn device(&self, ports: &Ports) -> Result<DeviceCode, Error> {
        let oauth2 = self.oauth2()?;
        let template = oauth2.device_url.as_deref().ok_or_else(|| Error::NoDevice(self.provider.title.clone()))?;
        let (url, scope) = (self.address(template)?, self.scope()?);
        let mut client = self.client()?;
        // The secret is sealed for the token endpoint's host.
        if host(&url) != host(&self.address(&oauth2.token_url)?) {
            client = Client { authentication: Authentication::None, secret: None, ..client };
        }
        let reply = ports.send(oauth::ask_device(url, &client, &scope)?).await?;
        let device = oauth::read_device(&reply, ports.now())?;
        let ends = Instant::now() + device.life;
        Ok(DeviceCode { device, scope, ends })
    }

    /// Asks until the person has typed the code, as slowly as the service wants it.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn typed(&self, code: DeviceCode, ports: &Ports) -> Result<Obtained, Error> {
        let (url, client) = (self.address(&self.oauth2()?.token_url)?, self.client()?);
        let mut interval = code.device.interval;
        let mut unanswered = 0;
        loop {
            let next = Instant::now() + interval;
            if next >= code.ends {
                sleep_until(code.ends).await;
                return Err(Error::Expired);
            }
            sleep_until(next).await;
            let reply = match ports.send(code.device.poll(url.clone(), &client)?).await {
                Err(Error::Unreachable(_) | Error::Late) if unanswered < UNANSWERED => {
                    unanswered += 1;
                    // RFC 8628 §3.5: fewer questions to who doesn't answer.
                    interval += SLOWER;
                    continue;
                }
                reply => reply?,
            };
            unanswered = 0;
            let now = ports.now();
            match oauth::read_poll(&reply, now) {
                Poll::Granted(tokens) => {
                    let expected = Expected { issuer: self.issuer()?, nonce: None };
                    return self.obtained(tokens, code.scope, (&expected, now));
                }
                Poll::Pending => {}
                Poll::Slower => interval += SLOWER,
                Poll::Denied => return Err(oauth::Denied::Refused(String::new()).into()),
                Poll::Expired => return Err(Error::Expired),
                Poll::Failed(refused) => return Err(refused.into()),
            }
        }
    }
}

fn host(url: &str) -> Option<&str> {
    url.strip_prefix("https://")?.split(['/', '?']).next()
}
