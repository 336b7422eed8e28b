//! Where a server listens.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    At(SocketAddr),
    /// This port of every address, of either family.
    Everywhere(u16),
}

impl Listen {
    /// Reads an address with its port, or a port alone, as `:9095`.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let everywhere = text.strip_prefix(':').and_then(|port| port.parse().ok()).map(Self::Everywhere);
        let listen = everywhere.or_else(|| text.parse().ok().map(Self::At));
        listen.ok_or_else(|| "expected an address such as 127.0.0.1:9095, [::1]:9095 or :9095".to_owned())
    }

    /// In the order in which they are tried.
    #[must_use]
    pub fn addresses(self) -> Vec<SocketAddr> {
        match self {
            Self::At(address) => vec![address],
            Self::Everywhere(port) => {
                vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
            }
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Everywhere(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listens_at_one_address_or_at_all() {
        assert_eq!(Listen::parse(":9095"), Ok(Listen::Everywhere(9095)));
        assert_eq!(Listen::parse("[::1]:1").unwrap().to_string(), "[::1]:1");
        for text in ["9095", "localhost:9095", ":x", ""] {
            assert!(Listen::parse(text).is_err(), "{text}");
        }
    }
}
