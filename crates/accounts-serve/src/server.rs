//! The server: HTTP/1.1 over hyper, with a bound for everything that a stranger sends.
//!
//! One thread serves and another one looks, so that a volume that hangs stops no answer but those that need it.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::answer::{Answers, Seen};

/// How many are served at once; the others wait in the kernel's queue.
const CONNECTIONS: usize = 32;

/// How long a request may take to arrive, and the whole exchange.
const HEADERS: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(15);

/// How much of a request is read.
const HEADER_COUNT: usize = 64;
const BUFFER: usize = 16 << 10;

/// How long a look is waited for, and how long it serves everybody.
const LOOK: Duration = Duration::from_secs(5);
const FRESH: Duration = Duration::from_millis(500);

/// Serves until it is told to stop.
///
/// # Errors
/// The kernel gives no sockets, or no signals.
pub(crate) fn run(listener: TcpListener, answers: Answers) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let served = runtime.block_on(async {
        // For PID 1 the kernel drops a signal that finds no handler.
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::select! {
            () = serve(listener, Arc::new(Site { answers, looking: Mutex::default() })) => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    });
    // A look that hangs must not keep the process.
    runtime.shutdown_background();
    served
}

struct Site {
    answers: Answers,
    looking: Mutex<Looking>,
}

/// At most one look is under way, and who comes meanwhile waits for the same.
#[derive(Default)]
struct Looking {
    under_way: Option<JoinHandle<Seen>>,
    last: Option<(Instant, Seen)>,
}

async fn serve(listener: tokio::net::TcpListener, site: Arc<Site>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, say: trying at once would only turn the wheel.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let site = site.clone();
        tokio::spawn(async move {
            let _ = timeout(WHOLE, site.exchange(stream)).await;
            drop(permit);
        });
    }
}

impl Site {
    /// One request and its answer. What goes wrong on the way is the other side's, and nobody is left to tell.
    async fn exchange(&self, stream: TcpStream) {
        let service = service_fn(|request| async move { Ok::<_, Infallible>(self.answer(&request).await) });
        let _ = http1::Builder::new()
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_headers(HEADER_COUNT)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (method, path) = (request.method(), request.uri().path());
        if !Answers::need_a_look(method, path) {
            return Answers::without_a_look(method, path);
        }
        self.answers.from(&self.look().await, path)
    }

    async fn look(&self) -> Seen {
        let mut looking = self.looking.lock().await;
        if let Some((at, seen)) = &looking.last
            && at.elapsed() < FRESH
        {
            return seen.clone();
        }
        let eye = self.answers.eye.clone();
        let under_way = looking.under_way.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || eye.look().map(Arc::new).map_err(|e| e.to_string()))
        });
        let seen = match timeout(LOOK, under_way).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => Err("looking failed".to_owned()),
            // Left under way: another one would hang as well.
            Err(_) => return Err(format!("the volume has not answered for {} s", LOOK.as_secs())),
        };
        looking.under_way = None;
        looking.last = Some((Instant::now(), seen.clone()));
        seen
    }
}
