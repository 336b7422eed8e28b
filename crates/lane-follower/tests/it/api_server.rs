//! Kubernetes' API over TLS, as far as one Secret is listed and watched.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fixture::ServiceAccount;
use fixture::http::{Request, answer};
use fixture::tls::Identity;
use serde_json::{Map, Value, json};

const SECRETS: &str = "/api/v1/namespaces/team/secrets?fieldSelector=metadata.name%3Dcodex-lanes";

/// What the server has, and how it answers.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) identity: Identity,
    /// The token that it takes.
    pub(crate) token: String,
    /// The Secret; null if there is none.
    secret: Value,
    /// What watches are told, line by line. The version of a list is how many there are.
    told: Vec<String>,
    /// How often all watches were ended, and whether they were told so.
    ends: usize,
    are_cut: bool,
    /// Connections are closed as soon as they are made.
    pub(crate) is_away: bool,
    /// With this every request for a list, or for a watch, is answered instead.
    pub(crate) refuses_lists: Option<(&'static str, &'static str)>,
    pub(crate) refuses_watches: Option<(&'static str, &'static str)>,
    pub(crate) connections: usize,
    pub(crate) lists: usize,
    /// For how many seconds each watch was to last.
    pub(crate) watches: Vec<u32>,
}

/// A server that has the Secret `codex-lanes`, empty as the chart makes it, and the account with which a pod reaches it.
pub(crate) struct ApiServer {
    kept: Arc<Mutex<Kept>>,
    pub(crate) account: ServiceAccount,
}

impl ApiServer {
    pub(crate) fn start() -> Self {
        let kept = Kept { token: "token-1".to_owned(), secret: made("uid-1"), ..Kept::default() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let account = ServiceAccount::new(port, &kept.token, kept.identity.certificate());
        let kept = Arc::new(Mutex::new(kept));
        let keeps = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keeps = Arc::clone(&keeps);
                thread::spawn(move || {
                    let identity = {
                        let mut kept = keeps.lock().unwrap();
                        kept.connections += 1;
                        (!kept.is_away).then(|| kept.identity.clone())
                    };
                    if let Some(identity) = identity {
                        let _ = serve(&mut identity.accept(stream), &keeps);
                    }
                });
            }
        });
        Self { kept, account }
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// The mirror writes a generation, and watches are told.
    pub(crate) fn put(&self, generation: u64, accounts: &[&str]) {
        self.put_unseen(generation, accounts);
        self.tell("MODIFIED");
    }

    /// The same while nobody watches.
    pub(crate) fn put_unseen(&self, generation: u64, accounts: &[&str]) {
        let records = accounts.iter().map(|account| record(account).to_string());
        self.put_bytes(generation, &records.collect::<Vec<_>>());
    }

    /// Something is put into the lanes.
    pub(crate) fn put_bytes(&self, generation: u64, contents: &[String]) {
        let lanes = (1..).zip(contents);
        let data = lanes.map(|(lane, content)| (format!("lane-{lane}.json"), encoded(content)));
        let mut kept = self.kept();
        kept.secret["data"] = Value::Object(data.collect::<Map<_, _>>());
        kept.secret["metadata"]["annotations"] = json!({"codex-podkit/generation": generation.to_string()});
    }

    /// The Secret is deleted, and watches are told.
    pub(crate) fn delete(&self) {
        self.tell("DELETED");
        self.kept().secret = Value::Null;
    }

    /// The chart makes another one of the name.
    pub(crate) fn make_again(&self) {
        self.kept().secret = made("uid-2");
        self.tell("ADDED");
    }

    /// Watches are told of the Secret as it is.
    pub(crate) fn tell(&self, event: &str) {
        let secret = self.kept().secret.clone();
        self.tell_line(json!({"type": event, "object": secret}).to_string());
    }

    /// Watches are told anything.
    pub(crate) fn tell_line(&self, line: String) {
        self.kept().told.push(line);
    }

    /// All watches end as they do after their time.
    pub(crate) fn end_watches(&self) {
        self.kept().are_cut = false;
        self.kept().ends += 1;
    }

    /// All watches end in the middle of an event, as when the server is killed.
    pub(crate) fn cut_watches(&self) {
        self.kept().are_cut = true;
        self.kept().ends += 1;
    }
}

/// What the chart makes.
fn made(uid: &str) -> Value {
    json!({"metadata": {"name": "codex-lanes", "namespace": "team", "uid": uid}})
}

/// A record as `lane-mirror` leaves it.
pub(crate) fn record(account: &str) -> Value {
    json!({"access_token": format!("at-{account}"), "account_id": account, "expires_at": 4_102_444_800_i64})
}

fn encoded(content: &str) -> Value {
    BASE64_STANDARD.encode(content).into()
}

fn serve(stream: &mut (impl Read + Write), kept: &Mutex<Kept>) -> io::Result<()> {
    let request = Request::read(stream)?;
    let what = request.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
    let query = what.strip_prefix(&format!("GET {SECRETS}")).unwrap_or_else(|| panic!("{what}"));
    let is_watch = query.starts_with("&watch=true");
    let (refusal, list) = {
        let mut kept = kept.lock().unwrap();
        let is_known = request.header("authorization") == Some(&format!("Bearer {}", kept.token));
        let refusal = if is_watch { kept.refuses_watches } else { kept.refuses_lists };
        kept.lists += usize::from(!is_watch);
        let items = if kept.secret.is_null() { json!([]) } else { json!([kept.secret]) };
        let list = json!({
            "kind": "SecretList", "metadata": {"resourceVersion": kept.told.len().to_string()}, "items": items,
        });
        (if is_known { refusal } else { Some(("401 Unauthorized", "Unauthorized")) }, list)
    };
    let text = match refusal {
        Some((status, message)) => {
            answer(status, "application/json", &json!({"kind": "Status", "message": message}).to_string())
        }
        None if is_watch => return watch(stream, kept, query),
        None => answer("200 OK", "application/json", &list.to_string()),
    };
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

fn watch(stream: &mut impl Write, kept: &Mutex<Kept>, query: &str) -> io::Result<()> {
    let number = |name: &str| -> usize {
        let value = query.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")));
        value.unwrap().parse().unwrap()
    };
    let mut told = number("resourceVersion");
    let ends = {
        let mut kept = kept.lock().unwrap();
        kept.watches.push(number("timeoutSeconds").try_into().unwrap());
        kept.ends
    };
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    stream.flush()?;
    loop {
        let (lines, end) = {
            let kept = kept.lock().unwrap();
            (kept.told[told..].to_vec(), (kept.ends != ends).then_some(kept.are_cut))
        };
        told += lines.len();
        for line in lines {
            write!(stream, "{:x}\r\n{line}\n\r\n", line.len() + 1)?;
        }
        match end {
            Some(true) => write!(stream, "ff\r\n{{\"type\": \"MODI")?,
            Some(false) => write!(stream, "0\r\n\r\n")?,
            None => {}
        }
        stream.flush()?;
        if end.is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(2));
    }
}
