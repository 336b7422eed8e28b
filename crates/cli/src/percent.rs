//! Percentages as people and charts write them.

use records::usage::Percent;

/// A percentage, or `None` for the default: charts set variables without a value.
pub(crate) type OptionalPercent = Option<Percent>;

/// Reads a percentage from 0 to 100, with or without its sign.
pub(crate) fn percent(text: &str) -> Result<OptionalPercent, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
    let percent = number.filter(|number| (0.0..=100.0).contains(number)).and_then(Percent::new);
    percent.map(Some).ok_or_else(|| "want a percentage from 0 to 100, such as 95".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_a_number_up_to_a_hundred_and_nothing_is_the_default() {
        assert_eq!(percent("95"), Ok(Percent::new(95.0)));
        assert_eq!(percent(" 12.5 %\n"), Ok(Percent::new(12.5)));
        assert_eq!(percent(""), Ok(None));
        for text in ["-1", "101", "NaN", "inf", "half", "%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
