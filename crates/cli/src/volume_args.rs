//! The flags that say where the volume is, the same in every command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

const DEFAULT: &str = "/chatgpt-auth";

/// Where the volume is. `OsString`, because clap refuses an empty path, and charts set variables without a value.
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
    /// The directory of the logins, and that of the published record if it has one of its own. A variable without a value
    /// counts as not set.
    #[must_use]
    pub fn directories(&self) -> (PathBuf, Option<PathBuf>) {
        let given = |path: &OsString| Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty());
        let auth = given(&self.auth_dir).unwrap_or_else(|| DEFAULT.into());
        (auth, self.live_dir.as_ref().and_then(given))
    }
}
