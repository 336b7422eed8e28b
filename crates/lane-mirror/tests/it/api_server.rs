//! Kubernetes' API over TLS, as far as one Secret goes. That a real one answers so is held by the tests of the cluster.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fixture::ServiceAccount;
use fixture::http::{Request, answer};
use fixture::tls::Identity;
use serde_json::{Value, json};

const TOKEN: &str = "a-token-for-the-api";

/// What the server has, and how it answers.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The Secret; null if there is none.
    pub(crate) secret: Value,
    /// With this every request is answered instead, if it is set.
    pub(crate) refuses: Option<(&'static str, &'static str)>,
    /// Another writer changes the Secret so many times, each time after it was read.
    pub(crate) changed_after_reads: u32,
    /// What was asked for: method, path and body.
    pub(crate) requests: Vec<(String, String)>,
}

/// A server that has the Secret `codex-lanes`, empty as the chart makes it.
pub(crate) struct ApiServer {
    kept: Arc<Mutex<Kept>>,
    service_account: ServiceAccount,
}

impl ApiServer {
    pub(crate) fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept { secret: empty_secret(), ..Kept::default() }));
        let keeps = Arc::clone(&kept);
        let identity = Identity::default();
        let port = identity.listen(move |mut tls| {
            let _ = serve(&mut tls, &keeps);
        });
        let service_account = ServiceAccount::new(port, TOKEN, identity.certificate());
        Self { kept, service_account }
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    pub(crate) fn service_account(&self) -> &Path {
        self.service_account.path()
    }

    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        self.service_account.variables()
    }

    /// A record in the Secret.
    pub(crate) fn record(&self, lane: u8) -> Value {
        let kept = self.kept();
        let content = kept.secret["data"][format!("lane-{lane}.json")].as_str().unwrap_or_default();
        serde_json::from_slice(&BASE64_STANDARD.decode(content).unwrap()).unwrap_or_default()
    }

    /// The generation in the Secret.
    pub(crate) fn generation(&self) -> Value {
        self.kept().secret["metadata"]["annotations"]["codex-podkit/generation"].clone()
    }

    /// How often the Secret was written.
    pub(crate) fn writes(&self) -> usize {
        self.kept().requests.iter().filter(|(what, _)| what.starts_with("PATCH ")).count()
    }
}

/// What the chart makes.
pub(crate) fn empty_secret() -> Value {
    json!({"metadata": {"name": "codex-lanes", "namespace": "team", "resourceVersion": "1"}})
}

fn serve(stream: &mut (impl Read + Write), kept: &Mutex<Kept>) -> io::Result<()> {
    let request = Request::read(stream)?;
    let (status, body) = answered(&request, &mut kept.lock().unwrap());
    stream.write_all(answer(status, "application/json", &body.to_string()).as_bytes())?;
    stream.flush()
}

fn answered(request: &Request, kept: &mut Kept) -> (&'static str, Value) {
    let what = request.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let body = String::from_utf8(request.body.clone()).unwrap();
    kept.requests.push((what.clone(), body.clone()));
    let path = "/api/v1/namespaces/team/secrets/codex-lanes";
    let says = |message: &str| json!({"kind": "Status", "message": message});
    if let Some((status, message)) = kept.refuses {
        return (status, says(message));
    }
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return ("401 Unauthorized", says("Unauthorized"));
    }
    if kept.secret.is_null() {
        return ("404 Not Found", says("secrets \"codex-lanes\" not found"));
    }
    if what == format!("GET {path}") {
        let read = kept.secret.clone();
        if kept.changed_after_reads > 0 {
            kept.changed_after_reads -= 1;
            raise_version(&mut kept.secret);
        }
        return ("200 OK", read);
    }
    assert_eq!(what, format!("PATCH {path}?fieldManager=codex-podkit&force=true"));
    assert_eq!(request.header("content-type"), Some("application/apply-patch+yaml"));
    let applied: Value = serde_json::from_str(&body).unwrap();
    if applied["metadata"]["resourceVersion"] != kept.secret["metadata"]["resourceVersion"] {
        return ("409 Conflict", says("the object has been modified"));
    }
    kept.secret["metadata"]["annotations"] = applied["metadata"]["annotations"].clone();
    kept.secret["data"] = applied["data"].clone();
    raise_version(&mut kept.secret);
    ("200 OK", kept.secret.clone())
}

fn raise_version(secret: &mut Value) {
    let version: u32 = secret["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    secret["metadata"]["resourceVersion"] = (version + 1).to_string().into();
}
