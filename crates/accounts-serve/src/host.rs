//! The names to which the server answers. Pure.
//!
//! A page elsewhere may point its own name at an address in the cluster, and then a browser lets it read the answers
//! (DNS rebinding). So only those names are answered that no one outside can own.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Version};

use crate::args::name;

/// The names that are answered besides those that need no configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Vec<String>);

/// How the names of Services end.
const CLUSTER: [&str; 2] = [".svc", ".svc.cluster.local"];

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It names no host, several, or one that is malformed.
    NoHost,
    /// It names a host to which the server does not answer.
    OtherHost,
}

impl Hosts {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether a request is for a name to which the server answers.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Refused> {
        let in_uri = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        let mut in_headers = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes);
        let in_header = in_headers.next();
        if in_headers.next().is_some() {
            return Err(Refused::NoHost);
        }
        // HTTP/1.0 has no such header, and no browser speaks it.
        if in_header.is_none() && request.version() >= Version::HTTP_11 {
            return Err(Refused::NoHost);
        }
        in_uri.into_iter().chain(in_header).try_for_each(|authority| self.check_one(authority))
    }

    fn check_one(&self, authority: &[u8]) -> Result<(), Refused> {
        let name = std::str::from_utf8(authority).ok().and_then(without_port).ok_or(Refused::NoHost)?;
        if self.has(&name.to_ascii_lowercase()) { Ok(()) } else { Err(Refused::OtherHost) }
    }

    fn has(&self, name: &str) -> bool {
        // Prometheus and the kubelet use an address, `kubectl port-forward` uses localhost; the others are names that
        // only the cluster's own DNS knows.
        let is_address = name.parse::<Ipv4Addr>().is_ok() || name.starts_with('[');
        let in_cluster = !name.contains('.') || CLUSTER.iter().any(|end| name.ends_with(end));
        is_address || in_cluster || self.0.iter().any(|ours| ours == name)
    }
}

/// The host of `HOST[:PORT]`, without the dot that may end a name; an IPv6 address keeps its brackets.
fn without_port(authority: &str) -> Option<&str> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(end);
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    if !is_port {
        return None;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok().then_some(host);
    }
    name(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(hosts: &[&str], host: &str) -> Result<(), Refused> {
        Hosts::new(hosts.iter().map(ToString::to_string))
            .check(&Request::builder().uri("/").header(HOST, host).body(()).unwrap())
    }

    #[test]
    fn addresses_and_names_that_only_the_cluster_knows_need_no_configuration() {
        for host in [
            "10.0.0.7:9095",
            "10.0.0.7",
            "[::1]:9095",
            "[fd00::7]",
            "localhost:9095",
            "LocalHost",
            "localhost.",
            "litellm-accounts:9095",
            "litellm-accounts.llm.svc",
            "litellm-accounts.llm.svc.cluster.local:9095",
            "litellm-accounts.llm.svc.cluster.local.",
        ] {
            assert_eq!(checked(&[], host), Ok(()), "{host}");
        }
    }

    #[test]
    fn names_that_anyone_may_own_are_refused() {
        for host in [
            "evil.example",
            "evil.example:9095",
            "litellm-accounts.dev",
            "localhost.evil.example",
            "10.0.0.7.evil.example",
            "127.1",
            "svc.evil.example",
            "svc.cluster.local.evil.example",
            "evil-svc.cluster.local.example",
        ] {
            assert_eq!(checked(&[], host), Err(Refused::OtherHost), "{host}");
        }
    }

    #[test]
    fn a_name_that_was_given_is_answered_and_no_name_below_or_above_it() {
        let ours = ["accounts.example.test"];
        for host in ["accounts.example.test", "Accounts.Example.Test:443", "accounts.example.test."] {
            assert_eq!(checked(&ours, host), Ok(()), "{host}");
        }
        for host in ["example.test", "a.accounts.example.test", "accounts.example.test.evil.example"] {
            assert_eq!(checked(&ours, host), Err(Refused::OtherHost), "{host}");
        }
    }

    #[test]
    fn a_malformed_host_is_refused_as_such() {
        for host in [
            "",
            ":9095",
            "a b",
            "a:b",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[evil.example]",
            "[::1].evil.example",
            "a@localhost",
            "localhost/",
            "a..b",
            ".",
            "ü",
        ] {
            assert_eq!(checked(&[], host), Err(Refused::NoHost), "{host}");
        }
    }

    #[test]
    fn an_address_in_the_request_line_is_checked_as_well() {
        let request = |uri: &str| Request::builder().uri(uri).header(HOST, "localhost").body(()).unwrap();
        assert_eq!(Hosts::default().check(&request("http://localhost:9095/")), Ok(()));
        assert_eq!(Hosts::default().check(&request("http://evil.example/")), Err(Refused::OtherHost));
    }

    #[test]
    fn one_host_is_needed_if_the_protocol_has_one() {
        let request = |version| Request::builder().version(version).uri("/");
        let check =
            |request: hyper::http::request::Builder| Hosts::default().check(&request.body(()).unwrap());
        assert_eq!(check(request(Version::HTTP_11)), Err(Refused::NoHost));
        assert_eq!(check(request(Version::HTTP_10)), Ok(()));
        assert_eq!(check(request(Version::HTTP_10).header(HOST, "evil.example")), Err(Refused::OtherHost));
        let twice = request(Version::HTTP_11).header(HOST, "localhost").header(HOST, "localhost");
        assert_eq!(check(twice), Err(Refused::NoHost));
    }
}
