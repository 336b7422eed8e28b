//! The way to the issuer and to the webhook: TLS and its trusted roots, proxies, and names.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use fixture::http::{Request, read_head};
use fixture::tls::Identity;
use fixture::{Volume, now};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::json;

/// What an issuer does with a request that it has read.
#[derive(Clone, Copy)]
enum Then {
    /// Refreshes any login.
    Refreshes,
    /// Closes the connection.
    Closes,
}

/// An issuer behind TLS with a certificate of its own, for `localhost`.
struct TlsIssuer {
    port: u16,
    certificate: String,
    asked: Arc<AtomicUsize>,
}

impl TlsIssuer {
    fn start() -> Self {
        Self::that(Then::Refreshes)
    }

    fn that(then: Then) -> Self {
        let identity = Identity::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let port = identity.listen(move |tls| {
            // A client that does not trust us hangs up, which is what one of the tests is about.
            if answer(tls, then).is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, certificate: identity.certificate().to_owned(), asked }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/oauth/token", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: impl Read + Write, then: Then) -> io::Result<()> {
    Request::read(&mut stream)?;
    if let Then::Closes = then {
        return Ok(());
    }
    let body = r#"{"access_token": "refreshed", "refresh_token": "next"}"#;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    stream.flush()
}

/// A proxy that connects to the host it is asked for, and counts.
fn proxy() -> (String, Arc<AtomicUsize>) {
    proxy_to(None)
}

/// A proxy that connects to this port here, whatever it is asked for.
fn proxy_to(port: Option<u16>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let used = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&used);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = read_head(&mut client).unwrap();
            let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
            count.fetch_add(1, Ordering::SeqCst);
            let target = port.map_or(target, |port| format!("localhost:{port}"));
            let mut server = TcpStream::connect(target).unwrap();
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from_client, &mut to_server));
            thread::spawn(move || {
                let _ = io::copy(&mut server, &mut client);
                client.shutdown(Shutdown::Both)
            });
        }
    });
    (url, used)
}

/// A proxy that reads a request and then does something else than to connect.
fn proxy_that(does: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            read_head(&mut client).unwrap();
            does(&mut client);
        }
    });
    url
}

fn proxy_that_answers(answer: &'static str) -> String {
    proxy_that(move |client| client.write_all(answer.as_bytes()).unwrap())
}

/// A volume with one login that has ended.
fn volume() -> Volume {
    volume_until(1)
}

/// A volume with one login that is due, and lives for another hour.
fn living_volume() -> Volume {
    volume_until(now() + 3600)
}

fn volume_until(end: i64) -> Volume {
    let volume = Volume::new();
    let login =
        json!({"access_token": "old", "refresh_token": "rt", "account_id": "acct-ann", "expires_at": end});
    volume.write("auth-1.json", login.to_string());
    volume
}

fn rotate_once(volume: &Volume, issuer: &TlsIssuer) -> assert_cmd::Command {
    let mut command = volume.command(cargo_bin("rotate-once"));
    command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", issuer.url());
    assert_cmd::Command::from_std(command)
}

/// A file with the issuer's certificate, as a cluster with a CA of its own mounts it.
fn bundle(volume: &Volume, issuer: &TlsIssuer) -> std::path::PathBuf {
    let path = volume.file("ca.pem");
    fs::write(&path, &issuer.certificate).unwrap();
    path
}

#[test]
fn a_certificate_authority_of_the_cluster_is_trusted_when_it_is_named() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    let bundle = bundle(&volume, &issuer);
    rotate_once(&volume, &issuer)
        .env("SSL_CERT_FILE", bundle)
        .assert()
        .success()
        .stderr(contains("account-1 refreshed"));
    assert_eq!(issuer.asked(), 1);
    assert!(volume.read("auth-1.json").contains("\"next\""));
}

#[test]
fn an_issuer_that_is_not_trusted_gets_no_token() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    rotate_once(&volume, &issuer).assert().code(69).stderr(contains(
        "account-1 not refreshed: invalid peer certificate: UnknownIssuer (set SSL_CERT_FILE or \
         CODEX_CA_CERTIFICATE to your proxy's CA); its refresh token is as good as before\n",
    ));
    assert_eq!(issuer.asked(), 0);
}

#[test]
fn the_variable_of_codex_for_its_certificates_goes_first() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    let bundle = bundle(&volume, &issuer);
    rotate_once(&volume, &issuer)
        .env("CODEX_CA_CERTIFICATE", bundle)
        .env("SSL_CERT_FILE", "/nonexistent.pem")
        .assert()
        .success();
    assert_eq!(issuer.asked(), 1);
}

#[test]
fn a_certificate_file_that_cannot_be_used_is_bad_configuration() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    for name in ["SSL_CERT_FILE", "CODEX_CA_CERTIFICATE"] {
        rotate_once(&volume, &issuer).env(name, "/nonexistent.pem").assert().code(78).stderr(contains(format!(
            "rotate-once: {name} /nonexistent.pem cannot be read: No such file or directory (os error 2)\n"
        )));
        rotate_once(&volume, &issuer).env(name, "/dev/null").assert().code(78).stderr(contains(format!(
            "rotate-once: {name} /dev/null holds no PEM certificate: it is empty\n"
        )));
    }
}

#[test]
fn a_malformed_proxy_is_bad_configuration_and_its_password_is_not_shown() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    rotate_once(&volume, &issuer).env("ALL_PROXY", "http://user:sEcReT@proxy:port").assert().code(78).stderr(
        contains("rotate-once: ALL_PROXY is no proxy such as http://proxy.example.com:3128 (")
            .and(contains("sEcReT").not()),
    );
}

#[test]
fn a_webhook_is_notified_over_tls_only_if_its_certificate_is_trusted() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    let bundle = bundle(&volume, &issuer);
    // The access token has ended and nothing refreshes it, so the pool is exhausted.
    let pass = || {
        let mut command = rotate_once(&volume, &issuer);
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "http://127.0.0.1:1/");
        command.env("CODEX_EVENT_WEBHOOK", format!("https://localhost:{}/sEcReT", issuer.port));
        command
    };
    pass()
        .assert()
        .code(69)
        .stderr(contains("was not notified of pool-exhausted: ").and(contains("sEcReT").not()));
    assert_eq!(issuer.asked(), 0);
    fs::remove_file(volume.file("events.json")).unwrap();
    pass().env("SSL_CERT_FILE", bundle).assert().code(69).stderr(contains(format!(
        "webhook https://localhost:{} was notified of pool-exhausted: ",
        issuer.port
    )));
    assert_eq!(issuer.asked(), 1);
}

#[test]
fn a_proxy_is_used_unless_the_issuer_is_excepted() {
    let (issuer, (proxy, used)) = (TlsIssuer::start(), proxy());
    for (no_proxy, expected) in [("", 1), ("localhost", 1), ("elsewhere.test", 2)] {
        let volume = volume();
        let bundle = bundle(&volume, &issuer);
        rotate_once(&volume, &issuer)
            .env("SSL_CERT_FILE", bundle)
            .env("HTTPS_PROXY", &proxy)
            .env("NO_PROXY", no_proxy)
            .assert()
            .success();
        assert_eq!(used.load(Ordering::SeqCst), expected, "NO_PROXY={no_proxy}");
    }
    assert_eq!(issuer.asked(), 3);
}

#[test]
fn a_request_that_a_proxy_did_not_pass_on_is_sent_again_once_the_proxy_works() {
    let other = TlsIssuer::start();
    for (broken, expected) in [
        (proxy_that_answers("HTTP/1.1 407 No\r\n\r\n"), "the proxy answered 407 to CONNECT"),
        (proxy_that_answers("HTTP/1.1 403 No\r\n\r\n"), "the proxy answered 403 to CONNECT"),
        (proxy_that_answers("HTTP/1.1 502 No\r\n\r\n"), "the proxy answered 502 to CONNECT"),
        (proxy_that_answers("HTTP/1.1 503 No\r\n\r\n"), "the proxy answered 503 to CONNECT"),
        (proxy_that_answers("SSH-2.0-garbage\r\n\r\n"), "protocol: http parse fail: invalid HTTP version"),
        (proxy_that(|_| {}), "the proxy did not answer CONNECT"),
        (proxy_that(|_| thread::sleep(Duration::from_secs(30))), "timeout: no connection"),
        (proxy_that_answers("HTTP/1.1 200 OK\r\n\r\n"), "the connection was closed"),
        (
            proxy_that(|client| {
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                thread::sleep(Duration::from_secs(30));
            }),
            "timeout: no connection",
        ),
        (
            proxy_to(Some(other.port)).0,
            "invalid peer certificate: BadSignature (set SSL_CERT_FILE or CODEX_CA_CERTIFICATE to your proxy's CA)",
        ),
    ] {
        let (issuer, volume, well) = (TlsIssuer::start(), living_volume(), proxy().0);
        let bundle = bundle(&volume, &issuer);
        let pass = |proxy: &str| {
            let mut pass = rotate_once(&volume, &issuer);
            pass.env("SSL_CERT_FILE", &bundle).env("HTTPS_PROXY", proxy);
            pass.assert().success()
        };
        pass(&broken).stderr(contains(format!(
            "rotate-once: account-1 not refreshed: {expected} through the proxy {broken}; its refresh token is as \
             good as before\n"
        )));
        assert_eq!(issuer.asked(), 0, "{expected}");
        volume.end_pause();
        pass(&well).stderr(contains("account-1 refreshed"));
        assert_eq!(issuer.asked(), 1, "{expected}");
    }
}

#[test]
fn a_request_that_the_issuer_may_have_read_is_not_sent_again_through_a_proxy_either() {
    for through in [None, Some(proxy().0)] {
        let (issuer, volume) = (TlsIssuer::that(Then::Closes), living_volume());
        let bundle = bundle(&volume, &issuer);
        let pass = || {
            let mut pass = rotate_once(&volume, &issuer);
            pass.env("SSL_CERT_FILE", &bundle).envs(through.iter().map(|proxy| ("HTTPS_PROXY", proxy)));
            pass.assert().success()
        };
        let named = through.as_ref().map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
        pass().stderr(
            contains("account-1 may have been refreshed, but no answer came (the connection was closed")
                .and(contains(format!("{named}): left alone while its access token lives"))),
        );
        assert_eq!(issuer.asked(), 1);
        volume.end_pause();
        pass();
        assert_eq!(issuer.asked(), 1, "the grant may be used up");
    }
}
