//! The HTTP client: the proxy, the trust and the time-outs of every request.

use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::config::Config;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, DefaultConnector};
use ureq::{Agent, Body, Error};

use crate::address::Address;
use crate::environment::Environment;
use crate::sent::{Sent, Watch};
use crate::{proxy, trust};

/// The longest body that is read, in bytes.
const LONGEST_BODY: u64 = 1 << 20;

/// How long a request may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the connection, with its proxy and its TLS handshake.
    pub(crate) connect: Duration,
    /// For the whole exchange.
    pub(crate) whole: Duration,
}

impl Limits {
    /// Less than the grace period of a pod.
    pub(crate) const USUAL: Self = Self { connect: Duration::from_secs(5), whole: Duration::from_secs(20) };
}

/// A client of one address. It keeps no connection open: each request makes its own, so that none is lost on a connection
/// that the other side has closed, and so that it is known of each request, in any number of threads, whether it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: Address,
    config: Config,
    whole: Duration,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) struct NoReply {
    /// Whether the request can have arrived.
    pub(crate) was_sent: bool,
    /// Why, printable and without a secret.
    pub(crate) why: String,
}

/// A reply of which the body has not been read.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    client: &'a Client,
    response: Response<Body>,
}

impl Client {
    /// A client for an address, through the proxy and with the trust that the environment names.
    ///
    /// # Errors
    /// A proxy or a certificate file that is named cannot be used.
    pub(crate) fn new(
        address: Address,
        environment: Environment<'_>,
        Limits { connect, whole }: Limits,
    ) -> anyhow::Result<Self> {
        let roots = trust::roots(environment)?;
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(roots).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy::of(&address, environment)?)
            .timeout_connect(Some(connect))
            .timeout_global(Some(whole))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("codex-podkit/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { address, config, whole })
    }

    /// Posts a document. A redirect is a reply, and is not followed.
    ///
    /// # Errors
    /// There is no reply.
    pub(crate) fn post(&self, document: Value) -> Result<Reply<'_>, NoReply> {
        self.send(|agent, url| agent.post(url).send_json(document))
    }

    /// Gets a document, with these headers in the request.
    ///
    /// # Errors
    /// There is no reply.
    pub(crate) fn get(&self, headers: [(&str, &str); 2]) -> Result<Reply<'_>, NoReply> {
        self.send(|agent, url| {
            headers.iter().fold(agent.get(url), |request, (name, value)| request.header(*name, *value)).call()
        })
    }

    fn send(
        &self,
        request: impl FnOnce(&Agent, &str) -> Result<Response<Body>, Error>,
    ) -> Result<Reply<'_>, NoReply> {
        let sent = Sent::default();
        let has_proxy = self.config.proxy().is_some();
        let watch = Watch { sent: sent.clone(), has_proxy, until: Instant::now() + self.whole };
        let connector = DefaultConnector::default().chain(watch);
        let agent = Agent::with_parts(self.config.clone(), connector, DefaultResolver::default());
        match request(&agent, self.address.url.expose()) {
            Ok(response) => Ok(Reply { client: self, response }),
            Err(e) => Err(NoReply { was_sent: sent.is_true(), why: self.describe(&e, sent.is_true()) }),
        }
    }

    /// Adds the proxy, if there is one: an operator must know whose answer it may be.
    pub(crate) fn with_proxy(&self, message: String) -> String {
        match self.config.proxy().map(proxy::shown) {
            Some(proxy) => format!("{message} through the proxy {proxy}"),
            None => message,
        }
    }

    fn describe(&self, error: &Error, was_sent: bool) -> String {
        let message = match error {
            // These errors show the address.
            Error::BadUri(_) | Error::RequireHttpsOnly(_) | Error::Http(_) => {
                "its address cannot be used".to_owned()
            }
            Error::BodyExceedsLimit(_) => "more than 1 MiB".to_owned(),
            Error::Timeout(_) if was_sent => "timeout: no whole answer".to_owned(),
            Error::Timeout(_) => "timeout: no connection".to_owned(),
            // The reason ends with the status, twice.
            Error::ConnectProxyFailed(reason) => match reason.rsplit_once('/') {
                Some((_, status)) => format!("the proxy answered {status} to CONNECT"),
                None => "the proxy did not answer CONNECT".to_owned(),
            },
            Error::Io(e) if trust::is_of_unknown_authority(e) => {
                format!("{e} (set SSL_CERT_FILE or CODEX_CA_CERTIFICATE to your proxy's CA)")
            }
            // Which of these comes is a matter of chance.
            Error::Io(e)
                if [UnexpectedEof, ConnectionReset, ConnectionAborted, BrokenPipe].contains(&e.kind()) =>
            {
                "the connection was closed".to_owned()
            }
            Error::Io(e) => e.to_string(),
            e => e.to_string(),
        };
        // Some errors quote what the other side has sent.
        let is_plain = |c: char| c.is_ascii() && !c.is_ascii_control();
        self.with_proxy(message.replace(|c| !is_plain(c), " "))
    }
}

impl Reply<'_> {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// It is too long, takes too long, or breaks off.
    pub(crate) fn body(&mut self) -> Result<Vec<u8>, String> {
        let body = self.response.body_mut().with_config().limit(LONGEST_BODY).read_to_vec();
        body.map_err(|e| self.client.describe(&e, true))
    }
}
