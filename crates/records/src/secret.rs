//! Tokens, kept out of every log by their type.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A token. Printed, also with `{:?}`, it is `…` and the start of its SHA-256, which distinguishes two tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a token, without the white space around it, such as a file's last newline.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.trim().to_owned())
    }

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first 16 hexadecimal digits of its SHA-256, which identify a token where it must not be written.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.0);
        let start = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{start:016x}")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", &self.fingerprint()[..8])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_a_fingerprint_and_never_the_token() {
        let secret = Secret::new("rt-very-secret\n");
        assert_eq!(secret.expose(), "rt-very-secret");
        assert_eq!(format!("{secret:?}"), format!("{secret}"));
        assert_eq!(format!("{secret}").chars().count(), 9);
        assert!(!format!("{secret:?} {secret}").contains("secret"));
        assert_ne!(format!("{secret}"), format!("{}", Secret::new("another")));
    }
}
