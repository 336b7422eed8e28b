//! One replica: the records that it has, and what a version of the Secret changes of them.

use std::time::Duration;

use auth_volume::Volume;
use auth_volume::error::cannot_write;
use cli::exit::Failure;
use durable_file::atomic::{self, Access};
use judgement::follow::{Taken, Uid, follow};
use judgement::mirror::Mirrored;
use lanes_secret::{Api, ApiError, Version, Versions, content};
use records::published::Exported;
use records::{Lane, LaneCount};

use crate::log::Log;

/// As the kubelet mounts the Secret: LiteLLM may run as another user, which reads as a member of the volume's group.
const ACCESS: Access = Access { mode: 0o440, group: None };

/// What a replica has of the Secret.
#[derive(Debug)]
pub(crate) struct Replica {
    volume: Volume,
    secret: String,
    lanes: LaneCount,
    taken: Option<Taken>,
    log: Log,
}

impl Replica {
    /// The replica with this directory, of which the records may be there from before.
    pub(crate) fn new(volume: Volume, secret: &str, lanes: LaneCount) -> Self {
        Self { volume, secret: secret.to_owned(), lanes, taken: None, log: Log::default() }
    }

    /// Whether the records of all lanes are there, such as from before the pod's containers were started again.
    pub(crate) fn is_complete(&self) -> bool {
        let published = [self.volume.published()].into_iter();
        published
            .chain(self.lanes.lanes().map(|lane| self.volume.in_lane(lane)))
            .all(|it| it.is_well_formed())
    }

    /// Takes what the Secret has for as long as a connection lasts. If it is to be done once, returns true when the records
    /// of all lanes are there.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn follow(
        &mut self,
        api: Result<Api, ApiError>,
        lasting: Duration,
        once: bool,
    ) -> Result<bool, Failure> {
        let versions = match api {
            Ok(api) => Versions::of(api, lasting),
            Err(error) => {
                self.log.api_fails(&error);
                return Ok(false);
            }
        };
        for version in versions {
            match version {
                Ok(version) => {
                    self.log.api_answers();
                    if self.take(&version)? && once {
                        return Ok(true);
                    }
                }
                Err(error) => self.log.api_fails(&error),
            }
        }
        Ok(false)
    }

    /// Takes the records of all lanes. Returns whether it could.
    fn take(&mut self, version: &Version) -> Result<bool, Failure> {
        let (uid, records) = match self.to_take(version) {
            Ok(taken) => taken,
            Err(why) => {
                self.log.kept(why);
                return Ok(false);
            }
        };
        let is_new = self.write(&records)? || self.taken.is_none();
        let (count, number) = (records.lanes.len(), records.generation.number());
        let what = if count == 1 { "record" } else { "records" };
        let took = format_args!("took {count} {what} of the Secret {}, generation {number}", self.secret);
        self.log.taken(is_new, took);
        self.taken = Some(Taken { uid, generation: records.generation });
        Ok(true)
    }

    /// The records to take and from which Secret, or why none are taken.
    fn to_take(&self, version: &Version) -> Result<(Uid, Mirrored<Exported>), String> {
        let Version::Secret(object) = version else {
            return Err(ApiError::NoSecret(self.secret.clone()).to_string());
        };
        let there = content::read(object).map_err(|e| e.to_string())?;
        let uid = content::uid(object);
        match follow(self.lanes, self.taken.as_ref(), &uid, there.as_ref()) {
            Ok(records) => Ok((uid, records)),
            Err(kept) => Err(format!("the Secret {} {kept}", self.secret)),
        }
    }

    /// Writes what is not there yet. Returns whether there was any.
    fn write(&self, records: &Mirrored<Exported>) -> Result<bool, Failure> {
        let layout = self.volume.layout();
        let lanes = records.lanes.iter().map(|(lane, record)| (layout.lane(*lane), record));
        let first = records.lanes.get(&Lane::FIRST).map(|record| (layout.published(), record));
        let mut is_new = false;
        for (path, record) in lanes.chain(first) {
            let content = record.bytes();
            if std::fs::read(&path).is_ok_and(|there| there == content) {
                continue;
            }
            atomic::replace(&path, &content, ACCESS).map_err(cannot_write(&path))?;
            is_new = true;
        }
        Ok(is_new)
    }
}
