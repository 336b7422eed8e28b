//! What a replica that follows the Secret of the lanes does with what is in it. Pure.
//!
//! It takes the records of all its lanes or keeps those that it has, whatever becomes of the Secret: with an old record
//! LiteLLM answers as long as the access token lives, and with none it does not.

use std::collections::BTreeMap;
use std::fmt;

use records::{Lane, LaneCount};

use crate::mirror::{Generation, Mirrored};

/// By what Kubernetes tells a Secret from one of the same name that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uid(String);

/// Of which Secret a replica has the records, and which generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub uid: Uid,
    pub generation: Generation,
}

/// Why a replica keeps the records that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nobody has mirrored anything into the Secret yet.
    Empty,
    /// The Secret has no record of this lane that LiteLLM can use.
    Incomplete(Lane),
    /// The Secret has an earlier generation than the replica.
    Earlier { there: Generation, here: Generation },
}

impl Uid {
    /// The one that Kubernetes gave.
    #[must_use]
    pub fn of(uid: &str) -> Self {
        Self(uid.to_owned())
    }
}

/// As the rest of a sentence about the Secret.
impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "has no records: waiting for lane-mirror"),
            Self::Incomplete(lane) => {
                write!(f, "has no record of {lane} that LiteLLM can use: waiting for lane-mirror")
            }
            Self::Earlier { there, here } => {
                let (there, here) = (there.number(), here.number());
                write!(
                    f,
                    "went back from generation {here} to {there}: restart the replicas if that is meant"
                )
            }
        }
    }
}

/// The records that a replica takes, those of its lanes, and of which generation they are.
///
/// An earlier generation is an older copy, put back by hand, which the owner soon mends; but a Secret that was deleted and
/// made again has what its owner has, however it counts.
///
/// # Errors
/// Why it keeps those that it has.
pub fn follow<R: Clone>(
    lanes: LaneCount,
    taken: Option<&Taken>,
    uid: &Uid,
    there: Option<&Mirrored<R>>,
) -> Result<Mirrored<R>, Kept> {
    let there = there.ok_or(Kept::Empty)?;
    let here = taken.filter(|taken| taken.uid == *uid).map(|taken| taken.generation);
    if let Some(here) = here.filter(|here| there.generation < *here) {
        return Err(Kept::Earlier { there: there.generation, here });
    }
    let record = |lane| Ok((lane, there.lanes.get(&lane).ok_or(Kept::Incomplete(lane))?.clone()));
    let records = lanes.lanes().map(record).collect::<Result<BTreeMap<_, _>, _>>()?;
    Ok(Mirrored { generation: there.generation, lanes: records })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrored(generation: u64, accounts: &[&'static str]) -> Mirrored<&'static str> {
        let lanes = Lane::all().zip(accounts.iter().copied()).collect();
        Mirrored { generation: Generation::of(generation), lanes }
    }

    fn taken(uid: &str, generation: u64) -> Taken {
        Taken { uid: Uid::of(uid), generation: Generation::of(generation) }
    }

    fn follow(taken: Option<&Taken>, there: &Mirrored<&'static str>) -> Result<Vec<&'static str>, Kept> {
        let records = super::follow("2".parse().unwrap(), taken, &Uid::of("a"), Some(there))?;
        Ok(records.lanes.into_values().collect())
    }

    #[test]
    fn a_replica_takes_the_records_of_its_lanes_and_of_no_other() {
        assert_eq!(follow(None, &mirrored(0, &["ann", "ben", "cem"])), Ok(vec!["ann", "ben"]));
        let there = mirrored(8, &["ann", "cem"]);
        assert_eq!(follow(Some(&taken("a", 7)), &there), Ok(vec!["ann", "cem"]));
        assert_eq!(
            follow(Some(&taken("a", 8)), &there),
            Ok(vec!["ann", "cem"]),
            "a generation may be filled again"
        );
    }

    #[test]
    fn a_secret_that_is_empty_or_lacks_a_record_changes_nothing() {
        let lane = Lane::all().nth(1).unwrap();
        assert_eq!(follow(None, &mirrored(9, &["ann"])), Err(Kept::Incomplete(lane)));
        assert_eq!(follow(None, &mirrored(9, &[])), Err(Kept::Incomplete(Lane::FIRST)));
        let none = super::follow::<u8>("2".parse().unwrap(), None, &Uid::of("a"), None);
        assert_eq!(none, Err(Kept::Empty));
    }

    #[test]
    fn an_earlier_generation_is_taken_from_another_secret_only() {
        let there = mirrored(5, &["ann", "ben"]);
        let kept = follow(Some(&taken("a", 7)), &there).unwrap_err();
        assert_eq!(
            kept.to_string(),
            "went back from generation 7 to 5: restart the replicas if that is meant"
        );
        assert_eq!(follow(Some(&taken("b", 7)), &there), Ok(vec!["ann", "ben"]));
    }
}
