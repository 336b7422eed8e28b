//! Makes a key for an agent, and prints what to apply: the Secret of hashes, by which `LiteLLM` knows every agent, with
//! the new one in it, and the Secret of the agent with the key.
//!
//! The Secret of hashes comes in on stdin, because `kubectl apply` takes away what an earlier one had and this one lacks.
//! It holds nothing secret: no key can be guessed from its hash.

mod args;
mod entry;
mod key;
mod manifests;
mod name;

use std::io::{self, IsTerminal as _, Read as _};

use cli::exit::{Exit, Failure, OrExit as _};
use cli::log::line;
use cli::output;
use records::Timestamp;

use crate::entry::Entry;
use crate::key::AgentKey;
use crate::manifests::{KnownAgents, agents_secret, list};
use crate::name::AgentName;

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "agent-key";

/// No Secret is larger, as JSON with its metadata.
const LARGEST: u64 = 4 << 20;

/// Prints the manifests, and on stderr what was done and what to do next.
///
/// # Errors
/// Nothing or no such Secret came in, the agent has no key whose limits could change, or there is no randomness.
pub fn run(args: &Args, now: Timestamp) -> Result<(), Failure> {
    let name = &args.name;
    let mut known = if args.first {
        KnownAgents::none()
    } else {
        KnownAgents::parse(&stdin(name)?).or_exit(Exit::BadConfig)?
    };
    let before = known.entry(name).or_exit(Exit::BadConfig)?;
    if args.limits_only && before.is_none() {
        let message = format!("{name} has no key yet: leave --limits-only out to make one");
        return Err(Failure::new(Exit::BadConfig, message));
    }
    let mut entry = before.unwrap_or_default().limited(&args.limits);
    let mut secrets = Vec::new();
    let made = if args.limits_only { None } else { Some(AgentKey::random().or_exit(Exit::Failed)?) };
    if let Some(key) = &made {
        entry = entry.with_key(
            key.digest(),
            args.expires.map(|after| now.plus(after)),
            now.plus(args.keep_old),
            now,
        );
        secrets.push(agents_secret(name, key, known.namespace()));
    }
    known.set(name, &entry);
    secrets.insert(0, known.manifest());
    if !output::say(&list(&secrets))? {
        return Err(Failure::new(Exit::Failed, "nobody has read the manifests: nothing is changed"));
    }
    tell(name, &entry, made.is_some());
    Ok(())
}

/// What came in. Nothing at all is an error: it is what a `kubectl` leaves that has failed.
fn stdin(name: &AgentName) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if !io::stdin().is_terminal() {
        io::stdin().lock().take(LARGEST).read_to_end(&mut bytes).or_exit(Exit::Failed)?;
    }
    if bytes.trim_ascii().is_empty() {
        let message = format!(
            "no Secret came in; type: kubectl get secret {secret} -o json | agent-key {name} | kubectl apply -f - \
             (or, if there is no Secret {secret} yet: agent-key {name} --first | kubectl create --save-config -f -)",
            secret = manifests::HASHES,
        );
        return Err(Failure::new(Exit::BadConfig, message));
    }
    Ok(bytes)
}

fn tell(name: &AgentName, entry: &Entry, is_made: bool) {
    if is_made {
        line(COMMAND, format_args!("made a key for {name}, in the Secret {}: {entry}", name.secret()));
        if let Some(until) = entry.old_until() {
            line(
                COMMAND,
                format_args!("the old key of {name} is good until {until}: restart the agent before"),
            );
        }
    } else {
        line(COMMAND, format_args!("changed the limits of {name}: {entry}"));
    }
}
