//! The two Secrets, as Kubernetes has them.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::entry::Entry;
use crate::key::AgentKey;
use crate::name::AgentName;

/// The Secret of hashes, as the chart mounts it.
pub(crate) const HASHES: &str = "litellm-agent-keys";

/// The Secret of hashes: a file for each agent that `LiteLLM` knows.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KnownAgents {
    api_version: String,
    kind: String,
    metadata: Metadata,
    /// Of base64, and kept as it is but for the agent at hand.
    #[serde(default, deserialize_with = "not_empty")]
    data: BTreeMap<String, String>,
}

/// What of the metadata is the operator's own; the rest is the cluster's.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

impl KnownAgents {
    /// No agent yet.
    pub(crate) fn none() -> Self {
        Self {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            metadata: Metadata { name: HASHES.to_owned(), namespace: None, labels: BTreeMap::new() },
            data: BTreeMap::new(),
        }
    }

    /// Reads what `kubectl get secret … -o json` prints.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let secret: Self = serde_json::from_slice(bytes).context(
            "what came in is no Secret as `kubectl get secret litellm-agent-keys -o json` prints it",
        )?;
        if secret.kind != "Secret" {
            bail!("what came in is no Secret but a {}", secret.kind);
        }
        // Anything but hashes is the sign of another Secret, which would be spoilt.
        if let Some(other) = secret.data.keys().find(|name| name.strip_suffix(".json").is_none()) {
            bail!("the Secret {} has {other} in it: it is not the one of hashes", secret.metadata.name);
        }
        Ok(secret)
    }

    /// The namespace that it says it is in.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.metadata.namespace.as_deref()
    }

    /// What is known of an agent, if anything is.
    ///
    /// # Errors
    /// Its file makes no sense.
    pub(crate) fn entry(&self, name: &AgentName) -> anyhow::Result<Option<Entry>> {
        let Some(data) = self.data.get(&name.file()) else { return Ok(None) };
        let read =
            || -> anyhow::Result<Entry> { Ok(serde_json::from_slice(&BASE64_STANDARD.decode(data)?)?) };
        let secret = &self.metadata.name;
        read().map(Some).with_context(|| format!("{} in the Secret {secret} makes no sense", name.file()))
    }

    /// Says what is known of an agent from now on.
    pub(crate) fn set(&mut self, name: &AgentName, entry: &Entry) {
        let json = serde_json::to_vec(entry).expect("an entry is JSON");
        self.data.insert(name.file(), BASE64_STANDARD.encode(json));
    }

    /// The whole Secret, to be applied.
    pub(crate) fn manifest(&self) -> Value {
        json!(self)
    }
}

/// The Secret from which the agent's pod has its key.
pub(crate) fn agents_secret(name: &AgentName, key: &AgentKey, namespace: Option<&str>) -> Value {
    let metadata =
        Metadata { name: name.secret(), namespace: namespace.map(str::to_owned), labels: BTreeMap::new() };
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "data": {"LITELLM_API_KEY": BASE64_STANDARD.encode(key.secret().expose())},
    })
}

/// Without the empty files that `kubectl apply` leaves of keys that were revoked when they were the last.
fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let data = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?.unwrap_or_default();
    let files = data.into_iter().filter_map(|(name, content)| Some((name, content?)));
    Ok(files.filter(|(_, content)| !content.is_empty()).collect())
}

/// One document of all, as people read it.
pub(crate) fn list(items: &[Value]) -> String {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    format!("{list:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_secret_that_comes_in_the_files_the_name_and_the_labels_stay() {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": "litellm-agent-keys", "namespace": "agents", "labels": {"team": "a"}, "uid": "1",
                "resourceVersion": "7", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "data": {"ann.json": null, "ben.json": "e30=", "cem.json": ""},
        });
        let known = KnownAgents::parse(secret.to_string().as_bytes()).unwrap();
        assert_eq!(
            known.manifest(),
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "litellm-agent-keys", "namespace": "agents", "labels": {"team": "a"}},
                "data": {"ben.json": "e30="},
            })
        );
    }
}
