//! Percentages as people and charts write them.

use judgement::quota::Reserves;
use records::Slot;
use records::slot::NotASlot;
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

/// Reads how much stays with owners: a percentage for all accounts, percentages by slot such as `1=50`, or both.
pub(crate) fn reserves(text: &str) -> Result<Reserves, String> {
    let mut reserves = Reserves::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (slot, number) = match part.split_once('=') {
            Some((slot, number)) => (Some(slot.trim()), number),
            None => (None, part),
        };
        let Some(number) = percent(number)? else {
            return Err(format!("want a percentage after {part}, such as 1=50"));
        };
        match slot {
            None => reserves.common = number,
            Some(slot) => {
                let slot: Slot = slot.parse().map_err(|e: NotASlot| e.to_string())?;
                reserves.own.insert(slot, number);
            }
        }
    }
    Ok(reserves)
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

    #[test]
    fn reserves_are_for_all_accounts_or_by_slot() {
        let read = |text| {
            let reserves = reserves(text).unwrap();
            let own = reserves.own.iter().map(|(slot, percent)| (slot.number(), percent.percent()));
            (reserves.common.percent(), own.collect::<Vec<_>>())
        };
        assert_eq!(read(""), (0.0, vec![]));
        assert_eq!(read("20 %"), (20.0, vec![]));
        assert_eq!(read("20, 1=50, 3=0"), (20.0, vec![(1, 50.0), (3, 0.0)]));
        assert_eq!(read("2=50"), (0.0, vec![(2, 50.0)]));
        for text in ["200", "1=", "0=10", "ann=10", "1=half", "1=2=3"] {
            assert!(reserves(text).is_err(), "{text}");
        }
    }
}
