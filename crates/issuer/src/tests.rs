//! What is known of a request at each stage at which it can fail: on the way to a proxy, through it, in the TLS
//! handshake, and after it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixture::http::{Request, read_head};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, version};

use super::*;

/// Short, because some of these tests wait for them.
const LIMITS: Limits = Limits { connect: Duration::from_secs(1), whole: Duration::from_secs(2) };

/// Longer than any limit.
const FOR_EVER: Duration = Duration::from_secs(30);

const TOKENS: &str = r#"{"access_token": "at", "refresh_token": "next"}"#;

/// Does something to each connection, on a thread of its own.
fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            // Most of these tests are about a connection that breaks.
            thread::spawn(move || serve(connection).ok());
        }
    });
    address
}

fn answer(stream: &mut impl Write, status: &str, body: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    stream.flush()
}

/// What a server does once it has a connection with a client.
#[derive(Clone, Copy, Debug)]
enum Server {
    ClosesAtOnce,
    Hangs,
    TalksGarbage,
    /// Reads the request, and closes.
    ClosesAfterTheRequest,
    /// Reads the request, and never answers.
    HangsAfterTheRequest,
    /// Reads the request, and sends one byte of the answer after the other.
    Drips,
    /// Sends headers without an end.
    SendsHeadersForEver,
    /// Says 100 Continue without an end.
    SaysContinueForEver,
    /// Announces more than it sends.
    BreaksOff(&'static str),
    /// Sends a body without an end.
    SendsABodyForEver(&'static str),
    Answers(&'static str, &'static str),
}

impl Server {
    fn serve(self, mut stream: impl Read + Write) -> io::Result<()> {
        match self {
            Self::ClosesAtOnce => return Ok(()),
            Self::Hangs => thread::sleep(FOR_EVER),
            Self::TalksGarbage => stream.write_all(b"SSH-2.0-garbage\r\n\r\n")?,
            _ => drop(Request::read(&mut stream)?),
        }
        match self {
            Self::ClosesAtOnce | Self::Hangs | Self::ClosesAfterTheRequest => Ok(()),
            Self::TalksGarbage | Self::HangsAfterTheRequest => {
                thread::sleep(FOR_EVER);
                Ok(())
            }
            Self::Drips => drip(&mut stream, b"HTTP/1.1 200 OK\r\nx: "),
            Self::SendsHeadersForEver => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    write!(stream, "x: {}\r\n", "x".repeat(60_000))?;
                }
            }
            Self::SaysContinueForEver => loop {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                thread::sleep(Duration::from_millis(1));
            },
            Self::BreaksOff(status) => {
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 500\r\n\r\n{TOKENS}")?;
                stream.flush()
            }
            Self::SendsABodyForEver(status) => {
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 99999999999\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'x'; 8_192])?;
                }
            }
            Self::Answers(status, body) => answer(&mut stream, status, body),
        }
    }
}

fn drip(stream: &mut impl Write, start: &[u8]) -> io::Result<()> {
    for byte in start.iter().chain(std::iter::repeat(&b'x')) {
        stream.write_all(&[*byte])?;
        stream.flush()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The certificate of a TLS server, and the roots by which a client trusts it.
struct Identity {
    config: Arc<ServerConfig>,
    roots: tempfile::NamedTempFile,
}

impl Identity {
    fn new(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = tempfile::NamedTempFile::new().unwrap();
        roots.write_all(made.cert.pem().as_bytes()).unwrap();
        Self { config: Arc::new(config), roots }
    }

    fn path(&self) -> String {
        self.roots.path().to_str().unwrap().to_owned()
    }

    /// A server that completes the handshake before it does anything.
    fn serve(&self, server: Server) -> SocketAddr {
        let config = Arc::clone(&self.config);
        listen(move |mut stream| {
            let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            while tls.is_handshaking() {
                tls.complete_io(&mut stream)?;
            }
            server.serve(StreamOwned::new(tls, stream))
        })
    }
}

/// A proxy that agrees to each tunnel, and connects it to this address.
fn tunnel_to(end: SocketAddr) -> SocketAddr {
    listen(move |mut client| {
        read_head(&mut client)?;
        let mut server = TcpStream::connect(end)?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        join(&mut client, &mut server)
    })
}

fn join(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(std::net::Shutdown::Write)
    });
    // However this side ends, the other one is closed, too.
    let _ = io::copy(server, client);
    client.shutdown(std::net::Shutdown::Both)
}

fn issuer(url: &str, variables: &[(&str, String)]) -> Issuer {
    let mut variables: BTreeMap<_, _> = variables.iter().cloned().collect();
    variables.insert("CODEX_REFRESH_TOKEN_URL_OVERRIDE", url.to_owned());
    Issuer::of(Environment(&|name| variables.get(name).map(Into::into)), LIMITS).unwrap()
}

fn refresh(url: &str, variables: &[(&str, String)]) -> String {
    said(issuer(url, variables).refresh(&Secret::new("rt-sEcReT")))
}

/// The answer as a line, without the ports, which differ each time.
fn said(answer: Answer) -> String {
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

fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
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
        let said = refresh(&url, &[("SSL_CERT_FILE", identity.path())]);
        assert!(said.starts_with(expected), "{server:?}: {said}");
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
            let said = refresh(&url, &[("SSL_CERT_FILE", identity.path())]);
            assert!(said.starts_with(expected), "{server:?}: {said}");
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
        let said = refresh(&another_name, &[("SSL_CERT_FILE", identity.path())]);
        assert!(said.starts_with("not sent: invalid peer certificate: "), "{said}");
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
    let said = refresh("https://localhost:1/", &[("ALL_PROXY", proxy.to_string())]);
    assert!(
        said.starts_with("not sent: ") && said.ends_with(" through the proxy http://127.0.0.1:PORT"),
        "{said}"
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
        let said = refresh("https://localhost:1/", &variables);
        let is_right =
            said.starts_with(expected) && said.ends_with(" through the proxy http://127.0.0.1:PORT");
        assert!(is_right, "{said}");
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
            let said = refresh(url, &variables);
            let is_right =
                said.starts_with(expected) && said.ends_with(" through the proxy http://127.0.0.1:PORT");
            assert!(is_right, "{server:?}: {said}");
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
            let said = refresh("http://127.0.0.1:1/", &[("ALL_PROXY", format!("{scheme}://{proxy}"))]);
            let end = format!(" through the proxy {scheme}://127.0.0.1:PORT");
            assert!(said.starts_with(&format!("not sent: {expected}")) && said.ends_with(&end), "{said}");
        }
    }
}

/// A SOCKS proxy of either version, which connects each tunnel to this address, or refuses.
fn socks(mut client: TcpStream, end: Option<SocketAddr>) -> io::Result<()> {
    let mut request = [0; 512];
    let _ = client.read(&mut request)?;
    if request[0] == 5 {
        client.write_all(&[5, 0])?;
        let _ = client.read(&mut request)?;
        client.write_all(&[5, u8::from(end.is_none()), 0, 1, 0, 0, 0, 0, 0, 0])?;
    } else {
        client.write_all(&[0, if end.is_some() { 90 } else { 91 }, 0, 0, 0, 0, 0, 0])?;
    }
    match end {
        Some(end) => join(&mut client, &mut TcpStream::connect(end)?),
        None => Ok(()),
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
        let said = refresh(&format!("http://{}/", listen(move |stream| server.serve(stream))), &[]);
        assert!(said.starts_with(expected), "{server:?}: {said}");
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
        let said = format!("{:#}", Issuer::of(Environment(&lookup), LIMITS).unwrap_err());
        assert_eq!(said, format!("{name}: want a URL such as https://host.example.com/path"));
    }
}
