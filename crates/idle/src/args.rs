//! The command line: what may be asked for, and what goes together.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};

const EVERY_ENV: &str = "CODEX_ROTATION_INTERVAL_SEC";

const AFTER_HELP: &str = "\
CMD runs at start, then as the options say, never twice at once. It is expected
to remove FILE; a FILE it leaves unchanged does not run it again.

Exit codes:
  0         told to stop (SIGTERM, SIGINT) while CMD was not running
  1         idle itself failed
  2         wrong usage
  126, 127  CMD cannot be run, or was not found, at the very first start
  other     told to stop while CMD was running: CMD's own code, or 128+n if
            signal n ended it";

/// Keeps a container alive as PID 1 and runs CMD on time or when FILE appears
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = AFTER_HELP,
    override_usage = "idle [--every DURATION] [--wake-on FILE] [-- CMD ARGS…]"
)]
pub(crate) struct Args {
    /// Run CMD again this long after its last start: 30m, 1h30m, 90s or plain seconds
    // Text, because a container that runs no CMD may inherit any value of the variable.
    #[arg(long, value_name = "DURATION", env = EVERY_ENV)]
    every: Option<String>,

    /// Run CMD again as soon as FILE appears, by rename or once its writer closes it
    #[arg(long, value_name = "FILE")]
    wake_on: Option<PathBuf>,

    /// Command to run, with its arguments; without it idle only keeps the container alive
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// A command to run, and when to run it again.
#[derive(Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) words: Vec<OsString>,
    pub(crate) every: Option<Duration>,
    pub(crate) wake_on: Option<PathBuf>,
}

/// What the command line asks for: `None` is to stay alive and nothing else. Ends the program on wrong usage.
pub(crate) fn job(words: impl ExactSizeIterator<Item = OsString>) -> Option<Job> {
    // Most containers give no argument at all; the parser's 12 KiB of heap would stay with each of them.
    if words.len() <= 1 {
        return None;
    }
    parse(words).unwrap_or_else(|error| error.exit())
}

// Inlined, its frame would be a page of memory in every container that never comes here.
#[inline(never)]
fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Option<Job>, clap::Error> {
    let matches = Args::command().try_get_matches_from(words)?;
    let Args { every, wake_on, command } = Args::from_arg_matches(&matches)?;
    let every_is_a_flag = matches.value_source("every") == Some(ValueSource::CommandLine);

    if command.is_empty() {
        return match (every_is_a_flag, wake_on) {
            (true, _) => Err(needs_a_command("--every 30m")),
            (false, Some(_)) => Err(needs_a_command("--wake-on FILE")),
            (false, None) => Ok(None),
        };
    }
    if wake_on.as_ref().is_some_and(|file| file.file_name().is_none()) {
        return Err(usage(ErrorKind::ValueValidation, "--wake-on needs the path of a file"));
    }

    let origin = if every_is_a_flag { "--every" } else { EVERY_ENV };
    let every = every
        .filter(|text| every_is_a_flag || !text.is_empty())
        .map(|text| duration(&text))
        .transpose()
        .map_err(|error| usage(ErrorKind::ValueValidation, &format!("{origin}: {error}")))?;

    Ok(Some(Job { words: command, every, wake_on }))
}

fn needs_a_command(option: &str) -> clap::Error {
    let name = option.split(' ').next().unwrap_or(option);
    let message =
        format!("{name} needs a command to run: add it after --, as in idle {option} -- rotate-once");
    usage(ErrorKind::MissingRequiredArgument, &message)
}

fn usage(kind: ErrorKind, message: &str) -> clap::Error {
    Args::command().error(kind, message)
}

fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let every = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text)
            .map_err(|_| format!("'{text}' is not a duration; write 30m, 1h30m, 90s or plain seconds"))?,
    };
    if every.is_zero() {
        return Err(format!("'{text}' would run CMD without a pause; write at least 1s"));
    }
    Ok(every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn durations_are_plain_seconds_or_carry_units() {
        let minutes = |n| Ok(Duration::from_mins(n));
        assert_eq!(duration("1800"), minutes(30));
        assert_eq!(duration("30m"), minutes(30));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), minutes(90));
        assert_eq!(duration("1800\n"), minutes(30), "a trailing newline is how secrets and files end");
    }

    #[test]
    fn zero_is_refused_however_it_is_written() {
        for text in ["0", "0s", "0m 0s"] {
            let error = duration(text).expect_err(text);
            assert_eq!(error, format!("'{text}' would run CMD without a pause; write at least 1s"));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_examples() {
        for text in ["soon", "", "-5", "1.5", "30 minuten"] {
            let error = duration(text).expect_err(text);
            assert_eq!(error, format!("'{text}' is not a duration; write 30m, 1h30m, 90s or plain seconds"));
        }
    }

    #[test]
    fn what_follows_the_two_dashes_is_left_alone() {
        let words = ["idle", "--wake-on", "/v/now", "--", "cmd", "--every", "-x", "--"].map(OsString::from);
        let job = parse(words).expect("sound usage").expect("a job");
        assert_eq!(job.words, ["cmd", "--every", "-x", "--"]);
        assert_eq!(job.wake_on, Some(PathBuf::from("/v/now")));
    }
}
