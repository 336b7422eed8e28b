//! What is known of a request at each stage at which it can fail: on the way to a proxy, through it, in the TLS
//! handshake, and after it.

mod servers;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixture::http::read_head;
use rustls::version;

use self::servers::{Identity, Server, TOKENS, answer, closed_port, drip, join, listen, socks, tunnel_to};
use super::*;

/// Short, because some of these tests wait for them.
const LIMITS: Limits = Limits { connect: Duration::from_secs(1), whole: Duration::from_secs(2) };

fn issuer(url: &str, variables: &[(&str, String)]) -> Issuer {
    let mut variables: BTreeMap<_, _> = variables.iter().cloned().collect();
    variables.insert("CODEX_REFRESH_TOKEN_URL_OVERRIDE", url.to_owned());
    Issuer::of(Environment(&|name| variables.get(name).map(Into::into)), LIMITS).unwrap()
}

fn refresh(url: &str, variables: &[(&str, String)]) -> String {
    line_of(issuer(url, variables).refresh(&Secret::new("rt-sEcReT")))
}

/// The answer as a line, without the ports, which differ each time.
fn line_of(answer: Answer) -> String {
    let line = match answer {
        Answer::Refreshed(_) => "refreshed".to_owned(),
        Answer::Ended(code) => format!("ended: {code}"),
        Answer::Refused { message, .. } => format!("refused: {message}"),
        Answer::NotSent(why) => format!("not sent: {why}"),
        Answer::Unanswered(why) => format!("unanswered: {why}"),
    };
    assert!(!line.contains("sEcReT"), "{line}");
    match line.rsplit_once(':') {
        Some((start, port)) if port.parse::<u16>().is_ok() => format!("{start}:PORT"),
        _ => line,
    }
}

#[test]
fn a_plain_request_is_sent_once_there_is_a_connection() {
    let refresh = |server: Server| refresh(&format!("http://{}/", listen(move |s| server.serve(s))), &[]);
    assert_eq!(refresh(Server::Answers("200 OK", TOKENS)), "refreshed");
    assert_eq!(refresh(Server::ClosesAfterTheRequest), "unanswered: the connection was closed");
    assert_eq!(refresh(Server::HangsAfterTheRequest), "unanswered: timeout: no whole answer");
    assert_eq!(refresh(Server::Hangs), "unanswered: timeout: no whole answer");
    assert_eq!(refresh(Server::TalksGarbage), "unanswered: protocol: http parse fail: invalid HTTP version");
}

#[test]
fn what_fails_before_there_is_a_connection_has_sent_nothing() {
    let url = format!("http://{}/", closed_port());
    assert_eq!(refresh(&url, &[]), "not sent: Connection refused (os error 111)");
    let url = "http://issuer.invalid/";
    assert!(refresh(url, &[]).starts_with("not sent: failed to lookup address information: "));
}

#[test]
fn what_fails_before_the_tls_handshake_ended_has_sent_nothing() {
    let identity = Identity::new(rustls::ALL_VERSIONS);
    for (server, expected) in [
        (Server::ClosesAtOnce, "not sent: the connection was closed"),
        (Server::Hangs, "not sent: timeout: no connection"),
        (Server::TalksGarbage, "not sent: received corrupt message of type "),
    ] {
        let url = format!("https://localhost:{}/", listen(move |stream| server.serve(stream)).port());
        let line = refresh(&url, &[("SSL_CERT_FILE", identity.path())]);
        assert!(line.starts_with(expected), "{server:?}: {line}");
    }
}

#[test]
fn what_fails_after_the_tls_handshake_was_sent() {
    for versions in [[&version::TLS13], [&version::TLS12]] {
        let identity = Identity::new(&versions);
        for (server, expected) in [
            (Server::Answers("200 OK", TOKENS), "refreshed"),
            (Server::ClosesAfterTheRequest, "unanswered: the connection was closed"),
            (Server::HangsAfterTheRequest, "unanswered: timeout: no whole answer"),
        ] {
            let url = format!("https://localhost:{}/", identity.serve(server).port());
            let line = refresh(&url, &[("SSL_CERT_FILE", identity.path())]);
            assert!(line.starts_with(expected), "{server:?}: {line}");
        }
    }
}

#[test]
fn a_server_that_is_not_trusted_gets_nothing_and_the_variables_that_help_are_named() {
    for versions in [[&version::TLS13], [&version::TLS12]] {
        let (identity, another) = (Identity::new(&versions), Identity::new(&versions));
        let server = identity.serve(Server::Answers("200 OK", TOKENS));
        let url = format!("https://localhost:{}/", server.port());
        let hint = "(set SSL_CERT_FILE or CODEX_CA_CERTIFICATE to your proxy's CA)";
        let unknown = format!("not sent: invalid peer certificate: UnknownIssuer {hint}");
        assert_eq!(refresh(&url, &[]), unknown);
        // An authority of the same name, as when a proxy's was made anew.
        let outdated = format!("not sent: invalid peer certificate: BadSignature {hint}");
        assert_eq!(refresh(&url, &[("CODEX_CA_CERTIFICATE", another.path())]), outdated);
        assert_eq!(refresh(&url, &[("CODEX_CA_CERTIFICATE", identity.path())]), "refreshed");
        let another_name = format!("https://{server}/");
        let line = refresh(&another_name, &[("SSL_CERT_FILE", identity.path())]);
        assert!(line.starts_with("not sent: invalid peer certificate: "), "{line}");
    }
}

#[test]
fn a_proxy_that_makes_no_tunnel_has_passed_nothing_on() {
    let refuse = |status: &'static str| {
        listen(move |mut client| {
            read_head(&mut client)?;
            answer(&mut client, status, "<html>No")
        })
    };
    let garbage = listen(|stream| Server::TalksGarbage.serve(stream));
    let closes_after_connect = listen(|mut client| read_head(&mut client).map(drop));
    let drips = listen(|mut client| {
        read_head(&mut client)?;
        drip(&mut client, b"HTTP/1.1 200 OK\r\nx: ")
    });
    for (proxy, expected) in [
        (refuse("407 Proxy Authentication Required"), "the proxy answered 407 to CONNECT"),
        (refuse("403 Forbidden"), "the proxy answered 403 to CONNECT"),
        (refuse("502 Bad Gateway"), "the proxy answered 502 to CONNECT"),
        (refuse("503 Service Unavailable"), "the proxy answered 503 to CONNECT"),
        (refuse("301 Moved"), "the proxy answered 301 to CONNECT"),
        (closes_after_connect, "the proxy did not answer CONNECT"),
        (garbage, "protocol: http parse fail: invalid HTTP version"),
        (listen(|stream| Server::Hangs.serve(stream)), "timeout: no connection"),
        (drips, "timeout: no connection"),
        (closed_port(), "Connection refused (os error 111)"),
    ] {
        for url in ["https://localhost:1/", "http://localhost:1/"] {
            let started = Instant::now();
            let variables = [("ALL_PROXY", format!("http://user:sEcReT@{proxy}"))];
            let expected = format!("not sent: {expected} through the proxy http://127.0.0.1:PORT");
            assert_eq!(refresh(url, &variables), expected);
            assert!(started.elapsed() < LIMITS.whole + Duration::from_secs(1), "{expected}");
        }
    }
    let proxy = listen(|stream| Server::ClosesAtOnce.serve(stream));
    let line = refresh("https://localhost:1/", &[("ALL_PROXY", proxy.to_string())]);
    assert!(
        line.starts_with("not sent: ") && line.ends_with(" through the proxy http://127.0.0.1:PORT"),
        "{line}"
    );
}

#[test]
fn what_fails_in_a_tunnel_before_the_tls_handshake_ended_has_sent_nothing() {
    let (identity, another) = (Identity::new(rustls::ALL_VERSIONS), Identity::new(rustls::ALL_VERSIONS));
    for (end, expected) in [
        (listen(|stream| Server::ClosesAtOnce.serve(stream)), "not sent: the connection was closed"),
        (listen(|stream| Server::Hangs.serve(stream)), "not sent: timeout: no connection"),
        (listen(|stream| Server::TalksGarbage.serve(stream)), "not sent: received corrupt message of type "),
        (
            another.serve(Server::Answers("200 OK", TOKENS)),
            "not sent: invalid peer certificate: BadSignature ",
        ),
    ] {
        let variables =
            [("HTTPS_PROXY", format!("http://{}", tunnel_to(end))), ("SSL_CERT_FILE", identity.path())];
        let line = refresh("https://localhost:1/", &variables);
        let is_right =
            line.starts_with(expected) && line.ends_with(" through the proxy http://127.0.0.1:PORT");
        assert!(is_right, "{line}");
    }
}

#[test]
fn what_fails_in_a_tunnel_after_that_was_sent_and_names_the_proxy() {
    let identity = Identity::new(rustls::ALL_VERSIONS);
    for (server, expected) in [
        (Server::ClosesAfterTheRequest, "unanswered: the connection was closed"),
        (Server::HangsAfterTheRequest, "unanswered: timeout: no whole answer"),
        (Server::Answers("502 Bad", "<html>"), "unanswered: HTTP 502 with an HTML page"),
        (Server::BreaksOff("401 No"), "unanswered: HTTP 401, then "),
    ] {
        for (url, end) in [
            ("https://localhost:1/", identity.serve(server)),
            ("http://localhost:1/", listen(move |stream| server.serve(stream))),
        ] {
            let variables =
                [("ALL_PROXY", format!("http://{}", tunnel_to(end))), ("SSL_CERT_FILE", identity.path())];
            let line = refresh(url, &variables);
            let is_right =
                line.starts_with(expected) && line.ends_with(" through the proxy http://127.0.0.1:PORT");
            assert!(is_right, "{server:?}: {line}");
        }
    }
}

#[test]
fn proxies_of_each_kind_pass_a_request_on() {
    let identity = Identity::new(rustls::ALL_VERSIONS);
    let end = identity.serve(Server::Answers("200 OK", TOKENS));
    let url = format!("https://localhost:{}/", end.port());
    for scheme in ["http", "socks4", "socks4a", "socks5", "socks5h"] {
        let proxy =
            if scheme == "http" { tunnel_to(end) } else { listen(move |client| socks(client, Some(end))) };
        let variables = [("ALL_PROXY", format!("{scheme}://{proxy}")), ("SSL_CERT_FILE", identity.path())];
        assert_eq!(refresh(&url, &variables), "refreshed", "{scheme}");
    }
}

#[test]
fn a_socks_proxy_that_refuses_has_passed_nothing_on() {
    for scheme in ["socks4", "socks5h"] {
        for (proxy, expected) in [
            (listen(|client| socks(client, None)), ""),
            (listen(|stream| Server::ClosesAtOnce.serve(stream)), ""),
            (listen(|stream| Server::Hangs.serve(stream)), "timeout: no connection"),
        ] {
            let line = refresh("http://127.0.0.1:1/", &[("ALL_PROXY", format!("{scheme}://{proxy}"))]);
            let end = format!(" through the proxy {scheme}://127.0.0.1:PORT");
            assert!(line.starts_with(&format!("not sent: {expected}")) && line.ends_with(&end), "{line}");
        }
    }
}

#[test]
fn no_answer_takes_longer_than_the_whole_or_more_memory_than_its_limit() {
    for (server, expected) in [
        (Server::Drips, "unanswered: timeout: no whole answer"),
        (Server::SaysContinueForEver, "unanswered: timeout: no whole answer"),
        (Server::SendsHeadersForEver, "unanswered: response header is too big: "),
        (Server::SendsABodyForEver("200 OK"), "unanswered: HTTP 200, then more than 1 MiB"),
        (Server::SendsABodyForEver("401 No"), "unanswered: HTTP 401, then more than 1 MiB"),
        (Server::BreaksOff("200 OK"), "unanswered: HTTP 200, then the connection was closed"),
        (Server::BreaksOff("401 No"), "unanswered: HTTP 401, then the connection was closed"),
        (
            Server::Answers("307 Elsewhere\r\nlocation: http://127.0.0.1:1/", ""),
            "unanswered: HTTP 307, a redirect",
        ),
    ] {
        let started = Instant::now();
        let line = refresh(&format!("http://{}/", listen(move |stream| server.serve(stream))), &[]);
        assert!(line.starts_with(expected), "{server:?}: {line}");
        assert!(started.elapsed() < LIMITS.whole + Duration::from_secs(1), "{server:?}");
    }
}

#[test]
fn threads_that_share_an_issuer_each_know_of_their_own_request() {
    // Of each two connections one is closed before the handshake, and one after the request.
    let identity = Identity::new(rustls::ALL_VERSIONS);
    let after = identity.serve(Server::ClosesAfterTheRequest);
    let (seen, sent) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&sent);
    let server = listen(move |mut client| {
        if seen.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
            return Ok(());
        }
        count.fetch_add(1, Ordering::SeqCst);
        join(&mut client, &mut TcpStream::connect(after)?)
    });
    let url = format!("https://localhost:{}/", server.port());
    let issuer = issuer(&url, &[("SSL_CERT_FILE", identity.path())]);
    let answers: Vec<_> = thread::scope(|scope| {
        let asking: Vec<_> = (0..16).map(|_| scope.spawn(|| issuer.refresh(&Secret::new("rt")))).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let unanswered = answers.iter().filter(|answer| matches!(answer, Answer::Unanswered(_))).count();
    let not_sent = answers.iter().filter(|answer| matches!(answer, Answer::NotSent(_))).count();
    assert_eq!((unanswered, not_sent, sent.load(Ordering::SeqCst)), (8, 8, 8), "{answers:?}");
}

#[test]
fn an_address_that_is_none_is_named_by_its_variable() {
    for name in ["CODEX_REFRESH_TOKEN_URL_OVERRIDE", "CODEX_REVOKE_TOKEN_URL_OVERRIDE"] {
        let lookup = |asked: &str| (asked == name).then(|| "sEcReT".into());
        let line = format!("{:#}", Issuer::of(Environment(&lookup), LIMITS).unwrap_err());
        assert_eq!(line, format!("{name}: expected a URL such as https://host.example.com/path"));
    }
}
