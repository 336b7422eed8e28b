//! A JSON object of which only some members are ours: the others stay byte for byte, and all stay in their order.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// The members. A value stays as it was written and is not parsed, so no depth of nesting can do harm.
#[derive(Debug, Default)]
pub(crate) struct Document(Vec<(String, Member)>);

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Member {
    AsWritten(Box<RawValue>),
    Object(Document),
}

impl Document {
    /// Reads an object; `None` if the bytes are something else.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The object that a member was read as.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        match self.0.iter().find(|(key, _)| key == name)? {
            (_, Member::AsWritten(text)) => Self::parse(text.get().as_bytes()),
            (_, Member::Object(_)) => None,
        }
    }

    /// With another value for a member, in the same place; a new member comes last.
    pub(crate) fn with(self, name: &str, value: impl Serialize) -> Self {
        let value = to_raw_value(&value).expect("texts, numbers and times are JSON");
        self.set(name.to_owned(), Member::AsWritten(value))
    }

    /// As [`Document::with`], with an object for a value.
    pub(crate) fn with_object(self, name: &str, object: Self) -> Self {
        self.set(name.to_owned(), Member::Object(object))
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(key, _)| key != name);
        self
    }

    /// The bytes of a file: two spaces for each level that is ours, and a newline at the end.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("JSON that was read can be written");
        bytes.push(b'\n');
        bytes
    }

    fn set(mut self, name: String, value: Member) -> Self {
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, member)) => *member = value,
            None => self.0.push((name, value)),
        }
        self
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Of members with the same name the last one counts, as with every JSON parser in use here.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let (mut members, mut places) = (Vec::new(), BTreeMap::new());
                while let Some((key, value)) = map.next_entry::<String, _>()? {
                    let place = *places.entry(key.clone()).or_insert(members.len());
                    let member = (key, Member::AsWritten(value));
                    match members.get_mut(place) {
                        Some(earlier) => *earlier = member,
                        None => members.push(member),
                    }
                }
                Ok(Document(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
