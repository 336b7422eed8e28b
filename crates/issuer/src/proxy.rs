//! Which proxy a request goes through, by the same variables as reqwest, which codex uses.
//!
//! Three things differ. reqwest ignores a proxy that it cannot parse, and here that is an error, because a request that is
//! meant for a proxy must not be sent directly. A request to a plain http address is tunnelled (CONNECT), whereas reqwest
//! sends it to the proxy itself. And `*` in `NO_PROXY` means IP addresses, too.

use std::net::IpAddr;

use anyhow::Context as _;
use ureq::Proxy;
use ureq::http::Uri;

use crate::address::Address;
use crate::environment::Environment;

/// The proxy for an address: that for its scheme, else that for all schemes, and none for a host that `NO_PROXY` names. A
/// loopback address is no exception by itself.
///
/// # Errors
/// The value of a variable is no proxy. It is not shown, because it may hold a password.
pub(crate) fn of(address: &Address, environment: Environment<'_>) -> anyhow::Result<Option<Proxy>> {
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| environment.text(name).map(|value| (*name, value)))
    };
    // A CGI program gets a header of its client as HTTP_PROXY; reqwest uses no proxy at all there.
    let is_cgi = environment.text("REQUEST_METHOD").is_some();
    let excepted = first(&["NO_PROXY", "no_proxy"]);
    if is_cgi
        || excepted.is_some_and(|(_, list)| list.split(',').any(|one| excepts(one.trim(), &address.host)))
    {
        return Ok(None);
    }
    let own = if address.is_https { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let Some((name, value)) = first(&own).or_else(|| first(&["ALL_PROXY", "all_proxy"])) else {
        return Ok(None);
    };
    let proxy = parse(&value).with_context(|| {
        format!(
            "{name} is no proxy such as http://proxy.example.com:3128 (http, https, socks4, socks4a, socks5 or \
             socks5h; special characters of a user or password as %XX)"
        )
    })?;
    Ok(Some(proxy))
}

/// A proxy without user and password.
pub(crate) fn shown(proxy: &Proxy) -> String {
    let scheme = proxy.uri().scheme_str().unwrap_or("http");
    format!("{scheme}://{}:{}", proxy.host(), proxy.port())
}

fn parse(value: &str) -> Option<Proxy> {
    let uri = value.parse::<Uri>().ok()?;
    let authority = uri.authority()?.as_str();
    let place = match authority.rsplit_once('@') {
        Some((_, place)) => place,
        // The parser ends the host at a / ? or # in a password, and the first half of the password would be shown.
        None if value.contains('@') => return None,
        None => authority,
    };
    let host = uri.host().filter(|host| !host.is_empty())?;
    // The parser ignores a port that is no number.
    match place.strip_prefix(host)?.strip_prefix(':') {
        Some(port) if port.parse::<u16>().is_ok_and(|port| port != 0) => {}
        None if place == host => {}
        _ => return None,
    }
    Proxy::new(value).ok()
}

/// Whether an entry of `NO_PROXY` means a host: `*`, a domain with all below it, with or without a dot in front, an
/// address, or a network such as 10.0.0.0/8.
fn excepts(entry: &str, host: &str) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let (network, bits) = match entry.split_once('/') {
            Some((network, bits)) => (network, bits.parse().ok()),
            None => (entry, Some(u32::MAX)),
        };
        return match (network.parse(), bits) {
            (Ok(network), Some(bits)) => is_in(address, network, bits),
            _ => false,
        };
    }
    let (domain, host) = (entry.trim_start_matches('.').to_ascii_lowercase(), host.to_ascii_lowercase());
    !domain.is_empty()
        && host.strip_suffix(&domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether the first bits of two addresses of one family are the same.
fn is_in(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (left, right, length) = match (address, network) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            (u128::from(left.to_bits()), u128::from(right.to_bits()), 32)
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => (left.to_bits(), right.to_bits(), 128),
        _ => return false,
    };
    (left ^ right).checked_shr(length - bits.min(length)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use records::Secret;

    use super::*;

    fn way(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let lookup = |name: &str| variables.get(name).map(Into::into);
        let address = Address::parse(Secret::new(url)).unwrap();
        of(&address, Environment(&lookup))
            .map(|proxy| proxy.as_ref().map(shown))
            .map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn each_scheme_has_its_own_variable_and_then_the_one_for_all() {
        let all = ("ALL_PROXY", "socks5h://all:1");
        for (url, variables, expected) in [
            ("https://a.test", &[all, ("HTTPS_PROXY", "http://own:2")][..], Some("http://own:2")),
            ("https://a.test", &[all, ("https_proxy", "http://own:2")], Some("http://own:2")),
            (
                "https://a.test",
                &[("HTTPS_PROXY", "upper:1"), ("https_proxy", "lower:2")],
                Some("http://upper:1"),
            ),
            ("https://a.test", &[all, ("HTTP_PROXY", "http://own:2")], Some("socks5h://all:1")),
            ("http://a.test", &[all, ("HTTP_PROXY", "http://own:2")], Some("http://own:2")),
            ("http://a.test", &[all, ("http_proxy", "http://own:2")], Some("http://own:2")),
            ("http://a.test", &[("HTTPS_PROXY", "http://own:2")], None),
            ("https://a.test", &[("HTTP_PROXY", "http://own:2")], None),
            ("https://a.test", &[("all_proxy", "socks4://all")], Some("socks4://all:1080")),
            ("https://a.test", &[], None),
            ("https://a.test", &[("HTTPS_PROXY", ""), ("https_proxy", " "), all], Some("socks5h://all:1")),
            ("http://127.0.0.1:1", &[all], Some("socks5h://all:1")),
            ("https://a.test", &[all, ("REQUEST_METHOD", "GET")], None),
        ] {
            assert_eq!(way(url, variables), Ok(expected.map(ToOwned::to_owned)), "{url} {variables:?}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_user_and_password() {
        for (value, expected) in [
            ("http://user:sEcReT@proxy:3128", "http://proxy:3128"),
            ("user:sEcReT@proxy:3128", "http://proxy:3128"),
            ("https://user:sEcR%40eT@proxy", "https://proxy:443"),
            ("http://user:sEcReT@eT@proxy/", "http://proxy:80"),
            ("socks5://[::1]:1080", "socks5://[::1]:1080"),
            ("proxy", "http://proxy:80"),
        ] {
            let shown = way("https://a.test", &[("HTTPS_PROXY", value)]);
            assert_eq!(shown, Ok(Some(expected.to_owned())), "{value}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_an_error_that_names_the_variable_and_shows_nothing_of_it() {
        for value in [
            "::sEcReT::",
            "socks9://u:sEcReT@x y",
            "ftp://u:sEcReT@proxy:1",
            "http://u:sEcReT#1@proxy:1",
            "http://u:12/sEcReT@proxy:1",
            "http://u:12?sEcReT@proxy:1",
            "http://u:sEcReT@proxy:port",
            "http://u:sEcReT@proxy:99999",
            "http://u:sEcReT@proxy:0",
            "http://u:sEcReT@proxy:",
            "http://u:sEcReT@:3128",
            "http://u:%ffsEcReT@proxy:3128",
            "http://",
            "/sEcReT",
        ] {
            let error = way("https://a.test", &[("HTTPS_PROXY", value)]).unwrap_err();
            assert!(
                error.starts_with("HTTPS_PROXY is no proxy such as ") && !error.contains("sEcReT"),
                "{error}"
            );
            // It is not read where it is not used.
            assert_eq!(way("https://a.test", &[("HTTPS_PROXY", value), ("NO_PROXY", "a.test")]), Ok(None));
        }
    }

    #[test]
    fn no_proxy_names_domains_addresses_and_networks() {
        for (entry, host, expected) in [
            ("*", "a.test", true),
            ("*", "10.9.8.7", true),
            ("a.test", "a.test", true),
            ("A.Test", "a.tEST", true),
            ("a.test", "b.a.test", true),
            (".a.test", "b.a.test", true),
            (".a.test", "a.test", true),
            ("a.test", "ba.test", false),
            ("a.test", "a.test.b", false),
            ("", "a.test", false),
            (".", "a.test", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.9.8.7", false),
            ("0.0.0.0/0", "11.9.8.7", true),
            ("10.0.0.0/99", "10.0.0.0", true),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("::1", "[::1]", true),
            ("fd00::/8", "[fd12::1]", true),
            ("::/0", "[fd12::1]", true),
            ("::/0", "10.0.0.1", false),
            ("0.1", "10.0.0.1", false),
        ] {
            assert_eq!(excepts(entry, host), expected, "{entry} {host}");
        }
        let variables = [("ALL_PROXY", "http://proxy:1"), ("no_proxy", "b.test, a.test")];
        assert_eq!(way("https://a.test", &variables), Ok(None));
        assert_eq!(way("https://c.test", &variables), Ok(Some("http://proxy:1".to_owned())));
    }
}
