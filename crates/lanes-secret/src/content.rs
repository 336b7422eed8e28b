//! What is in the Secret, as Kubernetes' API has it. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use judgement::follow::Uid;
use judgement::mirror::{Generation, Mirrored};
use records::published::Exported;
use records::{Lane, Timestamp};
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The annotation with the generation that the records are of.
const GENERATION: &str = "codex-podkit/generation";

/// The annotation with the time at which the records were written.
const AT: &str = "codex-podkit/at";

/// The generation cannot be read, so that it is not known whether the Secret is ahead.
#[derive(Debug, Error)]
#[error(
    "the Secret's annotation {GENERATION} is no number: remove it with kubectl annotate secret NAME {GENERATION}-"
)]
pub struct NoGeneration;

/// Which Secret it is.
#[must_use]
pub fn uid(object: &Value) -> Uid {
    Uid::of(object["metadata"]["uid"].as_str().unwrap_or_default())
}

/// The lanes in the Secret; `None` if it has no generation, as one that the chart has just made. A record that is not ours
/// is left out, so that the lane gets one.
///
/// # Errors
/// Its generation cannot be read.
pub fn read(object: &Value) -> Result<Option<Mirrored<Exported>>, NoGeneration> {
    let generation = &object["metadata"]["annotations"][GENERATION];
    if generation.is_null() {
        return Ok(None);
    }
    let number = generation.as_str().and_then(|text| text.parse().ok()).ok_or(NoGeneration)?;
    let data = object["data"].as_object().into_iter().flatten();
    let record = |(name, content): (&String, &Value)| {
        let content = BASE64_STANDARD.decode(content.as_str()?).ok()?;
        Some((Lane::from_file_name(name)?, Exported::of(&content)?))
    };
    Ok(Some(Mirrored { generation: Generation::of(number), lanes: data.filter_map(record).collect() }))
}

/// What is applied to the Secret that was read. It names the version of what was read, so that nothing newer is replaced.
#[must_use]
pub fn apply(there: &Value, mirrored: &Mirrored<Exported>, now: Timestamp) -> Value {
    let metadata = &there["metadata"];
    let content = |record: &Exported| Value::from(BASE64_STANDARD.encode(record.bytes()));
    let data: Map<_, _> =
        mirrored.lanes.iter().map(|(lane, record)| (lane.file_name(), content(record))).collect();
    let annotations: BTreeMap<_, _> =
        [(GENERATION, mirrored.generation.number().to_string()), (AT, now.to_string())].into();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "resourceVersion": metadata["resourceVersion"],
            "annotations": annotations,
        },
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"access_token": "at-1", "account_id": "acct-A", "expires_at": 4102444800}"#;

    fn empty() -> Value {
        json!({"metadata": {"name": "codex-lanes", "namespace": "default", "resourceVersion": "41"}})
    }

    fn mirrored() -> Mirrored<Exported> {
        let record = Exported::of(RECORD.as_bytes()).unwrap();
        Mirrored { generation: Generation::of(7), lanes: [(Lane::FIRST, record)].into() }
    }

    #[test]
    fn what_is_applied_is_read_as_the_same_and_replaces_only_what_was_read() {
        let applied = apply(&empty(), &mirrored(), Timestamp::from_seconds(0));
        assert_eq!(applied["metadata"]["resourceVersion"], "41");
        assert_eq!(applied["metadata"]["annotations"][AT], "1970-01-01T00:00:00Z");
        assert_eq!(read(&applied).unwrap(), Some(mirrored()));
    }

    #[test]
    fn a_secret_that_the_chart_has_made_has_no_generation() {
        assert_eq!(read(&empty()).unwrap(), None);
    }

    #[test]
    fn what_somebody_has_put_into_the_secret_is_no_record() {
        let mut object = apply(&empty(), &mirrored(), Timestamp::from_seconds(0));
        for content in
            ["", "!", "e30=", &BASE64_STANDARD.encode(RECORD.replace("expires_at", "refresh_token"))]
        {
            object["data"]["lane-1.json"] = content.into();
            object["data"]["more.json"] = content.into();
            assert_eq!(read(&object).unwrap().unwrap().lanes, BTreeMap::new(), "{content}");
        }
        object["metadata"]["annotations"][GENERATION] = "seven".into();
        assert!(read(&object).unwrap_err().to_string().contains("kubectl annotate"));
    }
}
