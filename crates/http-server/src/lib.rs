//! What the servers of the utilities share: HTTP/1.1 by hyper, one request on each connection, and a bound for everything
//! that a client sends. Which connections are served, and what is answered, is for each server to say.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use cli::{Listen, log};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// How long the head of a request may take to arrive, from the connection on.
const HEAD: Duration = Duration::from_secs(1);

/// The most that a request may have of headers and of bytes.
const HEADER_COUNT: usize = 64;
const BUFFER: usize = 16 << 10;

/// How many connections the kernel queues, if it is not configured to queue fewer. One that finds no room in a flood is
/// made only a second or more later.
const BACKLOG: u32 = 4096;

/// How much of an answer the kernel keeps, in bytes. By itself it would keep megabytes for a client that does not read, and
/// one that reads slowly would look as if it did not.
const SEND_BUFFER: u32 = 64 << 10;

/// How long to wait after a connection could not be accepted, instead of trying in a busy loop.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Binds the address, or the port on every address of either family.
///
/// # Errors
/// It is not free, or may not be bound.
pub fn bind(listen: Listen) -> io::Result<TcpSocket> {
    let bound = |address: &SocketAddr| {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        // Otherwise a restart would have to wait until the kernel has forgotten the old connections.
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(*address)?;
        Ok(socket)
    };
    let none = Err(io::ErrorKind::AddrNotAvailable.into());
    listen.addresses().iter().fold(none, |had, address| had.or_else(|_| bound(address)))
}

/// Serves until SIGTERM or SIGINT, on one thread, and one more for what may block. The command is the name in front of the
/// line that says where it listens.
///
/// # Errors
/// The kernel provides no socket, or no signals.
pub fn run<S: Future<Output = ()>>(
    command: &str,
    socket: TcpSocket,
    serve: impl FnOnce(TcpListener) -> S,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let served = runtime.block_on(async {
        // For PID 1 the kernel drops a signal that has no handler.
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let listener = socket.listen(BACKLOG)?;
        log::line(command, format_args!("listening on http://{}", listener.local_addr()?));
        tokio::select! {
            () = serve(listener) => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    });
    // A read that hangs must not keep the process alive.
    runtime.shutdown_background();
    served
}

/// One request and its answer. If the connection fails, there is no one left to report it to.
pub async fn exchange<A: Future<Output = Response<Full<Bytes>>>>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(Request<Incoming>) -> A,
) {
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let _ = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADER_COUNT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
