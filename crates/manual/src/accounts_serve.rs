//! The command line of `accounts-serve`, with the type of its own that it holds.

#[path = "../../accounts-serve/src/args.rs"]
pub(crate) mod args;
#[path = "../../accounts-serve/src/exec.rs"]
mod exec;
