//! What stands between the rotator and the issuer, and may answer in its stead.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use stand_in::StandIn;

/// How a gateway treats a request.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// It passes on what both say.
    Passing,
    /// It answers this, and the issuer never hears of the request.
    Instead(String),
    /// It passes the request on, and answers this whatever the issuer says.
    Afterwards(String),
}

/// A gateway before an issuer, until it is dropped.
pub(crate) struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    manner: Mutex<Manner>,
    asked: AtomicUsize,
    is_over: AtomicBool,
}

impl Gateway {
    pub(crate) fn before(issuer: &StandIn) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            issuer: issuer.refresh_url(),
            manner: Mutex::new(Manner::Passing),
            asked: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.is_over.load(Ordering::SeqCst) {
                    return;
                }
                serving.serve(stream);
            }
        });
        Self { address, shared }
    }

    /// For `CODEX_REFRESH_TOKEN_URL_OVERRIDE`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/oauth/token", self.address)
    }

    /// How requests are treated from now on.
    pub(crate) fn set(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let Some((agent, body)) = request(&stream) else { return };
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = match self.manner.lock().unwrap().clone() {
            Manner::Passing => self.pass_on(&agent, &body),
            Manner::Instead(answer) => answer,
            Manner::Afterwards(answer) => {
                self.pass_on(&agent, &body);
                answer
            }
        };
        // Who has gone meanwhile hears nothing.
        let _ = stream.write_all(answer.as_bytes());
    }

    fn pass_on(&self, agent: &str, body: &[u8]) -> String {
        let request = ureq::post(&self.issuer).config().http_status_as_error(false).build();
        let request = request.header("user-agent", agent).header("content-type", "application/json");
        let mut answer = request.send(body).unwrap();
        let status = answer.status();
        http(&status.to_string(), "application/json", &answer.body_mut().read_to_string().unwrap())
    }
}

/// An answer as it goes over the wire.
pub(crate) fn http(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Who asks, and what.
fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut agent, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("user-agent") => value.clone_into(&mut agent),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((agent, body))
}
