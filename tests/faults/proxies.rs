//! Proxies that fail before the request can have left: at each stage of the tunnel and of the handshake in it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use fixture::ANN;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::scenario::Scenario;

/// Longer than anybody waits for a connection.
const FOR_EVER: Duration = Duration::from_secs(8);

/// How long a pass may take that gets no connection.
const SOON: Duration = Duration::from_secs(15);

/// What a proxy does with a connection.
type Speech = fn(TcpStream);

const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

const STAGES: [(&str, Speech); 15] = [
    ("closes at once", |_| {}),
    ("says nothing", |_| sleep(FOR_EVER)),
    ("closes when it is asked", |mut stream| hear(&mut stream)),
    ("answers nothing", |mut stream| {
        hear(&mut stream);
        sleep(FOR_EVER);
    }),
    ("speaks another protocol", |mut stream| say(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n")),
    ("answers half a line", |mut stream| say(&mut stream, b"HTTP/1.1 20")),
    ("wants a password", |mut stream| {
        say(&mut stream, b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    }),
    ("forbids it", |mut stream| {
        say(
            &mut stream,
            b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        );
    }),
    ("does not reach the issuer", |mut stream| {
        say(&mut stream, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    }),
    ("closes the tunnel", |mut stream| say(&mut stream, ESTABLISHED)),
    ("gives a tunnel in which nobody speaks", |mut stream| {
        say(&mut stream, ESTABLISHED);
        sleep(FOR_EVER);
    }),
    ("gives a tunnel in which nobody answers", |mut stream| {
        say(&mut stream, ESTABLISHED);
        hear(&mut stream);
        sleep(FOR_EVER);
    }),
    ("gives a tunnel without TLS", |mut stream| {
        say(&mut stream, ESTABLISHED);
        hear(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }),
    ("gives a tunnel that ends with an alert", |mut stream| {
        say(&mut stream, ESTABLISHED);
        hear(&mut stream);
        let _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]);
    }),
    ("gives a tunnel that ends in the handshake", |mut stream| {
        say(&mut stream, ESTABLISHED);
        hear(&mut stream);
        let _ = stream.write_all(&[0x16, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3, 1, 2, 3, 4]);
    }),
];

#[test]
fn a_proxy_fails_before_the_request_has_left() {
    let mut figures = Figures::of("a proxy fails before the request has left");
    figures.each(STAGES, |(name, speech), figures| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), AtomicUsize::new(0));
        scope(|scope| {
            scope.spawn(|| {
                for stream in listener.incoming().flatten() {
                    // The last one is that of the test.
                    if connections.fetch_add(1, Ordering::SeqCst) == usize::MAX / 2 {
                        return;
                    }
                    scope.spawn(move || speech(stream));
                }
            });
            behind(&format!("http://{address}"), name, figures);
            let asked = connections.swap(usize::MAX / 2, Ordering::SeqCst);
            drop(TcpStream::connect(address));
            if asked != 1 {
                figures.complain(format!("{name}: asked {asked} times in two passes"));
            }
        });
    });
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    behind(&format!("http://{nobody}"), "is not there", &mut figures);
    behind(&format!("socks5://{nobody}"), "is not there, and is none for HTTP", &mut figures);
    behind("http://nowhere.invalid:3128", "has a name that nobody knows", &mut figures);
    figures.print("");
}

/// Two passes behind such a proxy, and one with the way free.
fn behind(proxy: &str, name: &str, figures: &mut Figures) {
    let volume = Scenario::LoginDue.volume();
    let name = format!("a proxy that {name}");
    let case =
        Case { volume: &volume, name, served: volume.bytes("auth.json"), may_be_lost_on_the_wire: false };
    for nth in 0..2 {
        let start = Instant::now();
        let mut pass = volume.rotate_once();
        pass.env("HTTPS_PROXY", proxy)
            .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "https://issuer.test/oauth/token");
        let output = pass.output().unwrap();
        figures.struck += usize::from(nth == 0);
        case.at_once(&output, figures);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() || said.contains("its refresh token is as good as before") != (nth == 0) {
            case.complain(figures, &format!("pass {nth}: {}: {said:?}", output.status));
        }
        if start.elapsed() > SOON {
            case.complain(figures, &format!("pass {nth} took {:?}", start.elapsed()));
        }
    }
    volume.end_pause();
    case.once_mended(figures);
    if volume.refreshes_of(ANN) != 1 {
        case.complain(
            figures,
            &format!("refreshed {} times once the way was free", volume.refreshes_of(ANN)),
        );
    }
}

fn hear(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
}

fn say(stream: &mut TcpStream, words: &[u8]) {
    hear(stream);
    let _ = stream.write_all(words);
}
