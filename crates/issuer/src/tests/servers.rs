//! Servers and proxies that misbehave in each way that matters.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fixture::http::{Request, read_head};
use fixture::tls;
use rustls::SupportedProtocolVersion;

/// Longer than any limit.
const FOR_EVER: Duration = Duration::from_secs(30);

pub(super) const TOKENS: &str = r#"{"access_token": "at", "refresh_token": "next"}"#;

/// Does something to each connection, on a thread of its own.
pub(super) fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
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

pub(super) fn answer(stream: &mut impl Write, status: &str, body: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    stream.flush()
}

/// What a server does once it has a connection with a client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
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
    pub(super) fn serve(self, mut stream: impl Read + Write) -> io::Result<()> {
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

pub(super) fn drip(stream: &mut impl Write, start: &[u8]) -> io::Result<()> {
    for byte in start.iter().chain(std::iter::repeat(&b'x')) {
        stream.write_all(&[*byte])?;
        stream.flush()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The certificate of a TLS server, and the roots by which a client trusts it.
pub(super) struct Identity {
    server: tls::Identity,
    roots: tempfile::NamedTempFile,
}

impl Identity {
    pub(super) fn new(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let server = tls::Identity::new(versions);
        let mut roots = tempfile::NamedTempFile::new().unwrap();
        roots.write_all(server.certificate().as_bytes()).unwrap();
        Self { server, roots }
    }

    pub(super) fn path(&self) -> String {
        self.roots.path().to_str().unwrap().to_owned()
    }

    /// A server that completes the handshake before it does anything.
    pub(super) fn serve(&self, server: Server) -> SocketAddr {
        let identity = self.server.clone();
        listen(move |stream| {
            let mut tls = identity.accept(stream);
            while tls.conn.is_handshaking() {
                tls.conn.complete_io(&mut tls.sock)?;
            }
            server.serve(tls)
        })
    }
}

/// A proxy that agrees to each tunnel, and connects it to this address.
pub(super) fn tunnel_to(end: SocketAddr) -> SocketAddr {
    listen(move |mut client| {
        read_head(&mut client)?;
        let mut server = TcpStream::connect(end)?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        join(&mut client, &mut server)
    })
}

pub(super) fn join(client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(std::net::Shutdown::Write)
    });
    // However this side ends, the other one is closed, too.
    let _ = io::copy(server, client);
    client.shutdown(std::net::Shutdown::Both)
}

/// A SOCKS proxy of either version, which connects each tunnel to this address, or refuses.
pub(super) fn socks(mut client: TcpStream, end: Option<SocketAddr>) -> io::Result<()> {
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

pub(super) fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
