//! The command lines of the utilities, as they describe themselves.

use clap::{Command, CommandFactory as _};

/// Every utility.
pub(crate) fn all() -> [Command; 10] {
    [
        accounts::Args::command(),
        accounts_serve::Args::command(),
        agent_key::Args::command(),
        auth_login::Args::command(),
        idle::Args::command(),
        lane_follower::Args::command(),
        lane_mirror::Args::command(),
        rotate_once::Args::command(),
        seed_codex_config::Args::command(),
        signal_receiver::Args::command(),
    ]
}
