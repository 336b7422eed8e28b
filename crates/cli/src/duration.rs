//! Durations as people and charts write them.

use std::time::Duration;

/// A duration, or `None` for the default: charts set variables without a value.
pub type OptionalDuration = Option<Duration>;

/// A longer one is a typing error, and beyond what a clock can add. `idle` has the same bound.
const LONGEST: Duration = Duration::from_hours(10 * 8766);

/// Reads a duration of at most ten years, in plain seconds, as in the predecessor's variables, or with units.
///
/// # Errors
/// The text is no duration, or a longer one.
pub fn duration(text: &str) -> Result<OptionalDuration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse().map(Duration::from_secs).ok();
    let duration = seconds.or_else(|| humantime::parse_duration(text).ok());
    match duration {
        Some(duration) if duration <= LONGEST => Ok(Some(duration)),
        Some(_) => Err("expected at most 10 years, as 30m, 1h30m, 90s or plain seconds".to_owned()),
        None => Err("expected 30m, 1h30m, 90s or plain seconds".to_owned()),
    }
}

/// Reads a duration as [`duration`] does, but not none and not zero.
///
/// # Errors
/// The text is no duration, zero, or longer than ten years.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    let positive = duration(text)?.filter(|duration| !duration.is_zero());
    positive.ok_or_else(|| "expected more than nothing, as 30m, 1h30m, 90s or plain seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_plain_seconds_or_has_units_and_nothing_is_the_default() {
        assert_eq!(duration("1800"), duration("30m"));
        assert_eq!(duration("\n"), Ok(None));
        for text in ["soon", "-1", "1.5", "1e400", "18446744073709551616"] {
            assert_eq!(duration(text), Err("expected 30m, 1h30m, 90s or plain seconds".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_duration_is_at_most_ten_years() {
        assert_eq!(duration("10y"), Ok(Some(LONGEST)));
        for text in ["315576001", "11y", "99999999999999999 s", "18446744073709551615"] {
            let error = duration(text).unwrap_err();
            assert_eq!(error, "expected at most 10 years, as 30m, 1h30m, 90s or plain seconds", "{text}");
        }
    }

    #[test]
    fn a_positive_duration_is_more_than_nothing() {
        assert_eq!(positive_duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", " ", "0", "0s"] {
            assert!(positive_duration(text).unwrap_err().starts_with("expected more than nothing"), "{text}");
        }
        assert!(positive_duration("11y").unwrap_err().starts_with("expected at most 10 years"));
    }
}
