//! The flags that say where the volume is, the same in every command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::{Layout, Volume, VolumeError};

const DEFAULT: &str = "/chatgpt-auth";

/// Where the volume is. `OsString`, for clap refuses an empty path, and charts set variables to nothing.
#[derive(Clone, Debug, Args)]
pub struct VolumeArgs {
    /// Directory of the logins, auth-N.json
    #[arg(long, global = true, value_name = "DIR", env = "CHATGPT_AUTH_DIR", default_value = DEFAULT)]
    auth_dir: OsString,

    /// Directory of auth.json and rotate-now, when LiteLLM is to see nothing else
    #[arg(long, global = true, value_name = "DIR", env = "CHATGPT_LIVE_DIR")]
    live_dir: Option<OsString>,
}

impl VolumeArgs {
    /// Opens the volume; a variable that is set to nothing counts as not set.
    ///
    /// # Errors
    /// A directory is not there.
    pub fn open(&self) -> Result<Volume, VolumeError> {
        let given = |path: &OsString| Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
        let auth = given(&self.auth_dir).unwrap_or_else(|| DEFAULT.into());
        Volume::open(Layout::new(auth, self.live_dir.as_ref().and_then(given)))
    }
}
