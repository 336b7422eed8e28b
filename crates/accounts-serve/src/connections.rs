//! Who is connected, and who must go so that a new one is served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// How many are served at once.
const MOST: usize = 256;

/// All connections, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Connections {
    room: Arc<Semaphore>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    came: u64,
    all: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    /// Its request is here, so that what it waits for is ours.
    has_asked: bool,
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    connections: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        // Looking at the volume needs files, too.
        let files =
            getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| usize::try_from(soft).unwrap_or(MOST));
        Self::with_room((files / 2).clamp(1, MOST))
    }

    fn with_room(most: usize) -> Arc<Self> {
        Arc::new(Self { room: Arc::new(Semaphore::new(most)), open: Mutex::default() })
    }

    /// Serves one more, and ends another one first where there is no room.
    pub(crate) async fn admit<F>(self: &Arc<Self>, serve: impl FnOnce(Place) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.room.available_permits() == 0 {
            self.end_one();
        }
        // The one that was told to end is gone as soon as this waits.
        let permit = self.room.clone().acquire_owned().await.expect("nobody closes it");
        let mut open = self.open();
        open.came += 1;
        let number = open.came;
        let place = Place { number, connections: self.clone(), _permit: permit };
        let task = tokio::spawn(serve(place)).abort_handle();
        open.all.insert(number, Connection { task, has_asked: false });
    }

    /// Ends the one that has been silent for longest, or, where all have asked, the oldest.
    pub(crate) fn end_one(&self) {
        let mut open = self.open();
        let silent = open.all.iter().find(|(_, connection)| !connection.has_asked);
        let number = silent.or_else(|| open.all.first_key_value()).map(|(number, _)| *number);
        if let Some(connection) = number.and_then(|number| open.all.remove(&number)) {
            connection.task.abort();
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Its request has arrived.
    pub(crate) fn has_asked(&self) {
        if let Some(connection) = self.connections.open().all.get_mut(&self.number) {
            connection.has_asked = true;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::watch;

    use super::*;

    /// Who is still served after this many have come, of whom some ask, where there is room for two.
    async fn served(come: u32, asking: &[u32]) -> Vec<u32> {
        let connections = Connections::with_room(2);
        let mut ends = Vec::new();
        for number in 1..=come {
            let (alive, end) = watch::channel(());
            let asks = asking.contains(&number);
            let serve = |place: Place| async move {
                let _alive = alive;
                if asks {
                    place.has_asked();
                }
                pending::<()>().await;
            };
            connections.admit(serve).await;
            tokio::task::yield_now().await;
            ends.push((number, end));
        }
        ends.into_iter().filter(|(_, end)| end.has_changed().is_ok()).map(|(number, _)| number).collect()
    }

    #[tokio::test]
    async fn while_there_is_room_nobody_must_go() {
        assert_eq!(served(2, &[]).await, [1, 2]);
    }

    #[tokio::test]
    async fn the_one_that_was_silent_for_longest_goes_first() {
        assert_eq!(served(3, &[]).await, [2, 3]);
        assert_eq!(served(3, &[1]).await, [1, 3]);
        assert_eq!(served(9, &[1]).await, [1, 9]);
    }

    #[tokio::test]
    async fn where_all_have_asked_the_oldest_goes() {
        assert_eq!(served(3, &[1, 2, 3]).await, [2, 3]);
    }

    #[tokio::test]
    async fn one_that_has_ended_makes_room() {
        let connections = Connections::with_room(1);
        for _ in 0..3 {
            connections.admit(|place| async move { drop(place) }).await;
            tokio::task::yield_now().await;
        }
        assert_eq!((connections.room.available_permits(), connections.open().all.len()), (1, 0));
    }
}
