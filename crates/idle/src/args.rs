//! The command line, and which options go together.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser};

const EVERY_ENV: &str = "CODEX_ROTATION_INTERVAL_SEC";
const FLOOR_ENV: &str = "CODEX_WAKE_FLOOR_SEC";

/// Short, so that a signal is acted on at once; the schedule makes a longer pause of it for a writer that never stops.
const DEFAULT_FLOOR: Duration = Duration::from_millis(100);

/// A longer duration is a typing error. The rotator's own settings have the same bound.
const LONGEST: Duration = Duration::from_hours(10 * 8766);

const AFTER_HELP: &str = "\
CMD runs at start, then as the options say, never twice at once. It is expected
to remove FILE; a FILE that it leaves unchanged does not run it again. If FILE
appears before the floor has passed, CMD runs once as soon as it has.

Exit codes:
  0         stopped by SIGTERM or SIGINT while CMD was not running
  1         idle itself failed
  2         wrong usage
  126, 127  CMD cannot be run, or was not found, at the very first start
  other     stopped while CMD was running: CMD's own code, or 128+n if signal
            n ended it";

/// Keeps a container alive as PID 1, and runs CMD on time or when FILE appears
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = AFTER_HELP,
    override_usage = "idle [--every DURATION] [--wake-on FILE [--wake-floor DURATION]] [-- CMD ARGS…]"
)]
pub struct Args {
    /// Run CMD again this long after its last start: 30m, 1h30m, 90s or plain seconds
    // Not parsed here, because a container that runs no CMD may inherit any value of the variable.
    #[arg(long, value_name = "DURATION", env = EVERY_ENV)]
    every: Option<OsString>,

    /// Run CMD again as soon as FILE appears, by rename or once its writer closes it
    #[arg(long, value_name = "FILE")]
    wake_on: Option<PathBuf>,

    /// The shortest time from one start of CMD to the next that FILE causes: 100ms, 2s or plain seconds;
    /// after 5 such runs each waits for a second of quiet [default: 100ms]
    #[arg(long, value_name = "DURATION", env = FLOOR_ENV)]
    wake_floor: Option<OsString>,

    /// The command to run, with its arguments; without it idle only keeps the container alive
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// A command to run, and when to run it again.
#[derive(Debug, PartialEq)]
pub struct Job {
    pub(crate) words: Vec<OsString>,
    pub(crate) every: Option<Duration>,
    pub(crate) wake_on: Option<PathBuf>,
    pub(crate) wake_floor: Duration,
}

impl Job {
    /// Parses the command line; `None` if the container is only to be kept alive.
    ///
    /// # Errors
    /// The usage is wrong, or help or the version was asked for.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, clap::Error> {
        let matches = Args::command().try_get_matches_from(words)?;
        let Args { every, wake_on, wake_floor, command } = Args::from_arg_matches(&matches)?;
        let is_a_flag = |id| matches.value_source(id) == Some(ValueSource::CommandLine);

        if command.is_empty() {
            return match wake_on {
                _ if is_a_flag("every") => Err(needs_a_command("--every 30m")),
                Some(_) => Err(needs_a_command("--wake-on FILE")),
                None if is_a_flag("wake_floor") => Err(needs_a_file()),
                None => Ok(None),
            };
        }
        if wake_on.as_ref().is_some_and(|file| file.file_name().is_none()) {
            return Err(usage(ErrorKind::ValueValidation, "--wake-on needs the path of a file"));
        }
        if wake_on.is_none() && is_a_flag("wake_floor") {
            return Err(needs_a_file());
        }

        let setting =
            |id, flag, variable, value: Option<OsString>, check: fn(&str) -> Result<Duration, String>| {
                let origin = if is_a_flag(id) { flag } else { variable };
                value
                    .filter(|text| is_a_flag(id) || !text.is_empty())
                    .map(|text| check(&text.to_string_lossy()))
                    .transpose()
                    .map_err(|error| usage(ErrorKind::ValueValidation, &format!("{origin}: {error}")))
            };
        let every = setting("every", "--every", EVERY_ENV, every, interval)?;
        // Without a file to wait for, the variable does not matter.
        let wake_floor = wake_floor.filter(|_| wake_on.is_some());
        let wake_floor = setting("wake_floor", "--wake-floor", FLOOR_ENV, wake_floor, duration)?;

        Ok(Some(Job { words: command, every, wake_on, wake_floor: wake_floor.unwrap_or(DEFAULT_FLOOR) }))
    }
}

fn needs_a_command(option: &str) -> clap::Error {
    let name = option.split(' ').next().unwrap_or(option);
    let message =
        format!("{name} needs a command to run: add it after --, as in idle {option} -- rotate-once");
    usage(ErrorKind::MissingRequiredArgument, &message)
}

fn needs_a_file() -> clap::Error {
    usage(
        ErrorKind::MissingRequiredArgument,
        "--wake-floor needs --wake-on FILE: it is between runs that FILE causes",
    )
}

fn usage(kind: ErrorKind, message: &str) -> clap::Error {
    Args::command().error(kind, message)
}

fn interval(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every.is_zero() {
        return Err(format!("'{}' would run CMD without a pause; write at least 1s", text.trim()));
    }
    Ok(every)
}

fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let duration = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text)
            .map_err(|_| format!("'{text}' is not a duration; write 30m, 1h30m, 90s or plain seconds"))?,
    };
    if duration > LONGEST {
        return Err(format!("'{text}' is longer than 10 years; write 30m, 1h30m, 90s or plain seconds"));
    }
    Ok(duration)
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
    fn an_interval_of_zero_is_refused_however_it_is_written() {
        for text in ["0", "0s", "0m 0s"] {
            let error = interval(text).expect_err(text);
            assert_eq!(error, format!("'{text}' would run CMD without a pause; write at least 1s"));
        }
    }

    #[test]
    fn a_floor_may_be_milliseconds_or_nothing() {
        assert_eq!(duration("100ms"), Ok(DEFAULT_FLOOR));
        for text in ["0", "0s"] {
            assert_eq!(duration(text), Ok(Duration::ZERO), "{text}");
        }
    }

    #[test]
    fn a_floor_is_read_only_where_a_file_is_waited_for() {
        let floor = |words: &[&str]| {
            let words = ["idle"].iter().chain(words).map(OsString::from);
            Job::parse(words).map(|job| job.expect("a command").wake_floor).map_err(|e| e.kind())
        };
        assert_eq!(floor(&["--wake-on", "f", "--", "cmd"]), Ok(DEFAULT_FLOOR));
        assert_eq!(floor(&["--wake-on", "f", "--wake-floor", "2s", "--", "cmd"]), Ok(Duration::from_secs(2)));
        assert_eq!(floor(&["--wake-floor", "2s", "--", "cmd"]), Err(ErrorKind::MissingRequiredArgument));
        assert_eq!(floor(&["--wake-floor", "2s"]), Err(ErrorKind::MissingRequiredArgument));
    }

    #[test]
    fn a_duration_beyond_ten_years_is_refused_however_it_is_written() {
        assert_eq!(duration("10y"), Ok(LONGEST));
        for text in ["315576001", "18446744073709551615", "99999999999999999 s", "11y", "584542046090y"] {
            let error = duration(text).expect_err(text);
            assert_eq!(
                error,
                format!("'{text}' is longer than 10 years; write 30m, 1h30m, 90s or plain seconds")
            );
        }
    }

    #[test]
    fn an_invalid_duration_is_refused_with_examples() {
        for text in
            ["soon", "", "-5", "1.5", "30 minuten", "1e400", "18446744073709551616", "99999999999999999999y"]
        {
            let error = duration(text).expect_err(text);
            assert_eq!(error, format!("'{text}' is not a duration; write 30m, 1h30m, 90s or plain seconds"));
        }
    }

    #[test]
    fn what_follows_the_two_dashes_is_left_alone() {
        let words = ["idle", "--wake-on", "/v/now", "--", "cmd", "--every", "-x", "--"].map(OsString::from);
        let job = Job::parse(words).expect("sound usage").expect("a job");
        assert_eq!(job.words, ["cmd", "--every", "-x", "--"]);
        assert_eq!(job.wake_on, Some(PathBuf::from("/v/now")));
    }
}
