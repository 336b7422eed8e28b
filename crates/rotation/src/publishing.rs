//! The part of serving that LiteLLM sees: the published record, those of lanes, and those of single models.

use std::collections::{BTreeMap, BTreeSet};

use auth_volume::VolumeError;
use judgement::assess::Turn;
use judgement::plan::{Chosen, Plan, Why};
use judgement::pool::Pool;
use records::published::{self, PublishedRecord};
use records::state::State;
use records::{Lane, LaneCount, Login, Slot};

use crate::serving::{Replacement, Serving};

impl Serving<'_> {
    /// Publishes what was chosen.
    pub(crate) fn publish(self, pool: &mut Pool, plan: &Plan) -> Result<Replacement, VolumeError> {
        if let PublishedRecord::Foreign { why } = &pool.published
            && (plan.chosen.is_some() || plan.placeholder)
        {
            (self.log)(format!("auth.json was not written by us ({why}): replacing it"));
        }
        let mut replacement = Replacement::default();
        match &plan.chosen {
            Some(chosen @ Chosen { slot, login, .. }) => {
                let record = published::record(login);
                pool.state.active = Some(chosen.active());
                let is_new = self.locked.volume().published_bytes().map_or(true, |there| there != record);
                // What is published already needs no second line.
                if self.turn != Turn::First && !is_new {
                    return Ok(replacement);
                }
                let before = self.locked.publish(&record, self.access)?;
                replacement = Replacement { before, is_new };
                (self.log)(format!("active {slot} ({}){}", login.expires(), note(chosen)));
            }
            None if plan.placeholder => {
                let before = self.locked.publish(&published::placeholder(), self.access)?;
                replacement = Replacement { before, is_new: true };
                (self.log)(
                    "no usable account: published a placeholder, so that LiteLLM can start".to_owned(),
                );
            }
            None => {}
        }
        Ok(replacement)
    }

    /// Publishes the records of single models, before what says that no account can serve.
    pub(crate) fn publish_models(
        self,
        models: &BTreeMap<String, Option<(Slot, &Login)>>,
    ) -> Result<(), VolumeError> {
        let logins: BTreeMap<_, _> =
            models.iter().map(|(model, found)| (model.clone(), found.map(|(_, login)| login))).collect();
        let records = (!logins.is_empty()).then(|| published::by_model(&logins));
        if self.locked.publish_models(records.as_deref(), self.access)? {
            for (model, found) in models {
                (self.log)(match found {
                    Some((slot, _)) => format!("{slot} serves {model}"),
                    None => format!("no account serves {model}"),
                });
            }
        }
        Ok(())
    }

    /// Publishes the records of several lanes, after `auth.json`, and those of lanes that are no longer used as long as
    /// their files are there, because a LiteLLM may still read them. Says whether one of them is another one than before.
    pub(crate) fn publish_lanes(self, state: &mut State, plan: &Plan) -> Result<bool, VolumeError> {
        let volume = self.locked.volume();
        let lanes: Vec<_> = self.options.lanes.lanes().collect();
        state.lanes.retain(|lane, _| lanes.contains(lane));
        let mut files: BTreeSet<_> = volume.lane_files()?.into_iter().collect();
        if self.options.lanes != LaneCount::ONE {
            files.extend(&lanes);
        }
        let mut is_any_new = false;
        for file in files {
            let lane = self.options.lanes.record_for(file);
            let chosen = if lane == Lane::FIRST { plan.chosen.as_ref() } else { plan.lanes.get(&lane) };
            let Some(chosen) = chosen else {
                if !volume.in_lane(file).is_well_formed() {
                    // It was made so just now, if it was not.
                    let record = volume.published_bytes().unwrap_or_else(|_| published::placeholder());
                    is_any_new |= self.locked.publish_lane(file, &record, self.access)?;
                }
                continue;
            };
            let is_new = self.locked.publish_lane(file, &published::record(&chosen.login), self.access)?;
            is_any_new |= is_new;
            if file != Lane::FIRST && file == lane {
                state.lanes.insert(lane, chosen.active());
                if is_new {
                    let (slot, expires) = (chosen.slot, chosen.login.expires());
                    (self.log)(format!("{slot} serves in {lane} ({expires}){}", note(chosen)));
                }
            }
        }
        Ok(is_any_new)
    }
}

/// What the log says of a choice that needs a word.
fn note(chosen: &Chosen) -> String {
    match chosen.why {
        why @ Why::BackFirst(_) => format!("; {why}"),
        _ => String::new(),
    }
}
