//! Finishing what killed writers had begun. An error with one file is reported and stops nothing.

use std::path::Path;

use durable_file::atomic::{remove_if_there, rename_and_sync};
use durable_file::draft::Draft;
use durable_file::private_file::{NotRead, PrivateFile};
use records::{Lane, Login, Slot, Timestamp};

use crate::clock;
use crate::layout::names;
use crate::lock::Locked;
use crate::masters::Master;

impl Locked<'_> {
    /// Puts complete drafts of masters in their places, and removes drafts that hold nothing. Returns lines for the log about
    /// what an operator should know.
    pub(crate) fn settle(&self) -> Vec<String> {
        let layout = self.volume().layout();
        let Ok(names) = names(layout.auth()) else { return Vec::new() };
        let now = clock::now();
        let mut notes = Vec::new();
        for name in names.filter(|name| name.starts_with('.')) {
            let path = layout.auth().join(&name);
            match master_of(&name) {
                Some((slot, is_old)) => notes.extend(self.settle_master(&path, &name, slot, is_old, now)),
                // If its writer is still alive, it will make another draft.
                None if is_ours(&name) => drop(remove_if_there(&path)),
                None => {}
            }
        }
        notes
    }

    /// A complete draft was to replace the master, and may hold the only copy of a refresh token. Only a draft that has been
    /// read and is no login is removed.
    fn settle_master(
        &self,
        path: &Path,
        name: &str,
        slot: Slot,
        is_old: bool,
        now: Timestamp,
    ) -> Option<String> {
        let shown = path.display();
        let file = match PrivateFile::read(path) {
            Ok(file) => file,
            Err(NotRead::Missing) => return None,
            Err(e) => {
                return Some(format!(
                    "{shown} may hold the newest login of {slot}, and cannot be read ({e}): it is left alone"
                ));
            }
        };
        if !is_old && Draft::is_in_use(name, file.file(), now) {
            return None;
        }
        let Ok(login) = Login::parse(&file.content) else {
            let _ = remove_if_there(path);
            return None;
        };
        let master = self.volume().master(slot);
        match is_newer(&login, &file, &master, self.volume().layout().master(slot).as_path()) {
            Some(true) => rename_and_sync(path, &self.volume().layout().master(slot))
                .err()
                .map(|e| format!("{shown} holds the newest login of {slot}, and cannot take its place: {e}")),
            Some(false) => match self.keep_beside(slot, &file.content, now) {
                Ok(_) => remove_if_there(path).err().map(|e| format!("{shown} cannot be removed: {e}")),
                Err(e) => Some(format!("{shown} is older than {slot}, and cannot be kept beside it: {e}")),
            },
            None => remove_if_there(path).err().map(|e| format!("{shown} cannot be removed: {e}")),
        }
    }
}

/// Whether a draft is newer than the master; `None` if it is the same login.
fn is_newer(login: &Login, draft: &PrivateFile, master: &Master, path: &Path) -> Option<bool> {
    match &master.login {
        Ok(there) if there.grant() == login.grant() && there.access_token == login.access_token => None,
        Ok(there) if there.account == login.account => Some(login.generation() > there.generation()),
        Ok(_) => Some(PrivateFile::read(path).is_ok_and(|there| draft.written >= there.written)),
        Err(_) => Some(true),
    }
}

/// The slot whose master a file of this name is a draft of, and whether the name is one that earlier releases gave.
fn master_of(name: &str) -> Option<(Slot, bool)> {
    let old =
        name.strip_prefix('.').and_then(|name| name.strip_suffix(".new")).and_then(Slot::from_file_name);
    let new = || Draft::target(name).and_then(Slot::from_file_name);
    old.map(|slot| (slot, true)).or_else(|| Some((new()?, false)))
}

/// Whether a file of this name is a draft of a file that only the holder of the lock writes.
fn is_ours(name: &str) -> bool {
    let target = Draft::target(name).or_else(|| name.strip_prefix('.')?.strip_suffix(".new"));
    target.is_some_and(|target| {
        ["auth.json", "pool.json", "models.json", "rotator_state.json", "audit.jsonl", ".proof", ".trial"]
            .contains(&target)
            || Lane::from_file_name(target).is_some()
            || target.starts_with(".grant-")
            || target.starts_with("auth-") && target.contains(".json.before-")
    })
}
