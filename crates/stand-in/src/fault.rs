//! Faults of `/oauth/token`: what a client meets when the answer to a single-use grant is late, cut or missing.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::connect_info::Connected;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// How `/oauth/token` misbehaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OauthFault {
    /// It does not.
    #[default]
    None,
    /// Answers this status; the grant is not used up.
    Status(u16),
    /// Answers 401 with this code and ends the login's refresh tokens; its access tokens live on.
    TerminalCode(String),
    /// Uses up the grant, and answers after so many milliseconds.
    DelayMs(u64),
    /// Closes the connection without an answer; the grant is not used up.
    CloseBeforeAnswer,
    /// Uses up the grant, then closes the connection without an answer.
    CloseAfterConsuming,
    /// Uses up the grant, then closes the connection in the middle of the answer.
    HalfAnswer,
}

/// What becomes of an answer on its way to the client; travels in the response's extensions.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    Late(Duration),
    Cut,
    Half,
}

impl Fate {
    /// The fate of an answer under `fault`.
    pub(crate) fn of(fault: &OauthFault) -> Option<Self> {
        match fault {
            OauthFault::DelayMs(milliseconds) => Some(Self::Late(Duration::from_millis(*milliseconds))),
            OauthFault::CloseBeforeAnswer | OauthFault::CloseAfterConsuming => Some(Self::Cut),
            OauthFault::HalfAnswer => Some(Self::Half),
            OauthFault::None | OauthFault::Status(_) | OauthFault::TerminalCode(_) => None,
        }
    }

    pub(crate) async fn befall(self, response: Response, wire: &Wire) -> Response {
        match self {
            Self::Late(delay) => {
                tokio::time::sleep(delay).await;
                response
            }
            Self::Cut => wire.cut(b""),
            Self::Half => {
                let status = response.status();
                let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                wire.cut(&[head.as_bytes(), &body[..body.len() / 2]].concat())
            }
        }
    }
}

/// A second handle on a connection, because axum's answers cannot be broken off.
#[derive(Clone)]
pub(crate) struct Wire(Option<Arc<TcpStream>>);

impl Wire {
    /// Sends `last_words` as they are and closes; the answer returned finds the connection shut.
    fn cut(&self, last_words: &[u8]) -> Response {
        if let Some(stream) = &self.0 {
            // The client may have gone first; then there is nobody to disappoint.
            let _ = (&**stream).write_all(last_words);
            let _ = stream.shutdown(Shutdown::Both);
        }
        ().into_response()
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        let handle = stream.io().as_fd().try_clone_to_owned();
        Self(handle.ok().map(|fd| Arc::new(TcpStream::from(fd))))
    }
}
