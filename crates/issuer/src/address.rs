//! Where a request goes.

use anyhow::bail;
use records::Secret;
use ureq::http::Uri;

/// The http or https address of a server. Its path may be all that protects it, so everything but its origin is secret.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) url: Secret,
    pub(crate) is_https: bool,
    pub(crate) host: String,
    /// Scheme, host and port, which may be shown.
    pub(crate) origin: String,
}

impl Address {
    /// Reads an address. The error shows no part of it.
    ///
    /// # Errors
    /// It is no URL with a host, or neither http nor https.
    pub(crate) fn parse(url: Secret) -> anyhow::Result<Self> {
        let uri = url.expose().parse::<Uri>().unwrap_or_default();
        let (scheme @ ("http" | "https"), Some(host)) =
            (uri.scheme_str().unwrap_or_default(), uri.host().filter(|host| !host.is_empty()))
        else {
            bail!("expected a URL such as https://host.example.com/path");
        };
        let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
        let (is_https, host, origin) =
            (scheme == "https", host.to_owned(), format!("{scheme}://{host}{port}"));
        Ok(Self { url, is_https, host, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_scheme_host_and_port_are_shown() {
        let show = |url: &str| Address::parse(Secret::new(url)).unwrap().origin;
        assert_eq!(
            show("https://user:sEcReT@hooks.example.test:8443/sEcReT?k=sEcReT"),
            "https://hooks.example.test:8443"
        );
        assert_eq!(show("http://ntfy/sEcReT"), "http://ntfy");
        let address = Address::parse(Secret::new("https://hooks.example.test/sEcReT")).unwrap();
        assert!(!format!("{address:?}").contains("sEcReT"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for url in [
            "",
            "sEcReT",
            "/sEcReT",
            "ftp://host/sEcReT",
            "https:///sEcReT",
            "https://a b/sEcReT",
            "//host/sEcReT",
        ] {
            let error = format!("{:#}", Address::parse(Secret::new(url)).unwrap_err());
            assert_eq!(error, "expected a URL such as https://host.example.com/path", "{url}");
        }
    }
}
