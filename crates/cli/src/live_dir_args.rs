//! The flag that says where the records of the lanes are, for programs that see nothing else of the volume.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

const DEFAULT: &str = "/chatgpt-live";

/// Where the records of the lanes are.
#[derive(Clone, Debug, Args)]
pub struct LiveDirArgs {
    /// Directory of the lanes' records
    // `OsString`, because clap refuses an empty path, and charts set variables without a value.
    #[arg(long, value_name = "DIR", env = "CHATGPT_LIVE_DIR", default_value = DEFAULT)]
    live_dir: OsString,
}

impl LiveDirArgs {
    /// The directory. A variable without a value counts as not set.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        if self.live_dir.is_empty() { DEFAULT.into() } else { PathBuf::from(&self.live_dir) }
    }
}
