//! Environment variables, read in one place, so that a test can set others.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Looks variables up. A variable without a value counts as not set.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a>(pub(crate) &'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        Self(&|name| env::var_os(name))
    }

    /// A variable's text, without white space around it.
    pub(crate) fn text(self, name: &str) -> Option<String> {
        let value = (self.0)(name)?.to_string_lossy().trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// A variable's value as a path.
    pub(crate) fn path(self, name: &str) -> Option<PathBuf> {
        (self.0)(name).filter(|path| !path.is_empty()).map(PathBuf::from)
    }
}
