//! Kubernetes' API, as far as one Secret goes: it is read, applied and watched.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use records::{Classified, ErrorClass, Secret, text};
use serde_json::Value;
use thiserror::Error;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::WithoutBody;
use ureq::{Agent, Body, Error as UreqError, RequestBuilder};

/// Who owns the fields that are applied: others who apply the Secret, such as Helm, leave them alone.
const FIELD_MANAGER: &str = "codex-podkit";

/// How long the API server may take to be reached, and how long for the whole exchange. A pod has 30 s for its end.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(15);

/// The largest answer that is read, in bytes: a Secret has at most 1 MiB, and a third more as base64.
pub(crate) const LARGEST: u64 = 2 << 20;

/// What a program is to have a right to, in the words of its error.
const WRITER: &str = "get and patch";
const READER: &str = "list and watch";

/// One Secret at the API server of the cluster that the pod is in.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    /// Where the Secrets of the pod's namespace are.
    secrets: String,
    secret: String,
    token: Secret,
}

/// Why the Secret was not read or not written.
#[derive(Debug, Error)]
pub enum ApiError {
    #[error("KUBERNETES_SERVICE_HOST is not set: run it in a pod of a cluster")]
    NoCluster,
    #[error("{path}: {cause}: mount the pod's service account there", path = path.display())]
    NoServiceAccount { path: PathBuf, cause: String },
    #[error("no answer from Kubernetes' API: {0}")]
    NoAnswer(UreqError),
    /// The Secret is not what it was when it was read.
    #[error("another writer has changed the Secret")]
    Conflict,
    #[error("there is no Secret {0}: the chart makes it")]
    NoSecret(String),
    #[error("Kubernetes' API gives no right to {what} the Secret {secret}: {said}")]
    Forbidden { what: &'static str, secret: String, said: String },
    #[error("Kubernetes' API answered {status}: {said}")]
    Refused { status: u16, said: String },
    /// It is no list of Secrets and no event of a watch.
    #[error("what answers is not Kubernetes' API, or not whole")]
    Unreadable,
}

impl Classified for ApiError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::NoCluster | Self::NoServiceAccount { .. } | Self::NoSecret(_) | Self::Forbidden { .. } => {
                ErrorClass::Configuration
            }
            // A token is refused for a moment when it has just been replaced.
            Self::NoAnswer(_)
            | Self::Conflict
            | Self::Unreadable
            | Self::Refused { status: 401 | 410 | 429 | 500.., .. } => ErrorClass::Temporary,
            Self::Refused { .. } => ErrorClass::Other,
        }
    }
}

impl Api {
    /// The Secret of this name in the pod's namespace, with the pod's service account, whose files are in a directory.
    ///
    /// # Errors
    /// This is no pod, or it has no service account.
    pub fn of_pod(service_account: &Path, secret: &str) -> Result<Self, ApiError> {
        let read = |name: &str| {
            let path = service_account.join(name);
            fs::read_to_string(&path)
                .map_err(|e: io::Error| ApiError::NoServiceAccount { path, cause: e.to_string() })
        };
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST").ok_or(ApiError::NoCluster)?;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
        let namespace = read("namespace")?;
        let roots = certificates(&read("ca.crt")?);
        if roots.is_empty() {
            let (path, cause) = (service_account.join("ca.crt"), "no certificate".to_owned());
            return Err(ApiError::NoServiceAccount { path, cause });
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            // A proxy is the way out of the cluster, and its API is inside.
            .proxy(None)
            // None is kept open, so that no request is lost on one that the other side has closed.
            .max_idle_connections(0)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("codex-podkit/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            secrets: format!("https://{host}:{port}/api/v1/namespaces/{}/secrets", namespace.trim()),
            secret: secret.to_owned(),
            token: Secret::new(&read("token")?),
        })
    }

    /// Reads the Secret.
    ///
    /// # Errors
    /// The API server does not give it.
    pub fn get(&self) -> Result<Value, ApiError> {
        self.document(WRITER, self.agent.get(self.url()).header("authorization", self.bearer()).call())
    }

    /// Applies an object to the Secret, for which no right to create one is needed if it is there.
    ///
    /// # Errors
    /// The API server does not take it; [`ApiError::Conflict`] if the Secret has changed since the version that the object
    /// names.
    pub fn apply(&self, object: &Value) -> Result<(), ApiError> {
        let request = self
            .agent
            .patch(format!("{}?fieldManager={FIELD_MANAGER}&force=true", self.url()))
            .header("authorization", self.bearer())
            // JSON is YAML, and older servers know this name only.
            .header("content-type", "application/apply-patch+yaml");
        self.document(WRITER, request.send(object.to_string())).map(drop)
    }

    /// Reads the list of the Secrets with this name, which is one or none.
    pub(crate) fn list(&self) -> Result<Value, ApiError> {
        self.document(READER, self.of_this_name().call())
    }

    /// Begins to watch after a version of the list.
    pub(crate) fn watch(&self, version: &str, lasting: Duration) -> Result<Body, ApiError> {
        let request = self
            .of_this_name()
            .query("watch", "true")
            .query("resourceVersion", version)
            .query("timeoutSeconds", lasting.as_secs().to_string());
        let bounded = request.config().timeout_global(Some(lasting + WHOLE)).build();
        self.answered(READER, bounded.call()).map(Response::into_body)
    }

    /// A request for the Secrets with this name. By the selector it is covered by a right to the one Secret.
    fn of_this_name(&self) -> RequestBuilder<WithoutBody> {
        let selector = format!("metadata.name={}", self.secret);
        self.agent.get(&self.secrets).query("fieldSelector", selector).header("authorization", self.bearer())
    }

    fn url(&self) -> String {
        format!("{}/{}", self.secrets, self.secret)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.expose())
    }

    /// The document that was asked for.
    fn document(
        &self,
        right: &'static str,
        answer: Result<Response<Body>, UreqError>,
    ) -> Result<Value, ApiError> {
        let mut answer = self.answered(right, answer)?;
        serde_json::from_slice(&content(answer.body_mut())?).map_err(|_| ApiError::Unreadable)
    }

    /// An answer that grants what was asked for.
    fn answered(
        &self,
        right: &'static str,
        answer: Result<Response<Body>, UreqError>,
    ) -> Result<Response<Body>, ApiError> {
        let mut answer = answer.map_err(ApiError::NoAnswer)?;
        let status = answer.status().as_u16();
        if status == 200 {
            return Ok(answer);
        }
        let document: Value = serde_json::from_slice(&content(answer.body_mut())?).unwrap_or_default();
        Err(match status {
            403 => ApiError::Forbidden { what: right, secret: self.secret.clone(), said: said(&document) },
            404 => ApiError::NoSecret(self.secret.clone()),
            409 => ApiError::Conflict,
            _ => ApiError::Refused { status, said: said(&document) },
        })
    }
}

/// The reason in a document of the kind Status.
pub(crate) fn said(status: &Value) -> String {
    text::line(status["message"].as_str().unwrap_or("without a reason"))
}

fn content(body: &mut Body) -> Result<Vec<u8>, ApiError> {
    body.with_config().limit(LARGEST).read_to_vec().map_err(ApiError::NoAnswer)
}

fn certificates(pem: &str) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem.as_bytes()).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    items.collect()
}
