//! The flags that say which Secret has the records of the lanes, and with what right it is reached.

use std::path::PathBuf;

use clap::Args;

/// The Secret with the records of the lanes.
#[derive(Clone, Debug, Args)]
pub struct LanesSecretArgs {
    /// The Secret, in the pod's namespace; it must be there
    #[arg(long = "secret", value_name = "NAME", env = "CODEX_LANES_SECRET", default_value = "codex-lanes")]
    pub name: String,

    /// Directory with the pod's token for Kubernetes' API
    #[arg(long, value_name = "DIR", default_value = "/var/run/secrets/kubernetes.io/serviceaccount")]
    pub service_account: PathBuf,
}
