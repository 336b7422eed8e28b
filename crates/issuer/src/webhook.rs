//! A receiver of notifications that accepts JSON by POST.

use records::Secret;
use serde_json::Value;

use crate::address::Address;
use crate::client::{Client, Limits};
use crate::environment::Environment;

/// A webhook. Its address may be all that protects it, so everything but its origin is secret.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
}

impl Webhook {
    /// The webhook at this address, through the proxy and with the trust that the environment names.
    ///
    /// # Errors
    /// The text is no address, or a proxy or a certificate file that is named cannot be used.
    pub fn at(url: Secret) -> anyhow::Result<Self> {
        let client = Client::new(Address::parse(url)?, Environment::of_process(), Limits::USUAL)?;
        Ok(Self { client })
    }

    /// Its scheme, host and port, which may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.client.address.origin
    }

    /// Posts a document. A redirect is not followed, because the document is for this receiver only.
    ///
    /// # Errors
    /// Why the receiver may not have received it.
    pub fn post(&self, document: Value) -> Result<(), String> {
        match self.client.post(document) {
            Ok(reply) if (200..300).contains(&reply.status()) => Ok(()),
            Ok(reply) => Err(self.client.with_proxy(format!("HTTP {}", reply.status()))),
            Err(no_reply) => Err(no_reply.why),
        }
    }
}
