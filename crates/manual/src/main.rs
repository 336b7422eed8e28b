//! Writes the man pages and shell completions of every utility into a `share` directory, from the very command lines
//! that the utilities parse.
//!
//! Run by `scripts/dist` as `manual --date 2026-11-24 share`; a program of its own, so that no shipped one carries the
//! code.

mod page;
mod utilities;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, Parser};
use clap_complete::Shell;

use crate::page::Book;

/// Writes the man pages and shell completions of every utility
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The date of the pages
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: String,

    /// The directory that becomes /usr/local/share
    #[arg(value_name = "DIR")]
    share: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match write(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("manual: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(args: &Args) -> anyhow::Result<()> {
    let utilities = utilities::all();
    let pages = directory(&args.share, "man/man1")?;
    for (name, page) in Book::of(&utilities, &args.date).pages() {
        let path = pages.join(format!("{name}.1"));
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for utility in utilities {
        write_completions(utility, &args.share)?;
    }
    Ok(())
}

/// Each goes where its shell looks by default.
fn write_completions(mut utility: Command, share: &Path) -> anyhow::Result<()> {
    let name = utility.get_name().to_owned();
    for (shell, place) in [
        (Shell::Bash, "bash-completion/completions"),
        (Shell::Zsh, "zsh/site-functions"),
        (Shell::Fish, "fish/vendor_completions.d"),
    ] {
        clap_complete::generate_to(shell, &mut utility, &name, directory(share, place)?)
            .with_context(|| format!("cannot write {name}'s completion for {shell}"))?;
    }
    Ok(())
}

fn directory(share: &Path, place: &str) -> anyhow::Result<PathBuf> {
    let path = share.join(place);
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}
