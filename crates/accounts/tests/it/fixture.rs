//! A volume made of files that a person can open. In them `"@+3h40m"` is a time from now, and `{"claims": {…}}` is
//! the token that says so.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A file of the volume that has every state in it, or of what is said about it.
pub(crate) fn every_state(name: &str) -> PathBuf {
    // Other packages' tests look at the same volume.
    let directories = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut there = directories.map(|directory| directory.join("crates/accounts/tests/every-state"));
    there.find(|path| path.exists()).unwrap().join(name)
}

/// Makes the volume as it is at that second since 1970.
pub(crate) fn volume_at(now: i64) -> tempfile::TempDir {
    let volume = tempfile::tempdir().unwrap();
    for file in fs::read_dir(every_state("before")).unwrap() {
        let file = file.unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let content = match serde_json::from_str(&text) {
            Ok(document) => told(document, now).to_string(),
            Err(_) => text,
        };
        let path = volume.path().join(file.file_name());
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
    volume
}

fn told(value: Value, now: i64) -> Value {
    match value {
        Value::String(text) => text.strip_prefix('@').map_or(json!(text), |span| json!(time(span, now))),
        Value::Array(values) => values.into_iter().map(|value| told(value, now)).collect(),
        Value::Object(fields) if fields.contains_key("claims") => {
            let claims = told(fields["claims"].clone(), now).to_string();
            json!(format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims)))
        }
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, told(value, now))).collect(),
        other => other,
    }
}

/// `+3h40m` or `-2d`, in seconds since 1970.
fn time(span: &str, now: i64) -> i64 {
    let (sign, span) = span.split_at(1);
    let seconds = i64::try_from(humantime::parse_duration(span).unwrap().as_secs()).unwrap();
    if sign == "-" { now - seconds } else { now + seconds }
}
