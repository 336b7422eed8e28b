//! What the Secret is, version after version: a list says what it is now, and a watch each change after that.
//!
//! The watch begins at the version of the list and not at that of the Secret, which Kubernetes has forgotten when the Secret
//! has not changed for long.

use std::io::{self, BufRead, BufReader, Read as _};
use std::time::Duration;

use serde_json::Value;
use ureq::BodyReader;

use crate::api::{Api, ApiError, LARGEST, said};

/// What there is of the Secret at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    Secret(Value),
    NoSecret,
}

/// The versions of the Secret, the first at once. They end with the connection, or with an error.
pub struct Versions {
    api: Api,
    lasting: Duration,
    at: At,
}

enum At {
    Beginning,
    /// The list had this version.
    Listed(String),
    Watching(BufReader<BodyReader<'static>>),
    End,
}

impl Versions {
    /// What the Secret is now, and then at each change, for about so long. Nobody hears of a connection that has died: what
    /// changes then is heard of after this time.
    #[must_use]
    pub fn of(api: Api, lasting: Duration) -> Self {
        Self { api, lasting, at: At::Beginning }
    }

    fn advance(&mut self) -> Result<Option<Version>, ApiError> {
        loop {
            match &mut self.at {
                At::Beginning => {
                    let (version, secret) = listed(self.api.list()?)?;
                    self.at = At::Listed(version);
                    return Ok(Some(secret));
                }
                At::Listed(version) => {
                    let body = self.api.watch(version, self.lasting)?;
                    self.at = At::Watching(BufReader::new(body.into_reader()));
                }
                At::Watching(stream) => match line(stream).map_err(|e| ApiError::NoAnswer(e.into()))? {
                    Some(line) => {
                        if let Some(version) = event(&line)? {
                            return Ok(Some(version));
                        }
                    }
                    None => return Ok(None),
                },
                At::End => return Ok(None),
            }
        }
    }
}

impl Iterator for Versions {
    type Item = Result<Version, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if !matches!(next, Ok(Some(_))) {
            self.at = At::End;
        }
        next.transpose()
    }
}

/// The version of a list, and what is in it.
fn listed(mut list: Value) -> Result<(String, Version), ApiError> {
    let version = list["metadata"]["resourceVersion"].as_str().ok_or(ApiError::Unreadable)?.to_owned();
    let secret = list["items"].get_mut(0).map(Value::take);
    Ok((version, secret.map_or(Version::NoSecret, Version::Secret)))
}

/// The next line, as far as it is read into memory; none at the end.
fn line(stream: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(LARGEST).read_until(b'\n', &mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

/// What an event says of the Secret; nothing if it is about the watch.
fn event(line: &[u8]) -> Result<Option<Version>, ApiError> {
    let mut event: Value = serde_json::from_slice(line).map_err(|_| ApiError::Unreadable)?;
    let object = event.get_mut("object").map(Value::take).unwrap_or_default();
    match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") if object.is_object() => Ok(Some(Version::Secret(object))),
        Some("DELETED") => Ok(Some(Version::NoSecret)),
        Some("BOOKMARK") => Ok(None),
        Some("ERROR") => {
            let status = object["code"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or(500);
            Err(ApiError::Refused { status, said: said(&object) })
        }
        _ => Err(ApiError::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: &Value) -> Result<Option<Version>, ApiError> {
        super::event(event.to_string().as_bytes())
    }

    #[test]
    fn a_list_has_the_secret_or_none_and_a_version_of_its_own() {
        let secret = json!({"metadata": {"name": "codex-lanes", "resourceVersion": "7"}});
        let list = |items: Value| json!({"kind": "SecretList", "metadata": {"resourceVersion": "90"}, "items": items});
        assert_eq!(listed(list(json!([secret]))).unwrap(), ("90".to_owned(), Version::Secret(secret)));
        for none in [json!([]), json!(null)] {
            assert_eq!(listed(list(none)).unwrap(), ("90".to_owned(), Version::NoSecret));
        }
        for other in [json!({"items": []}), json!([]), json!("a page")] {
            assert!(matches!(listed(other), Err(ApiError::Unreadable)));
        }
    }

    #[test]
    fn an_event_says_what_the_secret_is_or_that_there_is_none() {
        let secret = json!({"metadata": {"name": "codex-lanes"}});
        for kind in ["ADDED", "MODIFIED"] {
            let version = read(&json!({"type": kind, "object": secret})).unwrap();
            assert_eq!(version, Some(Version::Secret(secret.clone())));
        }
        assert_eq!(
            read(&json!({"type": "DELETED", "object": secret})).unwrap(),
            Some(Version::NoSecret),
            "what it was is of no use any more"
        );
        assert_eq!(read(&json!({"type": "BOOKMARK", "object": secret})).unwrap(), None);
    }

    #[test]
    fn an_error_and_what_is_no_event_end_the_watch() {
        let error = json!({"type": "ERROR", "object": {"code": 410, "message": "too old\nresource version"}});
        let said = read(&error).unwrap_err().to_string();
        assert_eq!(said, "Kubernetes' API answered 410: too old resource version");
        assert!(matches!(read(&json!({"type": "ERROR"})), Err(ApiError::Refused { status: 500, .. })));
        for other in [json!({"type": "ADDED"}), json!({"type": "RENAMED", "object": {}}), json!(1)] {
            assert!(matches!(read(&other), Err(ApiError::Unreadable)), "{other}");
        }
        for garbage in ["", "{\"type\": \"MODIFIED\", \"object\": {\"me", "\u{0}\u{0}"] {
            assert!(matches!(super::event(garbage.as_bytes()), Err(ApiError::Unreadable)), "{garbage:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let mut endless = BufReader::new(io::repeat(b'x'));
        let read = line(&mut endless).unwrap().unwrap();
        assert_eq!(read.len() as u64, LARGEST);
        assert!(matches!(super::event(&read), Err(ApiError::Unreadable)));
        assert_eq!(line(&mut io::empty()).unwrap(), None);
    }
}
