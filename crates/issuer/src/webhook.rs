//! A receiver of events that takes JSON by POST.

use anyhow::{Context as _, bail};
use auth_volume::Secret;
use serde_json::Value;
use ureq::http::Uri;
use ureq::{Agent, Error};

use crate::client;

/// The receiver. Its address often lets in whoever knows it, so it is a secret but for its host.
#[derive(Debug)]
pub struct Webhook {
    agent: Agent,
    url: Secret,
    shown: String,
}

impl Webhook {
    /// The receiver at this address, through the proxy and with the trust that the environment names.
    ///
    /// # Errors
    /// It is no address, or a certificate file that is named cannot be read.
    pub fn at(url: Secret) -> anyhow::Result<Self> {
        let shown = shown(url.expose()).context("want a URL such as https://hooks.example.com/x")?;
        let (agent, _) = client::agent()?;
        Ok(Self { agent, url, shown })
    }

    /// Its scheme and host, which may be told.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Posts a document. A redirect is not followed: what is told is for this receiver.
    ///
    /// # Errors
    /// Why the receiver may not have it.
    pub fn post(&self, document: Value) -> Result<(), String> {
        match self.agent.post(self.url.expose()).send_json(document) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("HTTP {}", answer.status().as_u16())),
            // These show the address.
            Err(Error::BadUri(_) | Error::RequireHttpsOnly(_) | Error::Http(_)) => {
                Err("its address cannot be used".to_owned())
            }
            Err(e) => Err(e.to_string()),
        }
    }
}

fn shown(url: &str) -> anyhow::Result<String> {
    // Its own error is left out: it may show a part of the address.
    let Ok(uri) = url.parse::<Uri>() else { bail!("not a URL") };
    let (scheme, Some(host)) = (uri.scheme_str().unwrap_or_default(), uri.host()) else {
        bail!("no host in it")
    };
    if !["http", "https"].contains(&scheme) || host.is_empty() {
        bail!("neither http nor https");
    }
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    Ok(format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_scheme_and_host_are_shown() {
        let show = |url: &str| shown(url).map_err(|e| e.to_string());
        assert_eq!(
            show("https://user:sEcReT@hooks.example.test:8443/sEcReT?k=sEcReT"),
            Ok("https://hooks.example.test:8443".to_owned())
        );
        assert_eq!(show("http://ntfy/sEcReT"), Ok("http://ntfy".to_owned()));
        for url in [
            "",
            "sEcReT",
            "/sEcReT",
            "ftp://host/sEcReT",
            "https:///sEcReT",
            "https://a b/sEcReT",
            "//host/sEcReT",
        ] {
            let said = format!("{:#}", Webhook::at(Secret::new(url)).unwrap_err());
            assert!(said.starts_with("want a URL such as ") && !said.contains("sEcReT"), "{said}");
        }
        let webhook = Webhook::at(Secret::new("https://hooks.example.test/sEcReT")).unwrap();
        assert!(!format!("{webhook:?}").contains("sEcReT"));
    }
}
