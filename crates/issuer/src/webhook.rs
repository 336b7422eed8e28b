//! A receiver of events that takes JSON by POST.

use records::Secret;
use serde_json::Value;

use crate::address::Address;
use crate::client::{Client, Limits};
use crate::environment::Environment;

/// The receiver. Its address often lets in anyone who knows it, so it is a secret but for its host.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
}

impl Webhook {
    /// The receiver at this address, through the proxy and with the trust that the environment names.
    ///
    /// # Errors
    /// It is no address, or a proxy or a certificate file that is named cannot be used.
    pub fn at(url: Secret) -> anyhow::Result<Self> {
        let client = Client::new(Address::parse(url)?, Environment::of_process(), Limits::USUAL)?;
        Ok(Self { client })
    }

    /// Its scheme and host, which may be told.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.client.address.origin
    }

    /// Posts a document. A redirect is not followed: what is told is for this receiver.
    ///
    /// # Errors
    /// Why the receiver may not have it.
    pub fn post(&self, document: Value) -> Result<(), String> {
        match self.client.post(document) {
            Ok(reply) if (200..300).contains(&reply.status()) => Ok(()),
            Ok(reply) => Err(self.client.with_proxy(format!("HTTP {}", reply.status()))),
            Err(failure) => Err(failure.said),
        }
    }
}
