//! Files that look like logins and are in no slot: a copy under another name, or a name that is almost a slot's.

use std::io;
use std::path::Path;

use records::Slot;

/// What the names of our own copies of a master have behind its name.
const OUR_COPIES: [&str; 2] = [".before-", ".removed-"];

/// The names in the directory of the logins that begin as a slot's does and are no slot's, nor of a copy of ours.
///
/// # Errors
/// The directory cannot be read.
pub fn almost_slots(auth: &Path) -> io::Result<Vec<String>> {
    let files = std::fs::read_dir(auth)?.flatten().filter(|entry| !entry.path().is_dir());
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| is_almost(name)).collect();
    names.sort_unstable();
    Ok(names)
}

fn is_almost(name: &str) -> bool {
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
    fn names_that_are_almost_a_slots_are_found_and_our_own_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let almost = [
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
        for name in almost.iter().chain(&others) {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("auth-old")).unwrap();
        assert_eq!(almost_slots(dir.path()).unwrap(), almost);
        std::fs::write(dir.path().join(OsStr::from_bytes(b"auth-1\xff.json")), "").unwrap();
        assert!(almost_slots(dir.path()).unwrap().contains(&"auth-1\u{fffd}.json".to_owned()));
        assert!(almost_slots(&dir.path().join("none")).is_err());
    }
}
