//! The connections, and which one is closed when a new one finds no room.

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
    last_number: u64,
    all: BTreeMap<u64, Connection>,
    /// Counts what happens on connections, to tell which of them has been idle the longest.
    happened: u64,
}

#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    /// When it last took a part of its answer, or else its request arrived; `None` while we wait for that.
    answered: Option<u64>,
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
        // Half of the files that may be open are left for reading the digest, and for more.
        let files =
            getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| usize::try_from(soft).unwrap_or(MOST));
        Self::with_room((files / 2).clamp(1, MOST))
    }

    fn with_room(most: usize) -> Arc<Self> {
        Arc::new(Self { room: Arc::new(Semaphore::new(most)), open: Mutex::default() })
    }

    /// Serves one more, and closes another one first if there is no room.
    pub(crate) async fn admit<F>(self: &Arc<Self>, serve: impl FnOnce(Place) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.room.available_permits() == 0 {
            self.close_one();
        }
        // The task of the one that was closed ends while this waits.
        let permit = self.room.clone().acquire_owned().await.expect("the semaphore is never closed");
        let mut open = self.open();
        open.last_number += 1;
        let number = open.last_number;
        let place = Place { number, connections: self.clone(), _permit: permit };
        let task = tokio::spawn(serve(place)).abort_handle();
        open.all.insert(number, Connection { task, answered: None });
    }

    /// Closes the connection that has been idle the longest: of those that have sent no request the oldest, or if most have
    /// sent one, of these the one that has taken nothing of its answer for the longest. So neither clients that say nothing
    /// nor clients that read nothing leave the others no room.
    pub(crate) fn close_one(&self) {
        let mut open = self.open();
        let answered = || open.all.iter().filter_map(|(number, it)| Some((it.answered?, *number)));
        let silent = || open.all.iter().find(|(_, it)| it.answered.is_none()).map(|(number, _)| *number);
        let idle = || answered().min().map(|(_, number)| number);
        let number = if answered().count() * 2 > open.all.len() { idle() } else { silent().or_else(idle) };
        if let Some(connection) = number.and_then(|number| open.all.remove(&number)) {
            connection.task.abort();
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Notes that the connection's request has arrived, or that a part of the answer has been taken.
    pub(crate) fn goes_on(&self) {
        let mut open = self.connections.open();
        open.happened += 1;
        let happened = open.happened;
        if let Some(connection) = open.all.get_mut(&self.number) {
            connection.answered = Some(happened);
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

    /// Which connections are still open after this many were made, if there is room for three and some sent a request.
    async fn still_open(made: u32, with_request: &[u32]) -> Vec<u32> {
        let connections = Connections::with_room(3);
        let mut ends = Vec::new();
        for number in 1..=made {
            let (alive, end) = watch::channel(());
            let has_request = with_request.contains(&number);
            let serve = |place: Place| async move {
                let _alive = alive;
                if has_request {
                    place.goes_on();
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
    async fn while_there_is_room_none_is_closed() {
        assert_eq!(still_open(3, &[]).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn the_oldest_without_a_request_is_closed_first() {
        assert_eq!(still_open(4, &[]).await, [2, 3, 4]);
        assert_eq!(still_open(4, &[1]).await, [1, 3, 4]);
        assert_eq!(still_open(9, &[1]).await, [1, 8, 9]);
    }

    #[tokio::test]
    async fn if_most_have_sent_a_request_the_one_that_has_taken_nothing_the_longest_is_closed() {
        assert_eq!(still_open(4, &[1, 2]).await, [2, 3, 4]);
        assert_eq!(still_open(4, &[1, 2, 3, 4]).await, [2, 3, 4]);
    }

    #[tokio::test]
    async fn one_that_goes_on_taking_its_answer_is_not_closed() {
        let connections = Connections::with_room(2);
        let (go_on, asked) = watch::channel(0);
        for number in 1..=3 {
            let mut asked = asked.clone();
            let serve = |place: Place| async move {
                place.goes_on();
                while asked.changed().await.is_ok() {
                    if number == 1 {
                        place.goes_on();
                    }
                }
            };
            connections.admit(serve).await;
            tokio::task::yield_now().await;
            go_on.send_replace(number);
            tokio::task::yield_now().await;
        }
        assert_eq!(connections.open().all.keys().copied().collect::<Vec<_>>(), [1, 3]);
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
