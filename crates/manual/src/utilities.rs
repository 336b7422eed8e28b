//! The command lines of the utilities: the files themselves, so that no word can differ.

#[path = "../../accounts/src/args.rs"]
mod accounts;
#[path = "../../auth-login/src/args.rs"]
mod auth_login;
#[path = "../../idle/src/args.rs"]
mod idle;
#[path = "../../rotate-once/src/args.rs"]
mod rotate_once;
#[path = "../../seed-codex-config/src/args.rs"]
mod seed_codex_config;

use clap::{Command, CommandFactory as _};
use toml_edit::DocumentMut;

use crate::accounts_serve;

/// Every utility, as it describes itself.
pub(crate) fn all() -> [Command; 6] {
    [
        of("accounts", accounts::Args::command(), include_str!("../../accounts/Cargo.toml")),
        of(
            "accounts-serve",
            accounts_serve::args::Args::command(),
            include_str!("../../accounts-serve/Cargo.toml"),
        ),
        of("auth-login", auth_login::Args::command(), include_str!("../../auth-login/Cargo.toml")),
        of("idle", idle::Args::command(), include_str!("../../idle/Cargo.toml")),
        of("rotate-once", rotate_once::Args::command(), include_str!("../../rotate-once/Cargo.toml")),
        of(
            "seed-codex-config",
            seed_codex_config::Args::command(),
            include_str!("../../seed-codex-config/Cargo.toml"),
        ),
    ]
}

/// What clap took from this crate's manifest, it takes from the utility's own in the utility.
fn of(name: &'static str, command: Command, manifest: &str) -> Command {
    let command = command.name(name);
    if command.get_about().is_none_or(|about| about.to_string() != env!("CARGO_PKG_DESCRIPTION")) {
        return command;
    }
    let manifest: DocumentMut = manifest.parse().expect("cargo reads the same manifest");
    let description = manifest["package"]["description"].as_str().expect("every crate has a description");
    command.about(description.to_owned())
}
