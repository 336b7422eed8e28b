//! What is done so that a Secret has the records of the lanes, from which LiteLLM's replicas read them. Pure.
//!
//! The Secret carries the generation of the volume that it is a mirror of, a number that only grows. It is raised on the
//! volume before the Secret gets it, so a volume that was restored from a backup is behind its Secret, and is known by it.

use std::collections::BTreeMap;

use records::Lane;

/// How often the lanes have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

/// The lanes as a Secret has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored<R> {
    pub generation: Generation,
    pub lanes: BTreeMap<Lane, R>,
}

impl<R> Mirrored<R> {
    /// Whether it is later than the volume with this generation, which is an older copy of itself then.
    #[must_use]
    pub fn is_ahead_of(&self, volume: Generation) -> bool {
        self.generation > volume
    }
}

/// What is next. After each step the Secret and the volume are read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<R> {
    /// The Secret has what it should have.
    Nothing,
    /// This generation is to be stored on the volume, durably.
    Raise(Generation),
    /// This is to be in the Secret, which must not have changed since it was read.
    Patch(Mirrored<R>),
    /// The Secret has a later generation than the volume: this is an older copy of it, whose logins may be used up.
    Stop { there: Generation },
}

impl Generation {
    /// The one that a volume or a Secret has by its number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The next step from the records of the lanes, the volume's generation, and what the Secret has; nothing if it is empty.
#[must_use]
pub fn plan<R: Clone + PartialEq>(
    lanes: &BTreeMap<Lane, R>,
    generation: Generation,
    there: Option<&Mirrored<R>>,
) -> Step<R> {
    let wanted = Mirrored { generation, lanes: lanes.clone() };
    match there {
        Some(there) if there.is_ahead_of(generation) => Step::Stop { there: there.generation },
        Some(there) if *there == wanted => Step::Nothing,
        // Two contents of one generation could not be told apart.
        Some(there) if there.generation == generation => Step::Raise(generation.next()),
        _ => Step::Patch(wanted),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A claim, and the Secret with its resource version.
    #[derive(Clone, Debug, Default)]
    struct World {
        volume: Generation,
        backup: Generation,
        secret: Option<Mirrored<u8>>,
        version: u64,
    }

    fn lanes(account: u8) -> BTreeMap<Lane, u8> {
        [(Lane::FIRST, account)].into()
    }

    /// Mirrors until nothing is left to do, or so many steps are done, as if the writer were killed then.
    fn mirror(world: &mut World, account: u8, steps: usize) -> Option<Step<u8>> {
        for _ in 0..steps {
            match plan(&lanes(account), world.volume, world.secret.as_ref()) {
                Step::Raise(generation) => world.volume = generation,
                Step::Patch(mirrored) => (world.secret, world.version) = (Some(mirrored), world.version + 1),
                end => return Some(end),
            }
        }
        None
    }

    #[test]
    fn a_change_is_a_generation_of_its_own_and_the_same_lanes_are_written_once() {
        let mut world = World::default();
        assert_eq!(mirror(&mut world, 1, 9), Some(Step::Nothing));
        assert_eq!((world.volume, world.version), (Generation(0), 1));
        assert_eq!(mirror(&mut world, 1, 9), Some(Step::Nothing));
        assert_eq!(mirror(&mut world, 2, 9), Some(Step::Nothing));
        assert_eq!((world.volume, world.version), (Generation(1), 2));
        world.secret = None;
        assert_eq!(mirror(&mut world, 2, 9), Some(Step::Nothing));
        assert_eq!(
            (world.volume, world.version),
            (Generation(1), 3),
            "one that was deleted is written again"
        );
    }

    #[test]
    fn a_restored_volume_stops() {
        let mut world = World::default();
        mirror(&mut world, 1, 9);
        mirror(&mut world, 2, 9);
        world.volume = Generation(0);
        assert_eq!(mirror(&mut world, 1, 9), Some(Step::Stop { there: Generation(1) }));
        assert_eq!(world.secret.unwrap().lanes, lanes(2));
    }

    proptest! {
        #[test]
        fn no_secret_gets_a_lower_generation_or_another_content_of_the_same(
            passes in proptest::collection::vec((0..3_u8, 0..5_usize, 0..8_u8), 1..60),
        ) {
            let mut world = World::default();
            for (account, steps, event) in passes {
                match event {
                    0 => world.backup = world.volume,
                    1 => world.volume = world.backup,
                    _ => {}
                }
                let before = world.secret.clone();
                mirror(&mut world, account, steps);
                if let (Some(before), Some(after)) = (before, &world.secret) {
                    prop_assert!(after.generation >= before.generation);
                    prop_assert!(after.generation > before.generation || *after == before);
                }
            }
        }

        /// One that was read before another writer has written finds that the Secret has changed.
        #[test]
        fn of_two_writers_on_two_copies_of_a_volume_one_stops(first in 0..3_u8, changes in 1..9_u8) {
            let mut world = World::default();
            mirror(&mut world, first, 9);
            let mut copy = world.clone();
            for account in 0..changes {
                mirror(&mut world, 10 + account, 9);
            }
            copy.secret = world.secret.clone();
            let is_stopped = matches!(mirror(&mut copy, 99, 9), Some(Step::Stop { .. }));
            prop_assert!(is_stopped);
        }
    }
}
