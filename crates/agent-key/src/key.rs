//! A key, and the hash by which it is known.

use std::fmt::Write as _;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use records::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A key with which an agent asks `LiteLLM`.
#[derive(Debug)]
pub(crate) struct AgentKey(Secret);

/// The SHA-256 of a key, as 64 hexadecimal digits. The key has 256 random bits, so no slower hash is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KeyDigest(String);

impl AgentKey {
    /// A new one.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn random() -> anyhow::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).context("no randomness for a key")?;
        Ok(Self(Secret::new(&format!("sk-{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))))
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }

    pub(crate) fn digest(&self) -> KeyDigest {
        let digest = Sha256::digest(self.0.expose());
        KeyDigest(digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes what is written");
            text
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_another_and_its_debug_form_hides_it() {
        let (one, other) = (AgentKey::random().unwrap(), AgentKey::random().unwrap());
        assert_ne!(one.secret(), other.secret());
        assert_eq!(one.secret().expose().len(), "sk-".len() + 43);
        assert!(one.secret().expose().starts_with("sk-"));
        assert!(!format!("{one:?}").contains(one.secret().expose()));
    }

    #[test]
    fn the_digest_is_the_one_that_litellm_makes_of_the_key() {
        let key = AgentKey(Secret::new("sk-of-ann"));
        let sha256sum = "eb27286a3070dc692776742ee3571177bee09a66c9df767aede83654c5fb4365";
        assert_eq!(key.digest().0, sha256sum);
    }
}
