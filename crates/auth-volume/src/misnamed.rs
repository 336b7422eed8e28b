//! Files that look like logins and are in no slot: copies under another name, or names that only resemble a slot's.

use std::io;
use std::path::Path;

use records::Slot;

/// What follows a master's name in the names of our own copies of it.
const OUR_COPIES: [&str; 2] = [".before-", ".removed-"];

/// The names in the directory of the logins that begin like a slot's, and are neither a slot's nor those of our own copies.
///
/// # Errors
/// The directory cannot be read.
pub fn misnamed_logins(auth: &Path) -> io::Result<Vec<String>> {
    let files = std::fs::read_dir(auth)?.flatten().filter(|entry| !entry.path().is_dir());
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| is_misnamed(name)).collect();
    names.sort_unstable();
    Ok(names)
}

fn is_misnamed(name: &str) -> bool {
    let begins = name.get(.."auth-".len()).is_some_and(|start| start.eq_ignore_ascii_case("auth-"));
    begins && Slot::from_file_name(name).is_none() && !is_our_copy(name)
}

fn is_our_copy(name: &str) -> bool {
    let of_slot =
        |mark: &str| name.split_once(mark).is_some_and(|(slot, _)| Slot::from_file_name(slot).is_some());
    OUR_COPIES.into_iter().any(of_slot)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn names_that_resemble_a_slots_are_found_and_our_own_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let misnamed = [
            "AUTH-2.json",
            "auth-",
            "auth-0.json",
            "auth-01.json",
            "auth-1 (1).json",
            "auth-1.JSON",
            "auth-1.json.bak",
            "auth-99999999999.json",
            "auth-x.json.before-1",
        ];
        let others = [
            "auth-1.json",
            "auth-12.json",
            "auth-1.json.before-1795439575",
            "auth-1.json.removed-2026-11-23",
            ".auth-1.json.new",
            "auth.json",
            "auth.json.found-1",
            "rotator_state.json",
        ];
        for name in misnamed.iter().chain(&others) {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("auth-old")).unwrap();
        assert_eq!(misnamed_logins(dir.path()).unwrap(), misnamed);
        std::fs::write(dir.path().join(OsStr::from_bytes(b"auth-1\xff.json")), "").unwrap();
        assert!(misnamed_logins(dir.path()).unwrap().contains(&"auth-1\u{fffd}.json".to_owned()));
        assert!(misnamed_logins(&dir.path().join("none")).is_err());
    }
}
