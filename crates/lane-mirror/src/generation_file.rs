//! The generation of the volume's lanes, in a file on it: `{"version": 1, "generation": 7}`.

use auth_volume::Layout;
use auth_volume::error::{cannot_read, cannot_write};
use cli::exit::{Exit, Failure};
use durable_file::atomic::{self, Access};
use durable_file::private_file::{NotRead, PrivateFile};
use judgement::mirror::Generation;
use records::remedy;
use serde_json::{Value, json};

/// The stored one; the first if none is.
///
/// # Errors
/// The file cannot be read, or is not one that this program writes. It is not taken for the first then.
pub(crate) fn read(layout: &Layout) -> Result<Generation, Failure> {
    let path = layout.mirrored();
    let content = match PrivateFile::read(&path) {
        Ok(file) => file.content,
        Err(NotRead::Missing) => return Ok(Generation::default()),
        Err(NotRead::Io(e)) => return Err(cannot_read(&path)(e).into()),
        Err(e) => return Err(Failure::new(Exit::BadConfig, format!("{}: {e}", path.display()))),
    };
    let document: Value = serde_json::from_slice(&content).unwrap_or_default();
    let generation = document["generation"].as_u64().filter(|_| document["version"] == 1);
    generation.map(Generation::of).ok_or_else(|| {
        let instead = format!("remove it, then run {}", remedy::TAKE_OVER);
        Failure::new(
            Exit::BadConfig,
            format!("{} does not say which generation it is: {instead}", path.display()),
        )
    })
}

/// Stores one, durably.
///
/// # Errors
/// The volume cannot be written. The one before is still there.
pub(crate) fn store(layout: &Layout, generation: Generation) -> Result<(), Failure> {
    let path = layout.mirrored();
    let document = json!({"version": 1, "generation": generation.number()});
    atomic::replace(&path, format!("{document}\n").as_bytes(), Access::PRIVATE)
        .map_err(cannot_write(&path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_kept_and_a_broken_file_is_not_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().to_owned(), None);
        assert_eq!(read(&layout).unwrap(), Generation::default());
        store(&layout, Generation::of(7)).unwrap();
        assert_eq!(read(&layout).unwrap(), Generation::of(7));
        for broken in
            ["", "{half", "{}", r#"{"version": 2, "generation": 9}"#, r#"{"version": 1, "generation": -1}"#]
        {
            std::fs::write(layout.mirrored(), broken).unwrap();
            let failure = read(&layout).unwrap_err();
            assert!(failure.error.to_string().contains("lane-mirror --take-over"), "{broken}");
        }
    }
}
