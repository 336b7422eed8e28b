//! The way to the issuer: TLS and whom it trusts, proxies, and names.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use assert_cmd::cargo::cargo_bin_cmd;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// An issuer behind TLS with a certificate of its own, for `localhost`. Renews whatever it is asked to renew.
struct TlsIssuer {
    port: u16,
    certificate: String,
    asked: Arc<AtomicUsize>,
}

impl TlsIssuer {
    fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let tls = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), connection);
                // A client that does not trust us hangs up, which is what one of the tests is about.
                if answer(tls).is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { port, certificate: made.cert.pem(), asked }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/oauth/token", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: impl Read + Write) -> io::Result<()> {
    let head = read_head(&mut stream)?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let body = r#"{"access_token": "renewed", "refresh_token": "next"}"#;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    stream.flush()
}

fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A proxy that connects to wherever it is asked, and counts.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let used = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&used);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = read_head(&mut client).unwrap();
            let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
            count.fetch_add(1, Ordering::SeqCst);
            let mut server = TcpStream::connect(target).unwrap();
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from_client, &mut to_server));
            thread::spawn(move || io::copy(&mut server, &mut client));
        }
    });
    (url, used)
}

/// A volume with one login that has ended.
fn volume() -> tempfile::TempDir {
    let volume = tempfile::tempdir().unwrap();
    let path = volume.path().join("auth-1.json");
    let login =
        r#"{"access_token": "old", "refresh_token": "rt", "account_id": "acct-ann", "expires_at": 1}"#;
    fs::write(&path, login).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    volume
}

fn rotate_once(volume: &tempfile::TempDir, issuer: &TlsIssuer) -> assert_cmd::Command {
    let mut command = cargo_bin_cmd!("rotate-once");
    command
        .env_clear()
        .env("CHATGPT_AUTH_DIR", volume.path())
        .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", issuer.url());
    command
}

/// A file with the issuer's certificate, as a cluster with a CA of its own mounts it.
fn bundle(volume: &tempfile::TempDir, issuer: &TlsIssuer) -> std::path::PathBuf {
    let path = volume.path().join("ca.pem");
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
    assert!(fs::read_to_string(volume.path().join("auth-1.json")).unwrap().contains("\"next\""));
}

#[test]
fn an_issuer_that_is_not_trusted_gets_no_token() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    rotate_once(&volume, &issuer).assert().code(69).stderr(
        contains("account-1 not refreshed: ").and(contains("its refresh token is as good as before")),
    );
    assert_eq!(issuer.asked(), 0);
}

#[test]
fn a_certificate_file_that_is_not_there_is_bad_configuration() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    rotate_once(&volume, &issuer).env("SSL_CERT_FILE", "/nonexistent.pem").assert().code(78).stderr(contains(
        "rotate-once: cannot read the certificates of SSL_CERT_FILE or SSL_CERT_DIR: No such file or directory (os error 2)\n",
    ));
}

#[test]
fn a_webhook_is_told_over_tls_by_whom_the_cluster_trusts_and_nobody_else_is() {
    let (issuer, volume) = (TlsIssuer::start(), volume());
    let bundle = bundle(&volume, &issuer);
    // Nobody renews the login, which has ended, so the pool is exhausted.
    let pass = || {
        let mut command = rotate_once(&volume, &issuer);
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "http://127.0.0.1:1/");
        command.env("CODEX_EVENT_WEBHOOK", format!("https://localhost:{}/sEcReT", issuer.port));
        command
    };
    pass()
        .assert()
        .code(69)
        .stderr(contains("was not told of pool-exhausted: ").and(contains("sEcReT").not()));
    assert_eq!(issuer.asked(), 0);
    fs::remove_file(volume.path().join("events.json")).unwrap();
    pass()
        .env("SSL_CERT_FILE", bundle)
        .assert()
        .code(69)
        .stderr(contains(format!("webhook https://localhost:{} was told of pool-exhausted: ", issuer.port)));
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
