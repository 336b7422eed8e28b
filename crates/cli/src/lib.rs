//! What the command lines of the utilities share: exit codes, the log line, standard output, durations, and the flags that
//! say where the volume and the lanes are, where to listen and how the rotator judges.

pub mod core_dumps;
pub mod duration;
pub mod exit;
mod interval_args;
mod lanes_args;
mod lanes_secret_args;
mod listen;
mod live_dir_args;
pub mod log;
pub mod output;
mod percent;
mod policy_args;
mod volume_args;

pub use duration::{OptionalDuration, duration, positive_duration};
pub use interval_args::IntervalArgs;
pub use lanes_args::LanesArgs;
pub use lanes_secret_args::LanesSecretArgs;
pub use listen::Listen;
pub use live_dir_args::LiveDirArgs;
pub use policy_args::PolicyArgs;
pub use volume_args::VolumeArgs;
