//! Whether a request has been sent: the one thing that matters about a failed request.
//!
//! [`Watch`] is the last link of ureq's chain of connectors. By the time it gets a connection, names are resolved, the
//! proxy has agreed, and the TLS handshake is complete, because ureq completes the handshake while it connects. So the
//! first byte that is written to a watched connection is the first byte of the HTTP request, and before that nothing of
//! the request has been sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Becomes true when the first byte of a request is written to its connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(crate) fn is_true(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Watches the connection of one request.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) sent: Sent,
    pub(crate) has_proxy: bool,
    /// When the whole exchange must have ended.
    pub(crate) until: Instant,
}

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        // To ask a proxy for a tunnel, ureq first runs the whole chain, with this link in it, for the connection to the
        // proxy itself, and removes the proxy from the configuration for that. What is written there is CONNECT, and later
        // the tunnel's content, which the watch of the second run sees before.
        let is_to_proxy = self.has_proxy && details.config.proxy().is_none();
        let sent = (!is_to_proxy).then(|| self.sent.clone());
        Ok(chained.map(|connection| Watched { connection, sent, until: self.until }))
    }
}

/// A connection that notes when it is used, and that ends in time.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    connection: T,
    sent: Option<Sent>,
    until: Instant,
}

impl<T> Watched<T> {
    /// The time that is left. ureq gives each read of a proxy's answer to CONNECT the whole time-out once more, so an answer
    /// that comes byte by byte would never end.
    fn bound(&self, timeout: NextTimeout) -> NextTimeout {
        let left = self.until.saturating_duration_since(Instant::now()).into();
        NextTimeout { after: timeout.after.min(left), ..timeout }
    }
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        // Before the attempt, because an attempt that fails half-way may have sent everything.
        if let Some(sent) = &self.sent {
            sent.0.store(true, Ordering::SeqCst);
        }
        let timeout = self.bound(timeout);
        self.connection.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = self.bound(timeout);
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }

    fn is_tls(&self) -> bool {
        self.connection.is_tls()
    }
}
