//! What the command lines of the utilities share: exit codes, the log line, standard output, durations, and the flags that
//! say where the volume is, where to listen and how the rotator judges.

pub mod core_dumps;
pub mod duration;
pub mod exit;
mod interval_args;
mod listen;
pub mod log;
pub mod output;
mod percent;
mod policy_args;
mod volume_args;

pub use duration::{OptionalDuration, duration, positive_duration};
pub use interval_args::IntervalArgs;
pub use listen::Listen;
pub use policy_args::PolicyArgs;
pub use volume_args::VolumeArgs;
